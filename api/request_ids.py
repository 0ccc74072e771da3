"""The id that ties an answer to its log lines."""

import re
import secrets

_SANE = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)


def new_request_id() -> str:
    """Return a fresh request id."""
    return f"req_{secrets.token_hex(12)}"


def request_id_of(header: str | None) -> str:
    """Return the caller's X-Request-Id if it is fit to be logged and sent back, else a new one."""
    return header if header is not None and _SANE.fullmatch(header) else new_request_id()
