"""Short words for what clients and documents workers do, each in a transaction of its own."""

import io
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image
from sqlalchemy import text

from core.documents.claims import ClaimedDocument, claim_document, record_cut
from core.documents.cutting import CutDocument, CutLine, CutWish, Page, SkippedField
from core.documents.endings import record_failure
from core.documents.leases import release_lease, renew_lease
from core.documents.new_documents import NewDocument, create_document_job
from core.documents.recovery import give_up_lease, recover_expired_documents
from core.documents.renditions import ClaimedRendition, claim_rendition, find_rendition, request_rendition
from core.errors import DocumentError, InkpostError
from core.jobs import NewJob, cancel_job, find_job
from core.recovery import Recovered
from core.tables import Document, Rendition
from core.words import Cut, TranscriptFormat
from tests.integration.core.scenario import MAX_CRASHES, MODEL, Scenario
from tests.invariants import check_invariants

PDF = b"%PDF-1.7 as good as any: nobody opens it here"
BOX = (10.0, 20.0, 110.0, 40.0)


def png(width: int = 30, height: int = 8) -> bytes:
    """Return a line image as a cutter makes them."""
    file = io.BytesIO()
    Image.new("L", (width, height), 255).save(file, "PNG")
    return file.getvalue()


IMAGE = png()


def drawn(name: str | None = None) -> CutLine:
    """Return a line that waits to be read."""
    return CutLine(1, BOX, name, image=IMAGE)


def typed(words: str, name: str | None = None) -> CutLine:
    """Return a line whose text stood in its field."""
    return CutLine(1, BOX, name, text=words)


def form(*lines: CutLine, skipped: Sequence[SkippedField] = ()) -> CutDocument:
    """Return the cut of a form of one page."""
    return CutDocument(Cut.FIELD, (Page(1, "i", 595.0, 842.0),), lines, tuple(skipped))


@dataclass(frozen=True, slots=True)
class Paperwork:
    """Clients and documents workers on a scenario's database, and what must have become of each job's lines."""

    scenario: Scenario
    submitted: dict[uuid.UUID, list[str | None]] = field(default_factory=dict)

    def submit(
        self, client_id: uuid.UUID, wish: CutWish | None = None, *, data: bytes = PDF, **options: Any
    ) -> uuid.UUID:
        new = replace(NewJob(model=MODEL, lines=(), retention_seconds=3600), **options)
        with self.scenario.sessions.begin() as session:
            job_id = create_document_job(session, client_id, new, NewDocument(data, wish or CutWish())).id
        self.submitted[job_id] = []
        return job_id

    def claim(self, *, slot: uuid.UUID | None = None, lease_seconds: float = 30.0) -> ClaimedDocument | None:
        with self.scenario.sessions.begin() as session:
            return claim_document(session, slot=slot or uuid.uuid4(), lease_seconds=lease_seconds)

    def claimed(self) -> ClaimedDocument:
        document = self.claim()
        assert document is not None
        return document

    def record(self, document: ClaimedDocument, cut: CutDocument, *, keep_images: bool = True) -> bool:
        with self.scenario.sessions.begin() as session:
            return record_cut(session, document.lease, cut, keep_images=keep_images)

    def fail(self, document: ClaimedDocument, error: DocumentError) -> bool:
        with self.scenario.sessions.begin() as session:
            return record_failure(session, document.lease, error)

    def renew(self, document: ClaimedDocument) -> bool:
        with self.scenario.sessions.begin() as session:
            return renew_lease(session, document.lease, 30.0)

    def release(self, document: ClaimedDocument) -> None:
        with self.scenario.sessions.begin() as session:
            release_lease(session, document.lease)

    def give_up(self, held: ClaimedDocument | ClaimedRendition, error: InkpostError | None = None) -> Recovered:
        with self.scenario.sessions.begin() as session:
            return give_up_lease(session, held.lease, max_crashes=MAX_CRASHES, error=error)

    def expire_leases(self) -> None:
        for table in ("documents", "renditions"):
            self.change(f"UPDATE {table} SET lease_expires_at = now() - interval '1 minute' WHERE status = 'running'")

    def recover(self) -> Recovered:
        with self.scenario.sessions.begin() as session:
            return recover_expired_documents(session, max_crashes=MAX_CRASHES)

    def cancel(self, client_id: uuid.UUID, job_id: uuid.UUID, *, keep_images: bool = True) -> None:
        with self.scenario.sessions.begin() as session:
            cancel_job(session, client_id, job_id, keep_images=keep_images)

    def cut_job(self, client_id: uuid.UUID, cut: CutDocument) -> uuid.UUID:
        """Submit a document, cut it so, and read its lines."""
        job_id = self.submit(client_id)
        assert self.record(self.claimed(), cut)
        self.read()
        return job_id

    def read(self) -> None:
        """Read what is queued."""
        while lines := self.scenario.claim():
            self.scenario.record([replace(line, image=f"line {line.index}".encode()) for line in lines])

    def ask(self, client_id: uuid.UUID, job_id: uuid.UUID, asked: TranscriptFormat) -> Rendition:
        with self.scenario.sessions.begin() as session:
            return request_rendition(session, find_job(session, client_id, job_id), asked)

    def claim_rendition(self) -> ClaimedRendition | None:
        with self.scenario.sessions.begin() as session:
            return claim_rendition(session, slot=uuid.uuid4(), lease_seconds=30.0)

    def rendition(self, job_id: uuid.UUID, asked: TranscriptFormat) -> Rendition | None:
        with self.scenario.sessions() as session:
            return find_rendition(session, job_id, asked)

    def document(self, job_id: uuid.UUID) -> Document:
        with self.scenario.sessions() as session:
            return session.get_one(Document, job_id)

    def change(self, statement: str, **values: object) -> None:
        with self.scenario.sessions.begin() as session:
            session.execute(text(statement), values)

    def check_invariants(self, *, keep_images: bool = True) -> None:
        check_invariants(self.scenario.sessions, self.submitted, keep_images=keep_images)
