"""Cursors of listings: opaque, good for one client and one listing, and void when altered.

The signature's key is the client's id: 80 random bits that no client ever sees, the same on every machine. A forged
cursor would gain nothing anyway, since every query is confined to its client; it must only not be a way to fail oddly.
"""

import base64
import binascii
import hashlib
import hmac
import uuid

from core.errors import Fault, InvalidRequest

_SIGNATURE_BYTES = 10


def write_cursor(client_id: uuid.UUID, listing: str, position: str) -> str:
    """Return the cursor of a position in a listing."""
    payload = position.encode()
    return base64.urlsafe_b64encode(_sign(client_id, listing, payload) + payload).decode().rstrip("=")


def read_cursor(client_id: uuid.UUID, listing: str, cursor: str) -> str:
    """Return the position in a cursor that was written for this client and listing.

    Raises:
        InvalidRequest: it was not.
    """
    try:
        raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _sign(client_id, listing, payload)):
        raise InvalidRequest([Fault("/cursor", "This cursor is not valid here.", "invalid_cursor")])
    return payload.decode()


def _sign(client_id: uuid.UUID, listing: str, payload: bytes) -> bytes:
    keyed = hashlib.blake2b(
        listing.encode() + b"\0" + payload, key=client_id.bytes, digest_size=_SIGNATURE_BYTES, person=b"inkpost-cursor"
    )
    return keyed.digest()
