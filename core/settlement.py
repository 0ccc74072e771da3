"""The one place where a job ends by its work: its last line finishes, or its document turns out to have none.

Lines that finished are counted on their job.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, text, tuple_
from sqlalchemy.orm import Session

from core.errors import InkpostError
from core.notices import CHANNEL, PROGRESS_CHANNEL, announce_finished
from core.outbox import record_ended
from core.storable import storable_text
from core.tables import StoredImage
from core.words import LineStatus, Priority


@dataclass(frozen=True, slots=True)
class FinishedLine:
    """A line that has just become `succeeded` or `failed`."""

    job_id: uuid.UUID
    index: int
    status: LineStatus
    needs_review: bool


def lock_jobs(session: Session, job_ids: Collection[uuid.UUID]) -> None:
    """Lock the jobs' rows in the order of their ids, before any of their lines; see `core.jobs`."""
    session.execute(_LOCK, {"job_ids": list(job_ids)})


_LOCK = text("SELECT id FROM jobs WHERE id = ANY(:job_ids) ORDER BY id FOR UPDATE")
# What follows from the counts is said in the same statement, for a round trip costs a job of one line more than its
# work: whoever waits for the job is told, and a client without any endpoint spares the look at its listeners. Only
# somebody who watches an interactive job sees its lines come in one by one.
_SETTLE = text(f"""
UPDATE jobs SET
    lines_succeeded = jobs.lines_succeeded + more.succeeded,
    lines_failed = jobs.lines_failed + more.failed,
    lines_needing_review = jobs.lines_needing_review + more.needing_review,
    started_at = coalesce(jobs.started_at, now()),
    status = CASE
        WHEN jobs.lines_succeeded + more.succeeded + jobs.lines_failed + more.failed < jobs.lines_total THEN 'running'
        WHEN jobs.lines_failed + more.failed = 0 THEN 'succeeded'
        WHEN jobs.lines_succeeded + more.succeeded = 0 THEN 'failed'
        ELSE 'partial' END,
    error_code = CASE WHEN jobs.lines_failed + more.failed = jobs.lines_total THEN 'all_lines_failed' END,
    error_detail = CASE WHEN jobs.lines_failed + more.failed = jobs.lines_total
        THEN 'No line could be read; each line says why.' END,
    finished_at = CASE
        WHEN jobs.lines_succeeded + more.succeeded + jobs.lines_failed + more.failed = jobs.lines_total
        THEN clock_timestamp() END,
    expires_at = CASE
        WHEN jobs.lines_succeeded + more.succeeded + jobs.lines_failed + more.failed = jobs.lines_total
        THEN clock_timestamp() + make_interval(secs => jobs.retention_seconds) END
FROM unnest(CAST(:job_ids AS uuid[]), CAST(:succeeded AS int[]), CAST(:failed AS int[]), CAST(:needing_review AS int[]))
    AS more(job_id, succeeded, failed, needing_review)
WHERE jobs.id = more.job_id AND jobs.status IN ('queued', 'running')
RETURNING
    jobs.id,
    jobs.finished_at IS NOT NULL AND EXISTS (
        SELECT FROM webhook_endpoints AS endpoints WHERE endpoints.client_id = jobs.client_id
    ) AS has_endpoints,
    CASE
        WHEN jobs.finished_at IS NOT NULL THEN pg_notify('{CHANNEL}', CAST(jobs.id AS text))
        WHEN jobs.priority = {Priority.INTERACTIVE:d} THEN pg_notify('{PROGRESS_CHANNEL}', CAST(jobs.id AS text)) END
""")  # noqa: S608 - constants


def settle(session: Session, lines: Sequence[FinishedLine], *, keep_images: bool) -> None:
    """Count lines that finished in this transaction on their jobs, whose rows are locked, and end complete jobs."""
    if not lines:
        return
    job_ids = sorted({line.job_id for line in lines})
    statuses = Counter((line.job_id, line.status) for line in lines)
    reviews = Counter(line.job_id for line in lines if line.needs_review)
    settled = session.execute(
        _SETTLE,
        {
            "job_ids": job_ids,
            "succeeded": [statuses[job_id, LineStatus.SUCCEEDED] for job_id in job_ids],
            "failed": [statuses[job_id, LineStatus.FAILED] for job_id in job_ids],
            "needing_review": [reviews[job_id] for job_id in job_ids],
        },
    ).all()
    record_ended(session, [row.id for row in settled if row.has_endpoints])
    if not keep_images:
        keys = [(line.job_id, line.index) for line in lines]
        session.execute(delete(StoredImage).where(tuple_(StoredImage.job_id, StoredImage.index).in_(keys)))


_FAIL = text("""
UPDATE jobs SET
    status = 'failed', error_code = :code, error_detail = :detail, finished_at = clock_timestamp(),
    expires_at = clock_timestamp() + make_interval(secs => retention_seconds)
WHERE id = ANY(:job_ids) AND status IN ('queued', 'running')
RETURNING id
""")


def fail_jobs(session: Session, job_ids: Sequence[uuid.UUID], error: InkpostError) -> None:
    """End jobs that will never have a line, in the transaction that finds that out; their rows are locked."""
    values = {"job_ids": list(job_ids), "code": error.code, "detail": storable_text(error.detail)}
    failed = session.scalars(_FAIL, values).all()
    announce_finished(session, failed)
    record_ended(session, failed)
