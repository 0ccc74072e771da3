"""Signatures of Standard Webhooks 1.0.0: pure functions over bytes.

A signature is `v1,` and the base64 of HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`; the header holds
several, separated by spaces, while a secret is replaced. A secret reads `whsec_` and the base64 of 24 to 64 bytes.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping

PREFIX = "whsec_"
LEAST_SECRET_BYTES, MOST_SECRET_BYTES = 24, 64
TOLERANCE_SECONDS = 300
_NEW_SECRET_BYTES = 32


class BadSecret(ValueError):
    """This is no secret; the message says why and never repeats it."""


class BadSignature(ValueError):
    """The delivery is not to be trusted; the message says why."""


def new_secret() -> bytes:
    """Return a random secret."""
    return secrets.token_bytes(_NEW_SECRET_BYTES)


def secret_text(secret: bytes) -> str:
    """Return a secret as people copy it."""
    return PREFIX + base64.b64encode(secret).decode()


def parse_secret(text: str) -> bytes:
    """Return the bytes of a secret, with or without its prefix.

    Raises:
        BadSecret: it is not base64, or too short or too long.
    """
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSecret("A secret is `whsec_` and base64 after it.") from error
    if not LEAST_SECRET_BYTES <= len(secret) <= MOST_SECRET_BYTES:
        raise BadSecret(f"A secret has {LEAST_SECRET_BYTES} to {MOST_SECRET_BYTES} bytes before base64.")
    return secret


def sign(secret: bytes, event_id: str, timestamp: int, body: bytes) -> str:
    """Return one signature."""
    digest = hmac.digest(secret, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()


def signed_headers(valid_secrets: Iterable[bytes], event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers of a delivery, signed by each of the secrets, the newest first."""
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, event_id, timestamp, body) for secret in valid_secrets),
    }


def verify(secret: bytes, headers: Mapping[str, str], body: bytes, *, now: float) -> None:
    """Check a delivery as a receiver should; `headers` has lower-case names.

    Raises:
        BadSignature: a header is missing, no signature fits, or the timestamp is more than five minutes off.
    """
    try:
        event_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        given = headers["webhook-signature"].split()
    except KeyError as error:
        raise BadSignature(f"The header {error.args[0]} is missing.") from None
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        raise BadSignature("The header webhook-timestamp is not a number.")
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise BadSignature("The timestamp is more than five minutes off.")
    expected = sign(secret, event_id, int(timestamp), body).encode()
    if not any(hmac.compare_digest(expected, signature.encode()) for signature in given):
        raise BadSignature("No signature fits.")
