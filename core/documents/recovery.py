"""Documents and renditions whose worker died: put them back, charged with a crash, or fail them after the last."""

import uuid
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal_column, select, tuple_, update
from sqlalchemy.orm import Session

from core.documents.leases import Lease
from core.errors import InkpostError, WorkerCrash
from core.notices import announce_progress
from core.recovery import Recovered
from core.settlement import fail_jobs
from core.storable import storable_text
from core.tables import Document, Job, Rendition
from core.words import DocumentStatus, RenditionStatus

_ROWS_PER_SWEEP = 100
_CRASHED_CUTTING = WorkerCrash("The worker died each time it cut this document.")
_CRASHED_WRITING = WorkerCrash("The worker died each time it wrote this document.")
# A constant and not a parameter: see core.tables.LINE_IS_QUEUED.
_RUNNING: ColumnElement[str] = literal_column(f"'{DocumentStatus.RUNNING}'")


def recover_expired_documents(session: Session, *, max_crashes: int) -> Recovered:
    """Recover the documents and renditions whose lease has expired by the database's clock."""
    documents = _recover_documents(
        session, Document.lease_expires_at < func.clock_timestamp(), _CRASHED_CUTTING, max_crashes
    )
    renditions = _recover_renditions(
        session, Rendition.lease_expires_at < func.clock_timestamp(), _CRASHED_WRITING, max_crashes
    )
    return Recovered(documents.requeued + renditions.requeued, documents.failed + renditions.failed)


def give_up_lease(session: Session, lease: Lease, *, max_crashes: int, error: InkpostError | None = None) -> Recovered:
    """Charge what we still hold with a crash: its worker failed, or its sandbox child was killed, over it.

    Once it has had enough it fails with the error, else with that of a worker that died.
    """
    if lease.format is None:
        return _recover_documents(session, lease.is_ours, error or _CRASHED_CUTTING, max_crashes)
    return _recover_renditions(session, lease.is_ours, error or _CRASHED_WRITING, max_crashes)


def _recover_documents(
    session: Session, condition: ColumnElement[bool], error: InkpostError, max_crashes: int
) -> Recovered:
    """Recover running documents that satisfy the condition, which is evaluated again under the row's lock.

    A document whose job somebody holds is being recorded or canceled; waiting for that would keep all else unswept.
    """
    running = (Document.status == _RUNNING, condition)
    found = select(Document.job_id).where(*running).limit(_ROWS_PER_SWEEP)
    free = select(Job.id).where(Job.id.in_(found)).order_by(Job.id).with_for_update(skip_locked=True)
    seen = session.scalars(free).all()
    if not seen:
        return Recovered()
    is_over = Document.crash_attempts + 1 >= max_crashes
    rows = session.execute(
        update(Document)
        .where(*running, Document.job_id.in_(seen))
        .values(
            status=case((is_over, DocumentStatus.FAILED.value), else_=DocumentStatus.QUEUED.value),
            crash_attempts=Document.crash_attempts + 1,
            lease_expires_at=None,
            data=case((is_over, None), else_=Document.data),
            password=case((is_over, None), else_=Document.password),
        )
        .returning(Document.job_id, Document.status)
    ).all()
    failed = [job_id for job_id, status in rows if status == DocumentStatus.FAILED]
    if failed:
        fail_jobs(session, failed, error)
    return Recovered(requeued=len(rows) - len(failed), failed=len(failed))


def _recover_renditions(
    session: Session, condition: ColumnElement[bool], error: InkpostError, max_crashes: int
) -> Recovered:
    """Do the same with renditions."""
    running = (Rendition.status == _RUNNING, condition)
    seen = session.execute(select(Rendition.job_id, Rendition.format).where(*running).limit(_ROWS_PER_SWEEP)).all()
    if not seen:
        return Recovered()
    is_over = Rendition.crash_attempts + 1 >= max_crashes
    values: dict[str, Any] = {
        "status": case((is_over, RenditionStatus.FAILED.value), else_=RenditionStatus.QUEUED.value),
        "crash_attempts": Rendition.crash_attempts + 1,
        "lease_expires_at": None,
        "error_code": case((is_over, error.code), else_=None),
        "error_detail": case((is_over, storable_text(error.detail)), else_=None),
    }
    mine = tuple_(Rendition.job_id, Rendition.format).in_([tuple(row) for row in seen])
    rows = session.execute(
        update(Rendition).where(*running, mine).values(values).returning(Rendition.job_id, Rendition.status)
    ).all()
    failed: list[uuid.UUID] = [job_id for job_id, status in rows if status == RenditionStatus.FAILED]
    announce_progress(session, failed)
    return Recovered(requeued=len(rows) - len(failed), failed=len(failed))
