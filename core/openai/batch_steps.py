"""How a batch goes on: claimed like a line, checked, turned into jobs chunk by chunk, answered in one transaction.

Each step is a transaction that repeats the claim's number in its own condition and moves the batch's row with what it
did, so a worker that is killed half-way leaves a batch from which the next one goes on, and whoever lost its claim
writes nothing.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.orm import Session

from core.bells import lines_queue, ring_after_commit
from core.errors import (
    AlreadyTerminal,
    Fault,
    Gone,
    ImageTooLarge,
    InkpostError,
    InvalidRequest,
    ModelNotFound,
    code_of,
)
from core.faults import validate_body
from core.ids import public_id
from core.jobs import NewJob, NewLine, cancel_job, create_job
from core.openai.batch_input import InputError, InputLine, lines_from, parse_line
from core.openai.batches import BATCH_PREFIX
from core.openai.bodies import ChatRequest
from core.openai.failures import openai_error
from core.openai.files import read_part
from core.openai.wishes import Asked, asked_by_chat
from core.presence import is_served
from core.settings import Settings, served_name
from core.tables import Batch, BatchRequest, Job
from core.transcription import Decoding
from core.words import FINISHED_JOB, BatchStatus, Priority

_CHUNK_BYTES = 16 * 1024 * 1024
_SPARE_SECONDS = 86_400  # a batch's jobs outlive it by so much, until their own time begins at its end


@dataclass(frozen=True, slots=True)
class BatchClaim:
    """A batch that this worker may move."""

    batch_id: uuid.UUID
    claim: int


_CLAIM = text("""
UPDATE batches SET claim = claim + 1, look_at = clock_timestamp() + make_interval(secs => :lease_seconds)
WHERE id = (
    SELECT id FROM batches WHERE look_at <= clock_timestamp() ORDER BY look_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, claim
""")


def claim_batch(session: Session, *, lease_seconds: float) -> BatchClaim | None:
    """Claim the batch that has waited longest for somebody to look at it."""
    row = session.execute(_CLAIM, {"lease_seconds": lease_seconds}).one_or_none()
    return None if row is None else BatchClaim(row.id, row.claim)


def hold_batch(session: Session, claim: BatchClaim, *, lease_seconds: float) -> Batch | None:
    """Lock the batch and renew the claim on it; None when it is lost.

    The step's commit waits for the disk, even where the process has its others not do so: clients see what it writes.
    """
    session.execute(text("SET LOCAL synchronous_commit TO DEFAULT"))
    query = select(Batch).where(Batch.id == claim.batch_id, Batch.claim == claim.claim).with_for_update()
    batch = session.scalars(query).one_or_none()
    if batch is not None:
        batch.look_at = _now(session) + dt.timedelta(seconds=lease_seconds)
    return batch


def begin_batch(session: Session, batch: Batch, total: int, errors: Sequence[InputError]) -> None:
    """Let a batch whose file was checked begin, or fail."""
    batch.requests_total = 0 if errors else total
    if errors:
        batch.errors = {"object": "list", "data": [error.value() for error in errors]}
        batch.status, batch.failed_at, batch.look_at = BatchStatus.FAILED, _now(session), None
    else:
        batch.status, batch.in_progress_at = BatchStatus.IN_PROGRESS, _now(session)


def is_overdue(session: Session, batch: Batch) -> bool:
    """Tell whether the batch's time is over."""
    return batch.expires_at <= _now(session)


@dataclass(slots=True)
class _Group:
    """Requests that one job can read: of one model, decoded alike."""

    model: str
    decoding: Decoding
    lines: list[NewLine] = field(default_factory=list)
    requests: list[dict[str, object]] = field(default_factory=list)


def read_chunk(session: Session, batch: Batch, settings: Settings) -> None:
    """Turn the next requests of a batch, whose row is held, into lines of jobs."""
    lines = lines_from(
        lambda part: read_part(session, batch.input_file_id, part), batch.parts_read, batch.bytes_skipped
    )
    groups: dict[tuple[str, Decoding], list[_Group]] = {}
    refused: list[dict[str, object]] = []
    known: dict[str, bool] = {served_name(settings.default_model): True}
    is_read = True
    for line in _taken(lines, settings.openai.batch_chunk_requests):
        is_read = False
        request = parse_line(line.data, settings)
        row: dict[str, object] = {
            "batch_id": batch.id, "number": batch.requests_read, "custom_id": request.custom_id
        }  # fmt: skip
        try:
            asked = _asked(request.body, settings)
            if asked.model not in known:
                known[asked.model] = is_served(session, asked.model)
            if not known[asked.model]:
                raise ModelNotFound(f"The model {asked.model!r} is not served here; see /v1/models.")
            _join(groups, asked, row, settings)
        except InkpostError as error:
            refused.append({**row, "failure": failure_value(error)})
        batch.requests_read += 1
        batch.parts_read, batch.bytes_skipped = line.next_part, line.next_skip
    if is_read:  # the file has fewer lines than were counted: it is gone
        batch.requests_total = batch.requests_read
    for group in (group for own in groups.values() for group in own):
        _create_job(session, batch, group, settings)
    if refused:
        session.execute(insert(BatchRequest), refused)
        batch.requests_failed += len(refused)
    session.flush()


def _taken(lines: Iterable[InputLine], most: int) -> Iterable[InputLine]:
    size = 0
    for line in islice(lines, most):
        yield line
        size += len(line.data)
        if size >= _CHUNK_BYTES:
            return


def _asked(body: dict[str, object], settings: Settings) -> Asked:
    wanted = validate_body(ChatRequest, body)  # type: ignore[arg-type]  # it was parsed as JSON
    if wanted.stream:
        raise InvalidRequest([Fault("/stream", "A batch does not stream.", "invalid_value")])
    return asked_by_chat(wanted, settings.limits)


def _join(
    groups: dict[tuple[str, Decoding], list[_Group]], asked: Asked, row: dict[str, object], settings: Settings
) -> None:
    """Add a request's lines to the last group of its kind, or to a new one when that is full."""
    lines = asked.lines(settings.limits)
    alike = groups.setdefault((asked.model, asked.decoding), [])
    if not alike or len(alike[-1].lines) + len(lines) > settings.limits.max_lines:
        alike.append(_Group(asked.model, asked.decoding))
    group = alike[-1]
    place = {"first_line": len(group.lines), "line_count": len(lines)}
    group.requests.append({**row, **place, "wish": asked.wish.value()})
    group.lines += lines


def _create_job(session: Session, batch: Batch, group: _Group, settings: Settings) -> None:
    new = NewJob(
        model=group.model,
        lines=group.lines,
        retention_seconds=batch.retention_seconds + settings.openai.batch_window_seconds + _SPARE_SECONDS,
        priority=Priority.BULK,
        decoding=group.decoding,
        client_reference=public_id(BATCH_PREFIX, batch.id),
    )
    job = create_job(session, batch.client_id, new)
    session.execute(insert(BatchRequest), [{**request, "job_id": job.id} for request in group.requests])
    ring_after_commit(session, lines_queue(group.model))


def failure_value(error: InkpostError) -> dict[str, object]:
    """Return the failure of a request as its answer tells it: the status that a call would have had, and its body."""
    status = 500
    if isinstance(error, ModelNotFound):
        status = 404
    elif isinstance(error, ImageTooLarge):
        status = 413
    elif isinstance(error, Gone):
        status = 410
    elif isinstance(error, InvalidRequest):
        status = 422
    return {"status": status, "body": openai_error(error, code=code_of(error), is_ours=status >= 500)}


_COUNT = text("""
SELECT count(*) FILTER (WHERE unread = 0) AS completed, count(*) FILTER (WHERE unread > 0) AS failed
FROM (
    SELECT count(*) FILTER (WHERE lines.status <> 'succeeded') AS unread
    FROM batch_requests AS requests
    JOIN jobs ON jobs.id = requests.job_id AND jobs.finished_at IS NOT NULL
    JOIN lines ON lines.job_id = requests.job_id
         AND lines.index >= requests.first_line AND lines.index < requests.first_line + requests.line_count
    WHERE requests.batch_id = :batch_id
    GROUP BY requests.number
) AS finished
""")


def follow_jobs(session: Session, batch: Batch, *, look_seconds: float) -> None:
    """Count what was read, and begin to finalize a batch whose every request was turned into lines that are finished.

    Until then it is looked at again after a while.
    """
    count_read(session, batch)
    if _unfinished(session, batch):
        batch.look_at = _now(session) + dt.timedelta(seconds=look_seconds)
    else:
        batch.status, batch.finalizing_at = BatchStatus.FINALIZING, _now(session)


def count_read(session: Session, batch: Batch) -> None:
    """Count the requests that were read and those that were not, as far as they have become lines."""
    counted = session.execute(_COUNT, {"batch_id": batch.id}).one()
    refused = select(func.count()).where(BatchRequest.batch_id == batch.id, BatchRequest.job_id.is_(None))
    batch.requests_completed = counted.completed
    batch.requests_failed = counted.failed + session.scalars(refused).one()


def cancel_jobs(session: Session, batch: Batch, *, keep_images: bool) -> None:
    """Cancel those of the batch's jobs that have not finished."""
    for job_id in _unfinished(session, batch):
        try:
            cancel_job(session, batch.client_id, job_id, keep_images=keep_images)
        except (AlreadyTerminal, Gone):
            continue


def _unfinished(session: Session, batch: Batch) -> Sequence[uuid.UUID]:
    own = select(BatchRequest.job_id).where(BatchRequest.batch_id == batch.id, BatchRequest.job_id.is_not(None))
    query = select(Job.id).where(Job.id.in_(own.distinct()), Job.status.not_in(FINISHED_JOB))
    return session.scalars(query.order_by(Job.id)).all()


def let_jobs_expire(session: Session, batch: Batch) -> None:
    """Let the time of the batch's jobs begin: what they read is in its files now."""
    own = select(BatchRequest.job_id).where(BatchRequest.batch_id == batch.id, BatchRequest.job_id.is_not(None))
    until = func.now() + dt.timedelta(seconds=batch.retention_seconds)
    session.execute(
        update(Job)
        .where(Job.id.in_(own.distinct()), Job.gone_at.is_(None))
        .values(expires_at=func.least(Job.expires_at, until))
    )


def end_batch(session: Session, batch: Batch, write_answers: Callable[[Session, Batch], None]) -> None:
    """Write a batch's answers and end it, in this transaction: it has all of them or none."""
    write_answers(session, batch)
    let_jobs_expire(session, batch)
    now = _now(session)
    if batch.status == BatchStatus.CANCELLING:
        batch.status, batch.cancelled_at = BatchStatus.CANCELLED, now
    elif batch.status == BatchStatus.FINALIZING:
        batch.status, batch.completed_at = BatchStatus.COMPLETED, now
    else:
        batch.status, batch.expired_at = BatchStatus.EXPIRED, now
    batch.look_at = None
    session.flush()


def _now(session: Session) -> dt.datetime:
    return session.execute(text("SELECT clock_timestamp() AS now")).scalar_one()  # type: ignore[no-any-return]
