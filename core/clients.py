"""Clients and their API keys.

A key reads `ink_<id>_<secret><checksum>`: 16 hex digits that find the row, 43 characters of 256 random bits, and 8 hex
digits of CRC-32 over all before them, so that a mistyped key is told from a wrong one without asking the database.
"""

import base64
import datetime as dt
import hashlib
import hmac
import re
import secrets
import uuid
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.errors import InvalidCredentials, KeyRevoked, NotFound
from core.ids import new_uuid
from core.tables import ApiKey, Client
from core.words import Scope

_KEY = re.compile(r"(ink_([0-9a-f]{16})_([A-Za-z0-9_-]{43}))([0-9a-f]{8})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling: the client, the key it used, and what that key may do."""

    client_id: uuid.UUID
    key_id: str
    scopes: frozenset[Scope]


def create_client(session: Session, name: str) -> Client:
    """Return the client of this name, made now if there was none."""
    session.execute(insert(Client).values(id=new_uuid(), name=name).on_conflict_do_nothing())
    return session.scalars(select(Client).where(Client.name == name)).one()


def list_clients(session: Session) -> Sequence[tuple[Client, ApiKey | None]]:
    """Return every client with each of its keys, by name and then by age of the key."""
    query = select(Client, ApiKey).outerjoin(ApiKey, ApiKey.client_id == Client.id)
    return [(client, key) for client, key in session.execute(query.order_by(Client.name, ApiKey.created_at))]


def create_key(
    session: Session,
    client_id: uuid.UUID,
    *,
    label: str = "",
    scopes: Iterable[Scope] = tuple(Scope),
    expires_at: dt.datetime | None = None,
) -> str:
    """Make a key for the client and return it. It cannot be shown again: only its digest is stored."""
    key_id = secrets.token_hex(8)
    secret = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    session.add(
        ApiKey(
            id=key_id,
            client_id=client_id,
            secret_sha256=_digest(secret),
            label=label,
            scopes=[scope.value for scope in scopes],
            expires_at=expires_at,
        )
    )
    session.flush()
    body = f"ink_{key_id}_{secret}"
    return body + _checksum(body)


def revoke_key(session: Session, key_id: str) -> None:
    """Revoke a key, from the next request on. A second call changes nothing.

    Raises:
        NotFound: no key has this id.
    """
    revoked = update(ApiKey).where(ApiKey.id == key_id).values(revoked_at=func.coalesce(ApiKey.revoked_at, func.now()))
    if not session.execute(revoked.returning(ApiKey.id)).all():
        raise NotFound(f"No key has the id {key_id}.")


def authenticate(session: Session, key: str) -> Principal:
    """Return who holds this key.

    An unknown id and a wrong secret take the same steps and raise the same error.

    Raises:
        InvalidCredentials: the key is malformed, unknown or wrong.
        KeyRevoked: the key was right once.
    """
    match = _KEY.fullmatch(key)
    if match is None or not hmac.compare_digest(_checksum(match[1]), match[4]):
        raise InvalidCredentials
    row = session.execute(
        select(
            ApiKey.client_id,
            ApiKey.secret_sha256,
            ApiKey.scopes,
            ApiKey.revoked_at.is_not(None) | func.coalesce(ApiKey.expires_at <= func.now(), False),
        ).where(ApiKey.id == match[2])
    ).one_or_none()
    digest = _digest(match[3])
    if row is None:
        hmac.compare_digest(digest, _NOBODY)
        raise InvalidCredentials
    client_id, expected, scopes, is_over = row
    if not hmac.compare_digest(digest, expected):
        raise InvalidCredentials
    if is_over:
        raise KeyRevoked
    return Principal(client_id, match[2], frozenset(scope for scope in Scope if scope.value in scopes))


_NOBODY = bytes(32)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
