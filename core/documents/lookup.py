"""Documents as they stand, without their bytes and passwords, which nobody needs who looks at a job."""

import uuid
from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session, load_only

from core.tables import Document

SEEN = load_only(
    Document.status,
    Document.asked_cut,
    Document.pages,
    Document.template,
    Document.cut,
    Document.found_pages,
    Document.skipped,
    raiseload=True,
)


def find_documents(session: Session, job_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Document]:
    """Return the documents of these jobs as they are now; jobs of lines are left out."""
    if not job_ids:
        return {}
    query = select(Document).where(Document.job_id.in_(job_ids)).options(SEEN)
    found = session.scalars(query.execution_options(populate_existing=True))
    return {document.job_id: document for document in found}
