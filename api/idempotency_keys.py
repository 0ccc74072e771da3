"""The Idempotency-Key header."""

import re

from core.errors import InvalidIdempotencyKey

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def read_idempotency_key(header: str | None) -> str | None:
    """Return the key, or None when there is none.

    The draft's structured header puts the key into double quotes; most clients do not. Both name the same key.

    Raises:
        InvalidIdempotencyKey: it is empty, too long, or not printable ASCII.
    """
    if header is None:
        return None
    key = header[1:-1] if len(header) > 2 and header[0] == header[-1] == '"' else header
    if not _KEY.fullmatch(key):
        raise InvalidIdempotencyKey
    return key
