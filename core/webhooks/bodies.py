"""The bytes of an event: made once, in the transaction of what happened, then stored, signed and sent as they are."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

from core.representation import job_value, timestamp
from core.tables import Document, Job, Line
from core.words import EventType

MAX_BODY_BYTES = 256 * 1024
# A line without any text takes more than this, so a job with too many lines is known without looking at them.
LEAST_LINE_BYTES = 200


def job_body(
    event_type: EventType, at: dt.datetime, job: Job, *, running: int, document: Document | None = None
) -> bytes:
    """Return the body about a job without its lines."""
    return _body(event_type, at, job_value(job, running=running, document=document))


def job_body_with_lines(
    event_type: EventType, at: dt.datetime, job: Job, lines: Sequence[Line] | None, document: Document | None = None
) -> bytes:
    """Return the body about a finished job with its lines or, where that is too large, with a link and a word on it.

    `lines` is None when they are known to be too many.
    """
    if lines is not None:
        body = _body(event_type, at, job_value(job, running=0, lines=lines, document=document))
        if len(body) <= MAX_BODY_BYTES:
            return body
    value = job_value(job, running=0, document=document)
    value["lines_omitted"] = {"reason": "body_too_large", "link": value["links"]["lines"]}
    return _body(event_type, at, value)


def test_body(at: dt.datetime, endpoint: str) -> bytes:
    """Return the body of a test."""
    return _body(EventType.WEBHOOK_TEST, at, {"object": "webhook_endpoint", "id": endpoint})


def _body(event_type: EventType, at: dt.datetime, data: dict[str, Any]) -> bytes:
    value = {"type": event_type.value, "timestamp": timestamp(at), "data": data}
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
