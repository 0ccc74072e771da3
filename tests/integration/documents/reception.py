"""Where a test hands documents in, as the API does, and watches what real workers make of them."""

import io
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session, sessionmaker

from core.bells import Bells
from core.clients import create_client
from core.database import create_database_engine, create_session_factory
from core.documents.cutting import CutWish
from core.documents.new_documents import NewDocument, create_document_job
from core.documents.renditions import find_rendition, request_rendition
from core.jobs import NewJob, cancel_job, delete_job, find_job, list_lines
from core.settings import Settings
from core.tables import Document, Job, Line, Rendition, StoredImage
from core.words import FINISHED_JOB, TranscriptFormat
from tests.invariants import check_invariants, watch_transitions
from tests.waiting import eventually
from worker.recognizer.fake import fake_text


@dataclass
class Reception:
    """Submits documents and looks at their jobs."""

    settings: Settings
    sessions: sessionmaker[Session]
    client_id: uuid.UUID
    jobs: list[uuid.UUID] = field(default_factory=list)

    def hand_in(self, pdf: bytes, wish: CutWish | None = None, **options: Any) -> uuid.UUID:
        """Store a document with its job; the bell is rung by the session."""
        new = replace(NewJob(model="fake", lines=(), retention_seconds=3600), **options)
        with self.sessions.begin() as session:
            job_id = create_document_job(session, self.client_id, new, NewDocument(pdf, wish or CutWish())).id
        self.jobs.append(job_id)
        return job_id

    def cancel(self, job_id: uuid.UUID) -> None:
        with self.sessions.begin() as session:
            cancel_job(session, self.client_id, job_id, keep_images=self.settings.keep_images)

    def delete(self, job_id: uuid.UUID) -> None:
        with self.sessions.begin() as session:
            delete_job(session, self.client_id, job_id)

    def ask(self, job_id: uuid.UUID, asked: TranscriptFormat) -> None:
        """Ask for a rendition, as the API does."""
        with self.sessions.begin() as session:
            request_rendition(session, find_job(session, self.client_id, job_id), asked)

    def written(self, job_id: uuid.UUID, asked: TranscriptFormat, timeout_seconds: float = 30.0) -> Rendition:
        """Ask for a rendition, wait until it is written or cannot be, and return it."""
        self.ask(job_id, asked)

        def find() -> Rendition | None:
            with self.sessions() as session:
                found = find_rendition(session, job_id, asked)
            return found if found is not None and found.status in {"succeeded", "failed"} else None

        found = eventually(find, timeout_seconds, "the rendition was never written")
        assert found is not None
        return found

    def damage(self, job_id: uuid.UUID, data: bytes) -> None:
        """Store other bytes as the document."""
        with self.sessions.begin() as session:
            session.execute(update(Document).where(Document.job_id == job_id).values(data=data))

    def job(self, job_id: uuid.UUID) -> Job:
        with self.sessions() as session:
            return session.get_one(Job, job_id)

    def document(self, job_id: uuid.UUID) -> Document:
        with self.sessions() as session:
            return session.get_one(Document, job_id)

    def lines(self, job_id: uuid.UUID) -> Sequence[Line]:
        with self.sessions() as session:
            return list_lines(session, job_id)

    def reached(self, job_id: uuid.UUID, status: str, timeout_seconds: float = 30.0) -> Document:
        """Wait until the document has this status, and return it."""
        eventually(lambda: self.document(job_id).status == status, timeout_seconds, f"it never became {status}")
        return self.document(job_id)

    def ended(self, job_id: uuid.UUID, timeout_seconds: float = 30.0) -> Document:
        """Wait until the document is cut or cannot be, and return it."""
        eventually(lambda: self.document(job_id).status in {"succeeded", "failed"}, timeout_seconds, "it was never cut")
        return self.document(job_id)

    def finished(self, job_id: uuid.UUID, timeout_seconds: float = 30.0) -> Job:
        """Wait until the job has finished, and return it."""
        eventually(lambda: self.job(job_id).status in FINISHED_JOB, timeout_seconds, "the job never finished")
        return self.job(job_id)

    def changed(self, **groups: dict[str, object]) -> Settings:
        """Return the settings with fields of their groups changed."""
        updates = {name: getattr(self.settings, name).model_copy(update=fields) for name, fields in groups.items()}
        return self.settings.model_copy(update=updates)

    def expected_texts(self, job_id: uuid.UUID) -> list[str | None]:
        """Return what must have been read: what the fake recogniser says for the stored images.

        There are none where a line was typed, where it failed, and where nothing is kept: then there is what there is.
        """
        query = select(StoredImage.index, StoredImage.data).where(StoredImage.job_id == job_id)
        with self.sessions() as session:
            images = {image.index: image.data for image in session.execute(query)}
        return [
            fake_text(np.asarray(Image.open(io.BytesIO(images[line.index])).convert("RGB")))
            if line.index in images and line.error_code is None
            else line.text
            for line in self.lines(job_id)
        ]

    def check_invariants(self) -> None:
        """Check what must hold when every job has had its time."""
        expected = {job_id: self.expected_texts(job_id) for job_id in self.jobs}
        check_invariants(
            self.sessions,
            expected,
            sweep_seconds=self.settings.leases.sweep_seconds,
            keep_images=self.settings.keep_images,
        )

    def scalar(self, query: str) -> Any:
        with self.sessions() as session:
            return session.execute(text(query)).scalar_one()


@contextmanager
def open_reception(settings: Settings) -> Iterator[Reception]:
    """Give a reception over a database and a broker."""
    engine = create_database_engine(settings, "test-reception")
    sessions = create_session_factory(engine)
    bells = Bells(settings)
    bells.attach(sessions)
    with sessions.begin() as session:
        client_id = create_client(session, "reception").id
    watch_transitions(sessions)
    yield Reception(settings, sessions, client_id)
    bells.close()
    engine.dispose()
