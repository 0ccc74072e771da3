"""From the body of POST /v1/jobs, in any of its forms, to a checked job of lines or of a document."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from flask import request
from werkzeug.http import parse_options_header

from api.bodies import read_body
from api.cut_options import read_beside_template, read_cut
from api.document_schemas import DocumentOptions
from api.job_schemas import JobOptions, JobRequest, MultipartOptions
from api.multipart import Part, parse_multipart
from core.base64_data import BadUpload
from core.base64_images import IMAGE, Image, check_image, decode_image
from core.documents.cutting import CutWish
from core.documents.new_documents import NewDocument
from core.documents.uploads import PDF, check_pdf, decode_pdf
from core.errors import BadRequest, DocumentTooLarge, Fault, ImageTooLarge, InvalidRequest, UnsupportedMediaType
from core.faults import validate_body
from core.jobs import NewLine
from core.settings import Limits
from core.strict_json import parse_object

_VALUES_A_LINE = 16  # more than any honest line has
_OTHER_VALUES = 10_000
_VALUES_A_REGION = 16


@dataclass(frozen=True, slots=True)
class Submission:
    """What was asked for, lines or a document, and a fingerprint of how it was asked, for Idempotency-Key.

    Where the document names a template, its wish has only what goes beside one.
    """

    options: JobOptions
    fingerprint: bytes
    lines: Sequence[NewLine] = ()
    document: NewDocument | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image or a document as it came: base64 text or bytes, perhaps with a claimed media type."""

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

    def pdf(self, limits: Limits) -> bytes:
        """Return the document, checked.

        Raises:
            BadUpload: it is not acceptable.
        """
        if isinstance(self.encoded, str):
            return decode_pdf(self.encoded, limits)
        return check_pdf(self.encoded, self.claimed, limits)


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
        return _from_json(body, _fingerprint(media_type, body), limits)
    if media_type == "multipart/form-data":
        boundary = parameters.get("boundary", "")
        if not boundary or len(boundary) > 200:
            raise BadRequest("multipart/form-data needs a boundary.")
        body = read_body(limits.max_body_bytes)
        parts = parse_multipart(body, boundary, max_parts=limits.max_lines + 1)
        # A client's library draws a new boundary each time; the same parts are the same submission.
        return _from_parts(parts, _fingerprint(media_type, body.replace(boundary.encode(), b"")), limits)
    if IMAGE.accepts(media_type):
        body = read_body(limits.max_body_bytes)
        lines = _checked([Candidate(body, media_type)], limits)
        return Submission(JobOptions(), _fingerprint(media_type, body), lines)
    if PDF.accepts(media_type):
        body = read_body(limits.max_body_bytes)
        document = _document(Candidate(body, media_type), DocumentOptions(), limits)
        return Submission(JobOptions(), _fingerprint(media_type, body), document=document)
    raise UnsupportedMediaType(
        "Send application/json, multipart/form-data, one image as image/*, or one form as application/pdf."
    )


def _from_json(body: bytes, fingerprint: bytes, limits: Limits) -> Submission:
    most = limits.max_lines * _VALUES_A_LINE + limits.max_template_regions * _VALUES_A_REGION + _OTHER_VALUES
    wanted = validate_body(JobRequest, parse_object(body, max_values=most))
    if wanted.document is not None:
        if wanted.lines:
            raise InvalidRequest([_both("/document")])
        document = _document(Candidate(wanted.document.pdf), wanted.document, limits)
        return Submission(wanted, fingerprint, document=document)
    if not wanted.lines:
        raise InvalidRequest([Fault("/lines", "A job has `lines` or a `document`.", "required")])
    candidates = [Candidate(line.image, custom_id=line.custom_id) for line in wanted.lines]
    return Submission(wanted, fingerprint, _checked(candidates, limits))


def _from_parts(parts: list[Part], fingerprint: bytes, limits: Limits) -> Submission:
    named: dict[str, list[Part]] = {"image": [], "pdf": [], "options": []}
    unknown = [part.name for part in parts if part.name not in named]
    if unknown:
        detail = "The parts of a job are `image`, `pdf` and `options`."
        raise InvalidRequest([Fault(f"/{name[:100]}", detail, "unknown_field") for name in unknown])
    for part in parts:
        named[part.name].append(part)
    for name in ("pdf", "options"):
        if len(named[name]) > 1:
            raise InvalidRequest([Fault(f"/{name}", f"There is one part `{name}` at most.", "duplicate_key")])
    options = MultipartOptions()
    if named["options"]:
        most = limits.max_template_regions * _VALUES_A_REGION + _OTHER_VALUES
        options = validate_body(MultipartOptions, parse_object(named["options"][0].data, max_values=most))
    if named["pdf"]:
        if named["image"]:
            raise InvalidRequest([_both("/pdf")])
        [pdf] = named["pdf"]
        document = _document(Candidate(pdf.data, _claimed(pdf)), options.document or DocumentOptions(), limits)
        return Submission(options, fingerprint, document=document)
    if options.document is not None:
        raise InvalidRequest([Fault("/pdf", "What `document` says needs a part `pdf`.", "required")])
    candidates = [Candidate(part.data, _claimed(part)) for part in named["image"]]
    return Submission(options, fingerprint, _checked(candidates, limits))


def _both(pointer: str) -> Fault:
    return Fault(pointer, "A job has lines or a document, not both.", "invalid_value")


def _claimed(part: Part) -> str | None:
    """Return the media type that a part claims; libraries that know none say octet-stream."""
    return None if part.media_type == "application/octet-stream" else part.media_type


def _document(candidate: Candidate, options: DocumentOptions, limits: Limits) -> NewDocument:
    """Return the document, it and its options checked.

    Raises:
        InvalidRequest: one of them is not acceptable; DocumentTooLarge when its size is all that is wrong.
    """
    faults: list[Fault] = []
    wish, data = CutWish(), b""
    try:
        if options.template is not None:
            wish = CutWish(pages=read_beside_template(options))
        else:
            wish = read_cut(options, limits, "/document")
    except InvalidRequest as error:
        faults += error.faults
    try:
        data = candidate.pdf(limits)
    except BadUpload as bad:
        faults.append(Fault("/document/pdf", bad.detail, bad.code))
    if faults:
        raise (DocumentTooLarge if all(fault.code == DocumentTooLarge.code for fault in faults) else InvalidRequest)(
            faults
        )
    return NewDocument(data, replace(wish, password=options.password), options.template)


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
                lines.append(NewLine(image.data, image.media_type, candidate.custom_id, image.size))
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
