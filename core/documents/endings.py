"""How a document ends other than by its cut: it cannot be cut, its job is canceled, or forgotten."""

import uuid
from collections.abc import Sequence

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from core.documents.leases import Lease
from core.errors import DocumentError
from core.settlement import fail_jobs, lock_jobs
from core.tables import Document
from core.words import DocumentStatus

# Of a document without lines nothing can be made any more.
_FORGOTTEN = {"data": None, "password": None}


def record_failure(session: Session, lease: Lease, error: DocumentError) -> bool:
    """Fail the document and its job; return whether that was recorded, as `record_cut` does."""
    lock_jobs(session, [lease.job_id])
    failed = update(Document).where(lease.is_ours)
    failed = failed.values(status=DocumentStatus.FAILED.value, lease_expires_at=None, **_FORGOTTEN)
    if session.execute(failed.returning(Document.job_id)).one_or_none() is None:
        return False
    fail_jobs(session, [lease.job_id], error)
    return True


def cancel_document(session: Session, job_id: uuid.UUID, *, keep_images: bool) -> None:
    """Leave the document of a job that is being canceled uncut, also while a worker cuts it; the job's row is locked.

    One that is cut stays as it is.
    """
    canceled = update(Document).where(
        Document.job_id == job_id, Document.status.in_([DocumentStatus.QUEUED, DocumentStatus.RUNNING])
    )
    gone = {} if keep_images else _FORGOTTEN
    session.execute(canceled.values(status=DocumentStatus.CANCELED.value, lease_expires_at=None, **gone))


def forget_documents(session: Session, job_ids: Sequence[uuid.UUID]) -> None:
    """Forget the documents of these jobs, whose rows are locked, with everything that was made of them."""
    session.execute(delete(Document).where(Document.job_id.in_(job_ids)))
