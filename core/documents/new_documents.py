"""Taking a document in: its job has no lines until a worker has cut it."""

import json
import uuid
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.bells import DOCUMENTS_QUEUE, ring_after_commit
from core.documents.cutting import CutWish
from core.documents.wishes import stored_pages, stored_regions
from core.jobs import NewJob, create_job
from core.tables import Job


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A checked form PDF, ready to be stored. `template` is the name of the one that the wish was taken from."""

    data: bytes = field(repr=False)
    wish: CutWish = field(default_factory=CutWish)
    template: str | None = None


_STORE = text("""
INSERT INTO documents (job_id, data, size_bytes, password, asked_cut, pages, regions, template)
VALUES (:job_id, :data, :size_bytes, :password, :asked_cut, CAST(:pages AS jsonb), CAST(:regions AS jsonb), :template)
""")


def create_document_job(session: Session, client_id: uuid.UUID, new: NewJob, document: NewDocument) -> Job:
    """Store a job without lines and the document that they will be cut from; rings the documents worker by itself.

    `new.lines` must be empty. The job is `queued`, with `lines_total` 0, until the document is cut.
    """
    job = create_job(session, client_id, new)
    wish = document.wish
    session.execute(
        _STORE,
        {
            "job_id": job.id,
            "data": document.data,
            "size_bytes": len(document.data),
            "password": wish.password,
            "asked_cut": wish.cut.value,
            "pages": _json(stored_pages(wish.pages)),
            "regions": _json(stored_regions(wish.regions)),
            "template": document.template,
        },
    )
    ring_after_commit(session, DOCUMENTS_QUEUE)
    return job


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value)
