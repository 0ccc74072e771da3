"""The rules of a job: create, find, list, cancel, delete.

Locks are always taken in one order, a job's row and then its lines, so that no two of these can wait for each other.
Functions take the session first and never commit: the caller owns the transaction.
"""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import DateTime, bindparam, case, delete, func, null, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from core.database import Blobs
from core.documents.endings import cancel_document, forget_documents
from core.documents.lookup import SEEN
from core.errors import AlreadyTerminal, Gone, NotFound
from core.fair_share import FIRST_TAG
from core.ids import new_uuid
from core.notices import announce_finished
from core.outbox import forget_events, record_ended
from core.tables import Document, IdempotencyKey, Job, Line, StoredImage
from core.transcription import Decoding
from core.words import (
    ENDED_EVENTS,
    FINISHED_JOB,
    FINISHED_LINE,
    EventType,
    Include,
    JobStatus,
    LineStatus,
    Priority,
)


@dataclass(frozen=True, slots=True)
class NewLine:
    """A line to be read: the image's bytes as they came, and its width and height where its header tells them."""

    image: bytes
    media_type: str
    custom_id: str | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class JobWebhook:
    """Who is told of this job besides the client's registered endpoints; see `core.webhooks.endpoints.named_by_job`."""

    endpoint_id: uuid.UUID
    url: str
    events: Sequence[EventType] = ENDED_EVENTS
    include: Include = Include.SUMMARY


@dataclass(frozen=True, slots=True)
class NewJob:
    """A checked submission, ready to be stored."""

    model: str
    lines: Sequence[NewLine]
    retention_seconds: int
    priority: Priority = Priority.DEFAULT
    decoding: Decoding = field(default_factory=Decoding)
    review_threshold: float | None = None
    client_reference: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    webhook: JobWebhook | None = None


# One statement, because a job of one line is the common one and each round trip costs it more than the work does.
# PostgreSQL checks the foreign keys between the parts at the end of the whole statement.
_CREATE = text(f"""
WITH first AS MATERIALIZED (
    SELECT {FIRST_TAG} AS tag
), job AS (
    INSERT INTO jobs (id, client_id, model, priority, decoding, review_threshold, client_reference, client_metadata,
                      webhook_endpoint_id, webhook_url, webhook_events, webhook_include, retention_seconds, lines_total)
    VALUES (:id, :client_id, :model, :priority, :decoding, :review_threshold, :client_reference, :client_metadata,
            :webhook_endpoint_id, :webhook_url, CAST(:webhook_events AS text[]), :webhook_include,
            :retention_seconds, cardinality(CAST(:media_types AS text[])))
    RETURNING created_at
), new_lines AS (
    INSERT INTO lines (job_id, index, client_id, model, priority, fair_tag, custom_id, image_width, image_height)
    SELECT :id, line.number - 1, :client_id, :model, :priority, first.tag + line.number - 1, line.custom_id,
           line.width, line.height
    FROM first, unnest(CAST(:custom_ids AS text[]), CAST(:widths AS integer[]), CAST(:heights AS integer[]))
        WITH ORDINALITY AS line(custom_id, width, height, number)
), new_images AS (
    INSERT INTO line_images (job_id, index, media_type, data)
    SELECT :id, image.number - 1, image.media_type, image.data
    FROM unnest(CAST(:media_types AS text[]), CAST(:images AS bytea[]))
        WITH ORDINALITY AS image(media_type, data, number)
)
SELECT created_at FROM job
""").bindparams(bindparam("decoding", type_=JSONB), bindparam("client_metadata", type_=JSONB))  # noqa: S608 - constants


