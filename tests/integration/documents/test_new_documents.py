"""A document is stored with its job, which waits for it to be cut."""

import uuid

from core.documents.cutting import CutWish, Region
from core.documents.wishes import wish_of
from core.words import Cut
from tests.integration.documents.paperwork import PDF, Paperwork


def test_a_document_s_job_waits_without_lines(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    wish = CutWish(Cut.REGIONS, ((1, 2), (7, 7)), "s3cret", (Region("name", 1, (1.0, 2.0, 30.0, 40.0)),))

    job_id = paperwork.submit(client_id, wish)

    job, document = paperwork.scenario.job(job_id), paperwork.document(job_id)
    assert (job.status, job.lines_total) == ("queued", 0)
    assert (document.status, document.data, document.size_bytes, document.attempt) == ("queued", PDF, len(PDF), 0)
    assert wish_of(document.asked_cut, document.pages, document.regions, document.password) == wish
    assert paperwork.scenario.lines(job_id) == []


def test_what_a_wish_does_not_name_is_null(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    job_id = paperwork.submit(client_id)

    query = "SELECT count(*) FROM documents WHERE job_id = :id AND pages IS NULL AND regions IS NULL AND cut IS NULL"
    assert paperwork.scenario.scalar(query, id=job_id) == 1
