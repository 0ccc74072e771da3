"""Renditions: PDFs made of a document and its transcriptions, when somebody asks, by the documents worker.

An API request asks for one with `request_rendition` and commits, which rings the worker. Then it takes a seat in the
waiting room for the job's id (the notice on PROGRESS_CHANNEL that a rendition has succeeded or failed calls it) and
looks with `find_rendition` until the status is `succeeded`, with `data`, or `failed`, with `error_code` and
`error_detail`.
"""

import datetime as dt
import uuid
from dataclasses import dataclass, field

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from core.bells import DOCUMENTS_QUEUE, ring_after_commit
from core.documents.cutting import Box
from core.documents.leases import Lease
from core.documents.writing import WrittenLine
from core.errors import DocumentError, Gone, NotFinished, NotKept, NotOffered
from core.notices import announce_progress
from core.storable import storable_text
from core.tables import Document, Job, Line, Rendition
from core.words import (
    FINISHED_JOB,
    RENDITIONS,
    Cut,
    DocumentStatus,
    LineSource,
    LineStatus,
    RenditionStatus,
    TranscriptFormat,
)


@dataclass(frozen=True, slots=True)
class ClaimedRendition:
    """A rendition that this worker may write, with everything it needs to do so."""

    lease: Lease
    format: TranscriptFormat
    data: bytes = field(repr=False)
    password: str | None = field(repr=False)
    lines: tuple[WrittenLine, ...] = field(repr=False)
    asked_at: dt.datetime


# Nothing is inserted for a document that is being deleted, or of which nothing is kept.
_REQUEST = text("""
INSERT INTO renditions (job_id, format)
SELECT job_id, :format FROM documents WHERE job_id = :job_id AND data IS NOT NULL FOR KEY SHARE
ON CONFLICT DO NOTHING
""")


def request_rendition(session: Session, job: Job, format: TranscriptFormat) -> Rendition:  # noqa: A002 - its name
    """Return the rendition of the client's job in this format; the first who asks has it made.

    Raises:
        NotOffered: the job has no document, the document was never cut, or it is no form that could be filled in.
        NotFinished: the job's lines are not all there yet.
        NotKept: the document's bytes are gone, because this service keeps none.
        Gone: the job was deleted a moment ago.
    """
    row = session.execute(select(Document.status, Document.cut).where(Document.job_id == job.id)).one_or_none()
    if row is None or format not in RENDITIONS:
        raise NotOffered
    if row.status in {DocumentStatus.QUEUED, DocumentStatus.RUNNING} or job.status not in FINISHED_JOB:
        raise NotFinished
    if row.status != DocumentStatus.SUCCEEDED or (format == TranscriptFormat.FORM and row.cut != Cut.FIELD):
        raise NotOffered
    rendition = find_rendition(session, job.id, format)
    if rendition is not None:
        return rendition
    session.execute(_REQUEST, {"job_id": job.id, "format": format.value})
    ring_after_commit(session, DOCUMENTS_QUEUE)
    rendition = find_rendition(session, job.id, format)
    if rendition is None:
        is_there = session.scalars(select(Document.job_id).where(Document.job_id == job.id)).one_or_none() is not None
        raise NotKept if is_there else Gone
    return rendition


def find_rendition(session: Session, job_id: uuid.UUID, format: TranscriptFormat) -> Rendition | None:  # noqa: A002
    """Return the rendition as it stands now, or None when nobody has asked for it or the job is gone."""
    query = select(Rendition).where(Rendition.job_id == job_id, Rendition.format == format.value)
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


_CLAIM = text("""
WITH picked AS MATERIALIZED (
    SELECT job_id, format FROM renditions WHERE status = 'queued'
    ORDER BY created_at, job_id LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE renditions SET
    status = 'running', attempt = renditions.attempt + 1, leased_by = :slot,
    lease_expires_at = clock_timestamp() + make_interval(secs => :lease_seconds)
FROM picked JOIN documents ON documents.job_id = picked.job_id
WHERE renditions.job_id = picked.job_id AND renditions.format = picked.format
RETURNING renditions.job_id, renditions.format, renditions.attempt, renditions.created_at, documents.data,
          documents.password, documents.cut
""")


def claim_rendition(session: Session, *, slot: uuid.UUID, lease_seconds: float) -> ClaimedRendition | None:
    """Claim the oldest queued rendition, or return None."""
    row = session.execute(_CLAIM, {"slot": slot, "lease_seconds": lease_seconds}).one_or_none()
    if row is None:
        return None
    asked = TranscriptFormat(row.format)
    return ClaimedRendition(
        lease=Lease(row.job_id, row.attempt, asked),
        format=asked,
        data=bytes(row.data),
        password=row.password,
        lines=_written_lines(session, row.job_id, asked, is_form=row.cut == Cut.FIELD),
        asked_at=row.created_at,
    )


def _written_lines(
    session: Session, job_id: uuid.UUID, asked: TranscriptFormat, *, is_form: bool
) -> tuple[WrittenLine, ...]:
    """Return what is written: the texts that there are. What was typed into a form's field stands there already."""
    query = select(Line.page, Line.box, Line.text, Line.custom_id).where(
        Line.job_id == job_id, Line.status == LineStatus.SUCCEEDED, Line.page.is_not(None), Line.box.is_not(None)
    )
    if asked == TranscriptFormat.FORM:
        query = query.where(Line.source != LineSource.TYPED)
    return tuple(
        WrittenLine(page or 0, _box(box or ()), words or "", name if is_form else None)
        for page, box, words, name in session.execute(query.order_by(Line.index))
    )


def _box(numbers: list[float] | tuple[float, ...]) -> Box:
    x0, y0, x1, y1 = numbers
    return x0, y0, x1, y1


def record_rendition(session: Session, lease: Lease, data: bytes) -> bool:
    """Store the PDF and tell who waits for it; return whether the lease was still ours. A second run is harmless."""
    return _end(session, lease, status=RenditionStatus.SUCCEEDED.value, data=data)


def record_rendition_failure(session: Session, lease: Lease, error: DocumentError) -> bool:
    """Store why the PDF cannot be made, and tell who waits for it; return as `record_rendition` does."""
    status, detail = RenditionStatus.FAILED.value, storable_text(error.detail)
    return _end(session, lease, status=status, error_code=error.code, error_detail=detail)


def _end(session: Session, lease: Lease, **values: object) -> bool:
    ended = update(Rendition).where(lease.is_ours).values(lease_expires_at=None, **values)
    if session.execute(ended.returning(Rendition.job_id)).one_or_none() is None:
        return False
    announce_progress(session, [lease.job_id])
    return True