def create_job(session: Session, client_id: uuid.UUID, new: NewJob) -> Job:
    """Store a job with its lines and images. Ring the bell only after the commit.

    Returns:
        The job as it was stored, apart from the session: to read 27 columns back would cost as much as the rest.
    """
    columns = {
        "id": new_uuid(),
        "client_id": client_id,
        "model": new.model,
        "priority": int(new.priority),
        "decoding": _decoding(new.decoding),
        "review_threshold": new.review_threshold,
        "client_reference": new.client_reference,
        "client_metadata": new.metadata,
        "webhook_endpoint_id": new.webhook.endpoint_id if new.webhook else None,
        "webhook_url": new.webhook.url if new.webhook else None,
        "webhook_events": [event.value for event in new.webhook.events] if new.webhook else None,
        "webhook_include": new.webhook.include.value if new.webhook else None,
        "retention_seconds": new.retention_seconds,
    }
    created_at = session.execute(
        _CREATE,
        {
            **columns,
            "custom_ids": [line.custom_id for line in new.lines],
            "widths": [line.size[0] if line.size else None for line in new.lines],
            "heights": [line.size[1] if line.size else None for line in new.lines],
            "media_types": [line.media_type for line in new.lines],
            "images": Blobs(line.image for line in new.lines),
        },
    ).scalar_one()
    return Job(
        **columns,
        status=JobStatus.QUEUED.value,
        lines_total=len(new.lines),
        lines_succeeded=0,
        lines_failed=0,
        lines_canceled=0,
        lines_needing_review=0,
        created_at=created_at,
    )


def _decoding(decoding: Decoding) -> dict[str, int | None]:
    """Return what is stored. A field that is younger than some workers is left out unless it says something."""
    stored = asdict(decoding)
    if decoding.top_tokens is None:
        del stored["top_tokens"]
    return stored


# Built once: for a statement this small, building it costs as much as running it.
_OWN = (Job.id == bindparam("id"), Job.client_id == bindparam("client_id"))
_FIND = select(Job, Job.expires_at <= func.clock_timestamp()).where(*_OWN)
_FIND_BOTH = (
    select(Job, Job.expires_at <= func.clock_timestamp(), Document)
    .outerjoin(Document, Document.job_id == Job.id)
    .where(*_OWN)
    .options(SEEN)
)
# What this session has seen before the lock may be old.
_FIND_LOCKED = _FIND.with_for_update().execution_options(populate_existing=True)
_LOOK = select(Job.status, Job.gone_at).where(*_OWN)
_LINES = select(Line).where(Line.job_id == bindparam("job_id")).order_by(Line.index)


def find_job(session: Session, client_id: uuid.UUID, job_id: uuid.UUID, *, lock: bool = False) -> Job:
    """Return the client's job.

    Raises:
        NotFound: there is no such job, or it is another client's: the two must look the same.
        Gone: the job was deleted or has expired.
    """
    row = session.execute(_FIND_LOCKED if lock else _FIND, {"id": job_id, "client_id": client_id}).one_or_none()
    if row is None:
        raise NotFound
    job, is_expired = row
    return _unless_gone(job, is_expired=is_expired)


def find_job_and_document(session: Session, client_id: uuid.UUID, job_id: uuid.UUID) -> tuple[Job, Document | None]:
    """Return the client's job and its document, or None for a job of lines; one look, since jobs are polled.

    Raises:
        NotFound, Gone: as for `find_job`.
    """
    row = session.execute(_FIND_BOTH, {"id": job_id, "client_id": client_id}).one_or_none()
    if row is None:
        raise NotFound
    job, is_expired, document = row
    return _unless_gone(job, is_expired=is_expired), document


def _unless_gone(job: Job, *, is_expired: bool | None) -> Job:
    if job.gone_at is not None or is_expired:
        raise Gone
    return job


def has_finished(session: Session, client_id: uuid.UUID, job_id: uuid.UUID) -> bool:
    """Tell whether the client's job has finished, or is not there any more.

    Raises:
        NotFound: there is no such job, or it is another client's.
    """
    row = session.execute(_LOOK, {"id": job_id, "client_id": client_id}).one_or_none()
    if row is None:
        raise NotFound
    status, gone_at = row
    return status in FINISHED_JOB or gone_at is not None


