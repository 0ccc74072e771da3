"""Server-sent events."""

import json
from collections.abc import Iterable, Iterator

import structlog
from flask import Response

from api.problems import status_of
from core.errors import InkpostError, InternalError, code_of
from core.openai.failures import openai_error
from core.openai.readings import Value

log = structlog.get_logger(__name__)
DONE = b"data: [DONE]\n\n"


def event(value: Value, name: str | None = None) -> bytes:
    """Return an event that tells a value."""
    head = b"" if name is None else f"event: {name}\n".encode()
    return head + b"data: " + json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"


def streamed(events: Iterable[bytes]) -> Response:
    """Return the answer that sends events as they come. What fails from now on can only be told as an event."""
    headers = {"X-Accel-Buffering": "no"}  # else a proxy in between keeps the events until all are there
    return Response(_guarded(events), content_type="text/event-stream; charset=utf-8", headers=headers)


def _guarded(events: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from events
    except InkpostError as error:
        yield event(_told(error))
    except Exception:  # the edge of this answer
        log.exception("request.crashed")
        yield event(_told(InternalError()))


def _told(error: InkpostError) -> Value:
    return openai_error(error, code=code_of(error), is_ours=int(status_of(error)) >= 500)
