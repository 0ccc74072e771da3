"""Short words for what clients and documents workers do, each in a transaction of its own."""

import uuid
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import text

from core.documents.cutting import CutWish
from core.documents.new_documents import NewDocument, create_document_job
from core.jobs import NewJob
from core.tables import Document
from tests.integration.core.scenario import MODEL, Scenario

PDF = b"%PDF-1.7 as good as any: nobody opens it here"


@dataclass(frozen=True, slots=True)
class Paperwork:
    """Clients and documents workers on a scenario's database."""

    scenario: Scenario

    def submit(
        self, client_id: uuid.UUID, wish: CutWish | None = None, *, data: bytes = PDF, **options: Any
    ) -> uuid.UUID:
        new = replace(NewJob(model=MODEL, lines=(), retention_seconds=3600), **options)
        with self.scenario.sessions.begin() as session:
            return create_document_job(session, client_id, new, NewDocument(data, wish or CutWish())).id

    def document(self, job_id: uuid.UUID) -> Document:
        with self.scenario.sessions() as session:
            return session.get_one(Document, job_id)

    def change(self, statement: str, **values: object) -> None:
        with self.scenario.sessions.begin() as session:
            session.execute(text(statement), values)
