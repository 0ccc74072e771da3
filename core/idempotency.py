"""Idempotency-Key (IETF draft-ietf-httpapi-idempotency-key-header-07): one key, one job.

The key's row is written in the transaction that creates the job, so the two exist together or not at all. While that
transaction runs an advisory lock on the key tells a second request that the first is still being handled.
"""

import hashlib
import uuid
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import Gone, IdempotencyInFlight, IdempotencyMismatch
from core.tables import IdempotencyKey


def recall_answer(session: Session, client_id: uuid.UUID, key: str, body_sha256: bytes) -> dict[str, Any] | None:
    """Return what was answered to this key, or None when the key is new; then it is ours until the transaction ends.

    Raises:
        IdempotencyInFlight: another request with this key is being handled now.
        IdempotencyMismatch: the key was used with another body.
        Gone: the job it made has been deleted.
    """
    if not session.scalars(select(func.pg_try_advisory_xact_lock(lock_number(client_id, key)))).one():
        raise IdempotencyInFlight
    row = session.get(IdempotencyKey, (client_id, key))
    if row is None:
        return None
    if row.body_sha256 != body_sha256:
        raise IdempotencyMismatch
    if row.answer is None:
        raise Gone
    return row.answer


def remember_answer(
    session: Session, client_id: uuid.UUID, key: str, *, body_sha256: bytes, job_id: uuid.UUID, answer: dict[str, Any]
) -> None:
    """Store the answer to a new key, in the transaction that creates its job."""
    session.add(IdempotencyKey(client_id=client_id, key=key, body_sha256=body_sha256, job_id=job_id, answer=answer))


def lock_number(client_id: uuid.UUID, key: str) -> int:
    """Return the number of the advisory lock on a key."""
    digest = hashlib.blake2b(key.encode(), key=client_id.bytes, digest_size=8, person=b"inkpost-idem")
    return int.from_bytes(digest.digest(), signed=True)
