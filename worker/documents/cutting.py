"""The cutting of documents, as a kind of work."""

import datetime as dt
import uuid
from collections.abc import Callable

import structlog
from sqlalchemy.orm import Session

from core.documents.claims import ClaimedDocument, claim_document, record_cut
from core.documents.cutting import CutDocument
from core.documents.endings import record_failure
from core.documents.leases import Leased
from core.errors import DocumentError, NoLines
from core.ids import public_id
from core.representation import JOB_PREFIX
from core.tables import Document
from worker.documents.metrics import CUT_LINES, CUT_SECONDS, DOCUMENTS, QUEUED_SECONDS
from worker.sandbox.pdf_sandbox import PdfCutter

log = structlog.get_logger(__name__)


class Cutting:
    """A `Work` of `worker.documents.desk`."""

    name = "document"
    table: Leased = Document

    def __init__(self, cutter: PdfCutter, *, keep_images: bool) -> None:
        self._cutter = cutter
        self._keep_images = keep_images

    def claim(self, session: Session, *, slot: uuid.UUID, lease_seconds: float) -> ClaimedDocument | None:
        """Claim a document."""
        return claim_document(session, slot=slot, lease_seconds=lease_seconds)

    def do(self, held: ClaimedDocument, on_progress: Callable[[], None]) -> CutDocument:
        """Cut it."""
        QUEUED_SECONDS.observe(max(0.0, (dt.datetime.now(dt.UTC) - held.submitted_at).total_seconds()))
        cut = self._cutter.cut(held.data, held.wish, on_progress)
        if not cut.lines:  # the child is not to be trusted with this: such a job would never end
            raise NoLines
        return cut

    def record(self, session: Session, held: ClaimedDocument, result: CutDocument | DocumentError) -> bool:
        """Store the lines, or fail the job."""
        if isinstance(result, DocumentError):
            return record_failure(session, held.lease, result)
        return record_cut(session, held.lease, result, keep_images=self._keep_images)

    def tell(self, held: ClaimedDocument, result: CutDocument | DocumentError, seconds: float) -> None:
        """Log and count; never a name, a text or a password."""
        milliseconds = round(seconds * 1000, 1)
        job_id = public_id(JOB_PREFIX, held.lease.job_id)
        if isinstance(result, DocumentError):
            DOCUMENTS.labels("failed").inc()
            log.info("document.failed", job_id=job_id, error=result.code, size_bytes=len(held.data), ms=milliseconds)
            return
        DOCUMENTS.labels("cut").inc()
        CUT_SECONDS.observe(seconds)
        CUT_LINES.observe(len(result.lines))
        log.info(
            "document.cut",
            job_id=job_id,
            cut=result.cut.value,
            size_bytes=len(held.data),
            pages=len(result.pages),
            lines=len(result.lines),
            typed=sum(line.text is not None for line in result.lines),
            failed=sum(line.error is not None for line in result.lines),
            skipped=len(result.skipped),
            ms=milliseconds,
        )

    def close(self) -> None:
        """Let the sandbox child go."""
        self._cutter.close()
