"""Failures in OpenAI's shape."""

import re

from core.errors import InkpostError, InvalidRequest

_NUMBER = re.compile(r"/(\d+)(?=/|$)")


def openai_error(error: InkpostError, *, code: str, is_ours: bool) -> dict[str, object]:
    """Return the body that tells an error."""
    param = _param(error.faults[0].pointer) if isinstance(error, InvalidRequest) else None
    kind = "server_error" if is_ours else "invalid_request_error"
    return {"error": {"message": error.detail, "type": kind, "param": param, "code": code}}


def _param(pointer: str) -> str | None:
    """Return a JSON Pointer as OpenAI writes a place: `messages[0].content`."""
    written = _NUMBER.sub(r"[\1]", pointer).lstrip("/").replace("/", ".")
    return written.replace("~1", "/").replace("~0", "~") or None