def list_jobs(
    session: Session,
    client_id: uuid.UUID,
    *,
    limit: int,
    before: uuid.UUID | None = None,
    status: JobStatus | None = None,
    client_reference: str | None = None,
    created_after: dt.datetime | None = None,
) -> Sequence[Job]:
    """Return the client's jobs, newest first, starting after the job with id `before`."""
    query = select(Job).where(Job.client_id == client_id, Job.gone_at.is_(None))
    query = query.where((Job.expires_at > func.now()) | Job.expires_at.is_(None))
    if before is not None:
        query = query.where(Job.id < before)
    if status is not None:
        query = query.where(Job.status == status)
    if client_reference is not None:
        query = query.where(Job.client_reference == client_reference)
    if created_after is not None:
        query = query.where(Job.created_at > created_after)
    return session.scalars(query.order_by(Job.id.desc()).limit(limit)).all()


def list_lines(
    session: Session,
    job_id: uuid.UUID,
    *,
    limit: int | None = None,
    after: int | None = None,
    status: LineStatus | None = None,
    needs_review: bool | None = None,
) -> Sequence[Line]:
    """Return the job's lines by rising index, starting after the line with index `after`."""
    query = _LINES
    if after is not None:
        query = query.where(Line.index > after)
    if status is not None:
        query = query.where(Line.status == status)
    if needs_review is not None:
        query = query.where(Line.needs_review == needs_review)
    if limit is not None:
        query = query.limit(limit)
    return session.scalars(query, {"job_id": job_id}).all()


def count_running(session: Session, job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Return how many lines of each job are being read now; jobs without any are left out."""
    query = select(Line.job_id, func.count()).where(Line.job_id.in_(job_ids), Line.status == LineStatus.RUNNING)
    return {row[0]: row[1] for row in session.execute(query.group_by(Line.job_id))}


def cancel_job(session: Session, client_id: uuid.UUID, job_id: uuid.UUID, *, keep_images: bool = True) -> Job:
    """End the job now. Lines that have finished stay; what a worker is reading is dropped when it comes in.

    Raises:
        AlreadyTerminal: the job has finished.
    """
    job = find_job(session, client_id, job_id, lock=True)
    if job.status in FINISHED_JOB:
        raise AlreadyTerminal
    canceled = session.execute(
        update(Line)
        .where(Line.job_id == job.id, Line.status.not_in(FINISHED_LINE))
        .values(status=LineStatus.CANCELED, lease_expires_at=None, finished_at=func.now())
        .returning(Line.index)
    )
    cancel_document(session, job.id, keep_images=keep_images)
    if not keep_images:
        session.execute(delete(StoredImage).where(StoredImage.job_id == job.id))
    job.lines_canceled += len(canceled.all())
    job.status = JobStatus.CANCELED
    job.finished_at = session.scalars(select(func.clock_timestamp(type_=DateTime(timezone=True)))).one()
    job.expires_at = job.finished_at + dt.timedelta(seconds=job.retention_seconds)
    session.flush()
    announce_finished(session, [job.id])
    record_ended(session, [job.id])
    return job


def delete_job(session: Session, client_id: uuid.UUID, job_id: uuid.UUID) -> None:
    """Forget images, texts and the idempotency body at once; a tombstone stays, so that a later GET says 410.

    A second call does nothing. A worker that holds a lease on a line finds no row to write to.

    Raises:
        NotFound: there is no such job of this client.
    """
    query = select(Job.id).where(Job.id == job_id, Job.client_id == client_id).with_for_update()
    if session.scalars(query).one_or_none() is None:
        raise NotFound
    forget_jobs(session, [job_id])


def forget_jobs(session: Session, job_ids: Sequence[uuid.UUID]) -> None:
    """Turn jobs, whose rows the caller has locked, into tombstones."""
    session.execute(delete(Line).where(Line.job_id.in_(job_ids)))
    forget_documents(session, job_ids)
    forget_events(session, job_ids)
    session.execute(update(IdempotencyKey).where(IdempotencyKey.job_id.in_(job_ids)).values(answer=null()))
    session.execute(
        update(Job)
        .where(Job.id.in_(job_ids), Job.gone_at.is_(None))
        .values(
            gone_at=func.now(),
            status=case((Job.status.in_(FINISHED_JOB), Job.status), else_=JobStatus.CANCELED),
            finished_at=func.coalesce(Job.finished_at, func.now()),
            client_reference=None,
            client_metadata={},
            error_detail=None,
        )
    )
    announce_finished(session, job_ids)
