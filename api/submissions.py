"""From the body of POST /v1/jobs, in any of its three forms, to a checked job."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from flask import request
from werkzeug.http import parse_options_header

from api.bodies import read_body
from api.job_schemas import JobOptions, JobRequest
from api.multipart import Part, parse_multipart
from core.base64_images import BadUpload, Image, check_image, decode_image, is_accepted
from core.errors import BadRequest, Fault, ImageTooLarge, InvalidRequest, UnsupportedMediaType
from core.faults import validate_body
from core.jobs import NewLine
from core.settings import Limits
from core.strict_json import parse_object

_VALUES_A_LINE = 16  # more than any honest line has
_OTHER_VALUES = 10_000


@dataclass(frozen=True, slots=True)
class Submission:
    """What was asked for, and a fingerprint of how it was asked, for Idempotency-Key."""

    options: JobOptions
    lines: Sequence[NewLine]
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A line's image as it came: base64 text or bytes, perhaps with a claimed media type."""

    encoded: str | bytes
    claimed: str | None = None
    custom_id: str | None = None

    def image(self, limits: Limits) -> Image:
        """Return the image, checked.

        Raises:
            BadUpload: it is not acceptable.
        """
        if isinstance(self.encoded, str):
            return decode_image(self.encoded, limits)
        return check_image(self.encoded, self.claimed, limits)


def read_submission(limits: Limits) -> Submission:
    """Read the current request's body and check everything that needs no database.

    Raises:
        CallerError: what is wrong with it; see api.problems.
    """
    media_type, parameters = parse_options_header(request.environ.get("CONTENT_TYPE", ""))
    if media_type == "application/json":
        if parameters.get("charset", "utf-8").lower() != "utf-8":
            raise UnsupportedMediaType("JSON is UTF-8.")
        body = read_body(limits.max_body_bytes)
        fingerprint = _fingerprint(media_type, body)
        wanted = validate_body(
            JobRequest, parse_object(body, max_values=limits.max_lines * _VALUES_A_LINE + _OTHER_VALUES)
        )
        candidates = [Candidate(line.image, custom_id=line.custom_id) for line in wanted.lines]
        return Submission(wanted, _checked(candidates, limits), fingerprint)
    if media_type == "multipart/form-data":
        boundary = parameters.get("boundary", "")
        if not boundary or len(boundary) > 200:
            raise BadRequest("multipart/form-data needs a boundary.")
        body = read_body(limits.max_body_bytes)
        options, lines = _from_parts(parse_multipart(body, boundary, max_parts=limits.max_lines + 1), limits)
        # A client's library draws a new boundary each time; the same parts are the same submission.
        return Submission(options, lines, _fingerprint(media_type, body.replace(boundary.encode(), b"")))
    if is_accepted(media_type):
        body = read_body(limits.max_body_bytes)
        lines = _checked([Candidate(body, media_type)], limits)
        return Submission(JobOptions(), lines, _fingerprint(media_type, body))
    raise UnsupportedMediaType("Send application/json, multipart/form-data, or one image as image/*.")


def _from_parts(parts: list[Part], limits: Limits) -> tuple[JobOptions, Sequence[NewLine]]:
    unknown = [part.name for part in parts if part.name not in {"image", "options"}]
    if unknown:
        detail = "The parts of a job are `image` and `options`."
        raise InvalidRequest([Fault(f"/{name[:100]}", detail, "unknown_field") for name in unknown])
    written = [part.data for part in parts if part.name == "options"]
    if len(written) > 1:
        raise InvalidRequest([Fault("/options", "There is one part `options` at most.", "duplicate_key")])
    options = JobOptions()
    if written:
        options = validate_body(JobOptions, parse_object(written[0], max_values=_OTHER_VALUES))
    candidates = [Candidate(part.data, _claimed(part)) for part in parts if part.name == "image"]
    return options, _checked(candidates, limits)


def _claimed(part: Part) -> str | None:
    """Return the media type that a part claims; libraries that know none say octet-stream."""
    return None if part.media_type == "application/octet-stream" else part.media_type


def _checked(candidates: Sequence[Candidate], limits: Limits) -> Sequence[NewLine]:
    """Return the lines, every one of them checked.

    Raises:
        InvalidRequest: some are not acceptable, with a fault for each; ImageTooLarge when that is all that is wrong.
    """
    if not candidates:
        raise InvalidRequest([Fault("/lines", "A job has at least one line.", "too_few")])
    if len(candidates) > limits.max_lines:
        raise InvalidRequest([Fault("/lines", f"A job has at most {limits.max_lines} lines.", "too_many")])
    lines: list[NewLine] = []
    faults = _repeated_ids(candidates)
    for index, candidate in enumerate(candidates):
        try:
            image = candidate.image(limits)
        except BadUpload as bad:
            faults.append(Fault(f"/lines/{index}/image", bad.detail, bad.code))
        else:
            if not faults:
                lines.append(NewLine(image.data, image.media_type, candidate.custom_id))
    if faults:
        raise (ImageTooLarge if all(fault.code == ImageTooLarge.code for fault in faults) else InvalidRequest)(faults)
    return lines


def _repeated_ids(candidates: Sequence[Candidate]) -> list[Fault]:
    seen: set[str] = set()
    faults = []
    for index, candidate in enumerate(candidates):
        if candidate.custom_id is None:
            continue
        if candidate.custom_id in seen:
            detail = "Another line of this job has the same custom_id."
            faults.append(Fault(f"/lines/{index}/custom_id", detail, "duplicate_custom_id"))
        seen.add(candidate.custom_id)
    return faults


def _fingerprint(media_type: str, body: bytes) -> bytes:
    digest = hashlib.sha256(media_type.encode() + b"\0")
    digest.update(body)
    return digest.digest()
