"""A PDF is made of a document when somebody asks, once, and who waits for it is told."""

import uuid

import psycopg
import pytest
from sqlalchemy.orm import Session

from core.documents.leases import Lease
from core.documents.renditions import record_rendition, record_rendition_failure
from core.errors import Gone, InvalidPdf, NotFinished, NotKept, NotOffered
from core.notices import PROGRESS_CHANNEL, parse_notice
from core.settings import Settings
from core.words import TranscriptFormat
from tests.integration.core.scenario import at_once
from tests.integration.documents.paperwork import BOX, PDF, Paperwork, drawn, form, typed

FORM, SEARCHABLE = TranscriptFormat.FORM, TranscriptFormat.PDF


def record(paperwork: Paperwork, lease: Lease, data: bytes) -> bool:
    with paperwork.scenario.sessions.begin() as session:
        return record_rendition(session, lease, data)


def test_what_is_asked_for_twice_is_made_once(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    job_id = paperwork.cut_job(client_id, form(drawn("name"), typed("Berlin", "city")))

    first, second = (paperwork.ask(client_id, job_id, SEARCHABLE) for _ in range(2))
    claimed = paperwork.claim_rendition()

    assert first.status == second.status == "queued"
    assert claimed is not None
    assert paperwork.claim_rendition() is None
    assert (claimed.format, claimed.data, claimed.lease.attempt) == (SEARCHABLE, PDF, 1)
    assert [(line.text, line.box, line.field) for line in claimed.lines] == [
        ("reading of line 0", BOX, "name"),
        ("Berlin", BOX, "city"),
    ]


def test_many_who_ask_at_once_get_the_same_one(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    job_id = paperwork.cut_job(client_id, form(drawn("name")))

    asked = at_once(*[lambda: paperwork.ask(client_id, job_id, SEARCHABLE)] * 6)

    assert [one.status for one in asked] == ["queued"] * 6
    assert paperwork.scenario.scalar("SELECT count(*) FROM renditions") == 1


def test_a_form_is_filled_with_what_was_read_and_not_with_what_it_holds(
    paperwork: Paperwork, client_id: uuid.UUID
) -> None:
    job_id = paperwork.cut_job(client_id, form(drawn("name"), typed("Berlin", "city")))
    paperwork.ask(client_id, job_id, FORM)

    claimed = paperwork.claim_rendition()

    assert claimed is not None
    assert [(line.field, line.text) for line in claimed.lines] == [("name", "reading of line 0")]


def test_a_written_rendition_is_there_for_whoever_asks_next(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    job_id = paperwork.cut_job(client_id, form(drawn("name")))
    paperwork.ask(client_id, job_id, SEARCHABLE)
    claimed = paperwork.claim_rendition()
    assert claimed is not None

    assert record(paperwork, claimed.lease, b"%PDF written")
    assert not record(paperwork, claimed.lease, b"%PDF again")

    again = paperwork.ask(client_id, job_id, SEARCHABLE)
    assert (again.status, again.data) == ("succeeded", b"%PDF written")
    assert paperwork.claim_rendition() is None


def test_a_document_that_cannot_be_written_says_why(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    job_id = paperwork.cut_job(client_id, form(drawn("name")))
    paperwork.ask(client_id, job_id, SEARCHABLE)
    claimed = paperwork.claim_rendition()
    assert claimed is not None

    with paperwork.scenario.sessions.begin() as session:
        assert record_rendition_failure(session, claimed.lease, InvalidPdf("It is damaged."))

    found = paperwork.rendition(job_id, SEARCHABLE)
    assert found is not None
    assert (found.status, found.error_code, found.error_detail) == ("failed", "invalid_pdf", "It is damaged.")
    assert paperwork.scenario.job(job_id).status == "succeeded"


def test_who_waits_for_a_rendition_is_told(
    paperwork: Paperwork, client_id: uuid.UUID, database_settings: Settings
) -> None:
    job_id = paperwork.cut_job(client_id, form(drawn("name")))
    paperwork.ask(client_id, job_id, SEARCHABLE)
    claimed = paperwork.claim_rendition()
    assert claimed is not None
    with psycopg.connect(database_settings.database_url.get_secret_value(), autocommit=True) as listener:
        listener.execute(f"LISTEN {PROGRESS_CHANNEL}")

        record(paperwork, claimed.lease, b"%PDF written")

        (notice,) = listener.notifies(timeout=10, stop_after=1)
    assert parse_notice(notice.payload) == [job_id]


def test_a_worker_that_dies_writing_is_charged_and_the_third_death_ends_it(
    paperwork: Paperwork, client_id: uuid.UUID
) -> None:
    job_id = paperwork.cut_job(client_id, form(drawn("name")))
    paperwork.ask(client_id, job_id, SEARCHABLE)
    late = paperwork.claim_rendition()
    assert late is not None
    paperwork.expire_leases()
    assert paperwork.recover().requeued == 1
    for _ in range(2):
        held = paperwork.claim_rendition()
        assert held is not None
        paperwork.give_up(held)

    assert not record(paperwork, late.lease, b"%PDF late")

    found = paperwork.rendition(job_id, SEARCHABLE)
    assert found is not None
    assert (found.status, found.error_code, found.crash_attempts) == ("failed", "worker_crash", 3)
    paperwork.submitted[job_id] = ["reading of line 0"]
    paperwork.check_invariants()


def test_a_rendition_goes_with_its_job(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    """I8."""
    job_id = paperwork.cut_job(client_id, form(drawn("name")))
    paperwork.ask(client_id, job_id, SEARCHABLE)
    claimed = paperwork.claim_rendition()
    assert claimed is not None

    paperwork.scenario.delete(client_id, job_id)

    assert not record(paperwork, claimed.lease, b"%PDF late")
    assert paperwork.scenario.scalar("SELECT count(*) FROM renditions") == 0
    paperwork.check_invariants()


def test_a_job_of_images_or_of_another_cut_is_not_offered_as_a_form(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    images = paperwork.scenario.submit(client_id, 1)
    paperwork.scenario.drain()
    form_job = paperwork.cut_job(client_id, form(drawn("name")))
    pages = paperwork.cut_job(client_id, form(drawn("name")))
    paperwork.change("UPDATE documents SET cut = 'page' WHERE job_id = :id", id=pages)

    for job_id, asked in [(images, SEARCHABLE), (pages, FORM), (form_job, TranscriptFormat.CSV)]:
        with pytest.raises(NotOffered):
            paperwork.ask(client_id, job_id, asked)


def test_a_failed_or_canceled_cut_offers_nothing(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    failed, canceled = (paperwork.submit(client_id) for _ in range(2))
    paperwork.fail(paperwork.claimed(), InvalidPdf())
    paperwork.cancel(client_id, canceled)

    for job_id in (failed, canceled):
        with pytest.raises(NotOffered):
            paperwork.ask(client_id, job_id, SEARCHABLE)


def test_a_job_that_is_still_read_has_to_be_waited_for(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    job_id = paperwork.submit(client_id)
    with pytest.raises(NotFinished):
        paperwork.ask(client_id, job_id, SEARCHABLE)
    paperwork.record(paperwork.claimed(), form(drawn("name")))

    with pytest.raises(NotFinished):
        paperwork.ask(client_id, job_id, SEARCHABLE)


def test_a_document_that_was_not_kept_cannot_be_written(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    job_id = paperwork.submit(client_id)
    paperwork.record(paperwork.claimed(), form(typed("x")), keep_images=False)

    with pytest.raises(NotKept):
        paperwork.ask(client_id, job_id, SEARCHABLE)


def test_a_job_deleted_while_somebody_asks_is_gone(
    paperwork: Paperwork, client_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = paperwork.cut_job(client_id, form(drawn("name")))
    deleted: list[uuid.UUID] = []

    def delete_once(session: Session, found: uuid.UUID, asked: TranscriptFormat) -> None:
        if not deleted:  # between the look and the insert
            deleted.append(found)
            paperwork.scenario.delete(client_id, found)

    monkeypatch.setattr("core.documents.renditions.find_rendition", delete_once)
    with pytest.raises(Gone):
        paperwork.ask(client_id, job_id, SEARCHABLE)
