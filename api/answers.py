"""Responses that carry JSON: jobs, pages, and their headers."""

import hashlib
import json
from collections.abc import Mapping, Sequence

from flask import Response, request

from core.documents.new_documents import NewDocument
from core.documents.wishes import stored_pages
from core.jobs import NewLine
from core.representation import job_value
from core.tables import Document, Job
from core.words import FINISHED_JOB, DocumentStatus, JobStatus, LineSource, LineStatus

POLL_SECONDS = 1
_QUEUED_LINE: dict[str, object] = {
    "page": None,
    "box": None,
    "status": LineStatus.QUEUED.value,
    "source": LineSource.RECOGNISED.value,
    "text": None,
    "confidence": None,
    "min_token_confidence": None,
    "alternatives": [],
    "truncated": False,
    "needs_review": False,
    "review_reasons": [],
    "error": None,
}


def new_job_view(job: Job, lines: Sequence[NewLine], document: NewDocument | None = None) -> dict[str, object]:
    """Return a job with its lines, or with its document, as it is at its creation, without reading it back."""
    views = [{"index": index, "custom_id": line.custom_id, **_QUEUED_LINE} for index, line in enumerate(lines)]
    stored = None
    if document is not None:
        stored = Document(
            status=DocumentStatus.QUEUED.value,
            asked_cut=document.wish.cut.value,
            pages=stored_pages(document.wish.pages),
            template=document.template,
        )
    return {**job_value(job, running=0, lines=[], document=stored), "lines": views}


def json_response(value: Mapping[str, object], status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(dump_json(value), status, content_type="application/json")


def job_response(value: Mapping[str, object], status: int = 200) -> Response:
    """Return a job: with Retry-After while it is not finished."""
    response = json_response(value, status)
    if JobStatus(str(value["status"])) not in FINISHED_JOB:
        response.headers["Retry-After"] = str(POLL_SECONDS)
    return response


def with_etag(response: Response) -> Response:
    """Tag a response by its body, and make it 304 when the caller has it already."""
    digest = hashlib.blake2b(response.get_data(), digest_size=16).hexdigest()
    response.headers["ETag"] = f'"{digest}"'
    known = request.headers.get("If-None-Match")
    if known is not None and (known.strip() == "*" or digest in known):
        response.status_code = 304
        response.set_data(b"")
        del response.headers["Content-Type"]
        response.headers.pop("Content-Length", None)
    return response


def dump_json(value: object) -> bytes:
    """Return a value as JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
