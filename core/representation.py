"""The job and its lines as JSON values: the same in an answer of the API and in the body of a webhook."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from core.documents.page_ranges import write_pages
from core.ids import public_id
from core.tables import Document, Job, Line
from core.words import Priority

JOB_PREFIX = "job"


def job_value(
    job: Job, *, running: int, lines: Sequence[Line] | None = None, document: Document | None = None
) -> dict[str, Any]:
    """Return the job; `running` is how many of its lines a worker holds now.

    Without `lines` they are left out, and the document's pages with them.
    """
    job_id = public_id(JOB_PREFIX, job.id)
    finished = job.lines_succeeded + job.lines_failed + job.lines_canceled
    value: dict[str, Any] = {
        "object": "job",
        "id": job_id,
        "status": job.status,
        "model": job.model,
        "model_revision": job.model_revision,
        "client_reference": job.client_reference,
        "metadata": job.client_metadata,
        "priority": Priority(job.priority).word,
        "counts": {
            "total": job.lines_total,
            "queued": max(0, job.lines_total - finished - running),
            "running": min(running, job.lines_total - finished),
            "succeeded": job.lines_succeeded,
            "failed": job.lines_failed,
            "canceled": job.lines_canceled,
            "needs_review": job.lines_needing_review,
        },
        "created_at": timestamp(job.created_at),
        "started_at": timestamp(job.started_at),
        "finished_at": timestamp(job.finished_at),
        "expires_at": timestamp(job.expires_at),
        "error": _error(job.error_code, job.error_detail),
        "document": document_value(document, is_whole=lines is not None),
        "links": {
            "self": f"/v1/jobs/{job_id}",
            "cancel": f"/v1/jobs/{job_id}/cancel",
            "lines": f"/v1/jobs/{job_id}/lines",
            "transcript": f"/v1/jobs/{job_id}/transcript",
        },
    }
    if lines is not None:
        value["lines"] = [line_value(line) for line in lines]
    return value


def document_value(document: Document | None, *, is_whole: bool = True) -> dict[str, Any] | None:
    """Return a document, with its pages and skipped fields when it is whole; None of a job of lines."""
    if document is None:
        return None
    value: dict[str, Any] = {
        "status": document.status,
        "asked": {
            "cut": document.asked_cut,
            "pages": None if document.pages is None else write_pages(document.pages),
        },
        "cut": document.cut,
        "template": document.template,
    }
    if is_whole:
        value["pages"] = document.found_pages or []
        value["skipped"] = document.skipped or []
    return value


def line_value(line: Line) -> dict[str, Any]:
    """Return a line."""
    return {
        "index": line.index,
        "custom_id": line.custom_id,
        "page": line.page,
        "box": line.box,
        "status": line.status,
        "source": line.source,
        "text": line.text,
        "confidence": line.confidence,
        "min_token_confidence": line.min_token_confidence,
        "alternatives": line.alternatives or [],
        "truncated": line.truncated,
        "needs_review": line.needs_review,
        "review_reasons": line.review_reasons,
        "error": _error(line.error_code, line.error_detail),
    }


def timestamp(moment: dt.datetime | None) -> str | None:
    """Return a moment as RFC 3339 in UTC with milliseconds."""
    if moment is None:
        return None
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _error(code: str | None, detail: str | None) -> dict[str, str | None] | None:
    return None if code is None else {"code": code, "detail": detail}
