"""Ids: UUIDv7 in the tables, `<prefix>_<32 hex digits>` outside."""

import datetime as dt
import secrets
import time
import uuid


def new_uuid() -> uuid.UUID:
    """Return a UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then random bits, so that ids sort by creation."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def first_uuid_at(moment: dt.datetime) -> uuid.UUID:
    """Return the least value that an id made at this moment can have."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)


def public_id(prefix: str, value: uuid.UUID) -> str:
    """Return the id as clients see it."""
    return f"{prefix}_{value.hex}"


def parse_public_id(prefix: str, text: str) -> uuid.UUID | None:
    """Return the UUID in a public id, or None when the text is no such id."""
    head, _, digits = text.partition("_")
    if head != prefix or len(digits) != 32 or not set(digits) <= set("0123456789abcdef"):
        return None
    return uuid.UUID(hex=digits)
