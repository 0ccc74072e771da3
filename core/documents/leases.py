"""Leases on documents and renditions, one row at a time: renew, give back. `core.claims` does the same for lines.

A claim bumps the row's `attempt` and every later write repeats it, so whoever lost its lease writes nothing. Leases run
on the database's clock only.
"""

import uuid
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, update
from sqlalchemy.orm import Session

from core.tables import Document, Rendition
from core.words import DocumentStatus, TranscriptFormat

Leased = type[Document] | type[Rendition]
QUEUED = DocumentStatus.QUEUED.value  # the same word for both


@dataclass(frozen=True, slots=True)
class Lease:
    """A claim on a document or, with its format, on a rendition of it."""

    job_id: uuid.UUID
    attempt: int
    format: TranscriptFormat | None = None

    @property
    def table(self) -> Leased:
        """What is claimed."""
        return Document if self.format is None else Rendition

    @property
    def is_ours(self) -> ColumnElement[bool]:
        """The condition that every write repeats: the row is still leased, and by this attempt."""
        condition = and_(
            self.table.job_id == self.job_id,
            self.table.attempt == self.attempt,
            self.table.lease_expires_at.is_not(None),
        )
        return condition if self.format is None else and_(condition, Rendition.format == self.format.value)


def renew_lease(session: Session, lease: Lease, lease_seconds: float) -> bool:
    """Extend the lease if it is still ours, and return whether it is."""
    expires_at = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, lease_seconds)
    renewed = update(lease.table).where(lease.is_ours).values(lease_expires_at=expires_at)
    return session.execute(renewed.returning(lease.table.job_id)).one_or_none() is not None


def release_lease(session: Session, lease: Lease) -> None:
    """Give back, uncharged, what was claimed and not finished for a reason of ours."""
    session.execute(update(lease.table).where(lease.is_ours).values(status=QUEUED, lease_expires_at=None))


def release_orphans(session: Session, table: Leased, slot: uuid.UUID) -> int:
    """Give back, uncharged, what this slot has claimed without knowing: the answer to the claim's commit was lost.

    Only a slot that holds nothing now may call this. Returns how many rows were given back.
    """
    orphans = update(table).where(table.leased_by == slot, table.lease_expires_at.is_not(None))
    return len(session.execute(orphans.values(status=QUEUED, lease_expires_at=None).returning(table.job_id)).all())
