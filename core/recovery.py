"""Lines whose worker died or stalled: put them back, charged with a crash, or fail them once they had enough."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, func, select, tuple_, update
from sqlalchemy.orm import Session

from core.claims import ClaimedLine
from core.errors import RecognitionError, WorkerCrash
from core.settlement import FinishedLine, lock_jobs, settle
from core.tables import LINE_IS_RUNNING, Line
from core.words import LineStatus

_LINES_PER_SWEEP = 1_000


@dataclass(frozen=True, slots=True)
class Recovered:
    """How many lines were put back into the queue, and how many failed for good."""

    requeued: int = 0
    failed: int = 0


def recover_expired(session: Session, *, max_crashes: int, keep_images: bool) -> Recovered:
    """Recover the lines whose lease has expired by the database's clock: their worker died or was cut off."""
    return _recover(session, Line.lease_expires_at < func.clock_timestamp(), WorkerCrash, max_crashes, keep_images)


def take_over(session: Session, slot: uuid.UUID, *, max_crashes: int, keep_images: bool) -> Recovered:
    """Recover what the dead predecessor in this worker slot held, without waiting for its leases to expire.

    Only the process that the slot's parent started after the predecessor was reaped may call this.
    """
    return _recover(session, Line.leased_by == slot, WorkerCrash, max_crashes, keep_images)


def give_up(
    session: Session,
    lines: Sequence[ClaimedLine],
    *,
    error: type[RecognitionError],
    max_crashes: int,
    keep_images: bool,
) -> Recovered:
    """Charge lines that we still hold with a crash: the process is about to end because of one of them."""
    held = tuple_(Line.job_id, Line.index, Line.attempt).in_([(*line.key, line.attempt) for line in lines])
    return _recover(session, held, error, max_crashes, keep_images)


def _recover(
    session: Session,
    condition: ColumnElement[bool],
    error: type[RecognitionError],
    max_crashes: int,
    keep_images: bool,
) -> Recovered:
    """Recover running lines that satisfy the condition.

    The condition is evaluated again in the UPDATE, under the row's lock: between the look and the write a worker may
    have renewed the lease or finished the line, and then it stays as it is.
    """
    running = (LINE_IS_RUNNING, condition)
    seen = session.execute(select(Line.job_id, Line.index).where(*running).limit(_LINES_PER_SWEEP)).all()
    if not seen:
        return Recovered()
    lock_jobs(session, {row.job_id for row in seen})
    is_over = Line.crash_attempts + 1 >= max_crashes
    rows = session.execute(
        update(Line)
        .where(*running, tuple_(Line.job_id, Line.index).in_([tuple(row) for row in seen]))
        .values(
            status=case((is_over, LineStatus.FAILED.value), else_=LineStatus.QUEUED.value),
            crash_attempts=Line.crash_attempts + 1,
            lease_expires_at=None,
            error_code=case((is_over, error.code), else_=None),
            error_detail=case((is_over, error.title), else_=None),
            finished_at=case((is_over, func.now()), else_=None),
        )
        .returning(Line.job_id, Line.index, Line.status, Line.needs_review)
    ).all()
    failed = [
        FinishedLine(job_id, index, LineStatus.FAILED, needs_review)
        for job_id, index, status, needs_review in rows
        if status == LineStatus.FAILED
    ]
    settle(session, failed, keep_images=keep_images)
    return Recovered(requeued=len(rows) - len(failed), failed=len(failed))
