"""The writing of renditions, as a kind of work."""

import uuid
from collections.abc import Callable

import structlog
from sqlalchemy.orm import Session

from core.documents.leases import Leased
from core.documents.renditions import (
    ClaimedRendition,
    claim_rendition,
    record_rendition,
    record_rendition_failure,
)
from core.errors import DocumentError
from core.ids import public_id
from core.representation import JOB_PREFIX
from core.tables import Rendition
from worker.documents.metrics import RENDITIONS, WRITE_SECONDS
from worker.sandbox.pdf_writing import PdfWriter

log = structlog.get_logger(__name__)


class Writing:
    """A `Work` of `worker.documents.desk`."""

    name = "rendition"
    table: Leased = Rendition

    def __init__(self, writer: PdfWriter) -> None:
        self._writer = writer

    def claim(self, session: Session, *, slot: uuid.UUID, lease_seconds: float) -> ClaimedRendition | None:
        """Claim a rendition."""
        return claim_rendition(session, slot=slot, lease_seconds=lease_seconds)

    def do(self, held: ClaimedRendition, on_progress: Callable[[], None]) -> bytes:
        """Write it."""
        return self._writer.write(held.data, held.password, held.format, held.lines, on_progress)

    def record(self, session: Session, held: ClaimedRendition, result: bytes | DocumentError) -> bool:
        """Store the PDF, or why there is none."""
        if isinstance(result, DocumentError):
            return record_rendition_failure(session, held.lease, result)
        return record_rendition(session, held.lease, result)

    def tell(self, held: ClaimedRendition, result: bytes | DocumentError, seconds: float) -> None:
        """Log and count."""
        is_written = not isinstance(result, DocumentError)
        RENDITIONS.labels(held.format.value, "written" if is_written else "failed").inc()
        if is_written:
            WRITE_SECONDS.observe(seconds)
        log.info(
            "rendition.written" if is_written else "rendition.failed",
            job_id=public_id(JOB_PREFIX, held.lease.job_id),
            format=held.format.value,
            lines=len(held.lines),
            size_bytes=len(result) if isinstance(result, bytes) else None,
            error=result.code if isinstance(result, DocumentError) else None,
            ms=round(seconds * 1000, 1),
        )

    def close(self) -> None:
        """Let the sandbox child go."""
        self._writer.close()
