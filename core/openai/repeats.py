"""A call that is sent again, by a client that lost the answer or its patience, finds the job of the first.

OpenAI's clients repeat a call without any key, so its body is the key, for a minute: long enough for a client's own
repeats, short enough that reading the same picture anew on purpose does so. The table of Idempotency-Key keeps both.
"""

import hashlib
import uuid

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from core.idempotency import lock_number
from core.tables import IdempotencyKey, Job
from core.words import FINISHED_JOB

REPEAT_SECONDS = 60
_PREFIX = "body "  # a client's own key holds no blank


def key_of_body(path: str, body: bytes) -> str:
    """Return the key that a body is itself."""
    return _PREFIX + hashlib.sha256(path.encode() + b"\0" + body).hexdigest()


def recall_job(session: Session, client_id: uuid.UUID, key: str) -> Job | None:
    """Return the job of the same body: one that is still being read, or has finished less than a minute ago.

    Without one the key is ours until the transaction ends; another call with it waits for that.
    """
    session.execute(select(func.pg_advisory_xact_lock(lock_number(client_id, key))))
    own = (IdempotencyKey.client_id == client_id, IdempotencyKey.key == key)
    is_fresh = Job.status.not_in(FINISHED_JOB) | (
        func.clock_timestamp() - Job.finished_at < func.make_interval(0, 0, 0, 0, 0, 0, REPEAT_SECONDS)
    )
    query = select(Job).join(IdempotencyKey, IdempotencyKey.job_id == Job.id)
    job = session.scalars(query.where(*own, is_fresh, Job.gone_at.is_(None))).one_or_none()
    if job is None:
        session.execute(delete(IdempotencyKey).where(*own))
    return job
