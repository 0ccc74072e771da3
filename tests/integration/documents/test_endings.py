"""How documents end badly, and that their jobs end as any other."""

import uuid

from core.documents.claims import record_cut
from core.errors import PdfEncrypted, UnprocessableInput
from core.housekeeping import sweep, tidy
from core.settings import Settings
from core.words import EventType
from tests.integration.documents.paperwork import Paperwork, form, typed


def test_a_document_that_cannot_be_cut_fails_its_job(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    job_id = paperwork.submit(client_id, retention_seconds=60)
    document = paperwork.claimed()

    assert paperwork.fail(document, PdfEncrypted("The password is wrong."))
    assert not paperwork.fail(document, PdfEncrypted())

    job = paperwork.scenario.job(job_id)
    assert (job.status, job.error_code, job.error_detail) == ("failed", "pdf_encrypted", "The password is wrong.")
    assert job.finished_at is not None
    assert job.expires_at is not None
    assert round((job.expires_at - job.finished_at).total_seconds()) == 60
    assert paperwork.claim() is None
    paperwork.check_invariants()


def test_the_end_of_a_job_whose_document_fails_is_told_once(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    """I4."""
    paperwork.change(
        "INSERT INTO webhook_endpoints (id, client_id, url, is_registered, events, include, secret)"
        " VALUES (gen_random_uuid(), :client, 'https://example.com/', true, ARRAY['job.failed'], 'summary', '\\x00')",
        client=client_id,
    )
    paperwork.submit(client_id)
    document = paperwork.claimed()

    paperwork.fail(document, UnprocessableInput())
    paperwork.fail(document, UnprocessableInput())

    assert paperwork.scenario.scalar("SELECT array_agg(type) FROM events") == [EventType.JOB_FAILED.value]
    assert paperwork.scenario.scalar("SELECT count(*) FROM deliveries") == 1


def test_an_expired_lease_puts_a_document_back_and_the_third_death_fails_its_job(
    paperwork: Paperwork, client_id: uuid.UUID
) -> None:
    job_id = paperwork.submit(client_id)
    done = []
    for _ in range(3):
        paperwork.claimed()
        assert paperwork.recover().requeued == 0  # a living lease is left alone
        paperwork.expire_leases()
        recovered = paperwork.recover()
        done.append((recovered.requeued, recovered.failed))

    assert done == [(1, 0), (1, 0), (0, 1)]
    job = paperwork.scenario.job(job_id)
    assert (job.status, job.error_code) == ("failed", "worker_crash")
    assert paperwork.document(job_id).crash_attempts == 3
    paperwork.check_invariants()


def test_a_sweep_does_not_wait_for_a_cut_that_is_being_recorded(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    slow, dead = (paperwork.submit(client_id) for _ in range(2))
    documents = [paperwork.claimed() for _ in range(2)]
    paperwork.expire_leases()
    with paperwork.scenario.sessions() as recording:
        assert record_cut(recording, documents[0].lease, form(typed("late but ours")), keep_images=True)

        assert paperwork.recover().requeued == 1

        recording.commit()
    assert [paperwork.document(job_id).status for job_id in (slow, dead)] == ["succeeded", "queued"]
    assert paperwork.recover().requeued == 0


def test_a_worker_that_gives_up_charges_only_what_it_still_holds(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    job_id = paperwork.submit(client_id)
    lost = paperwork.claimed()
    paperwork.expire_leases()
    paperwork.recover()
    held = paperwork.claimed()

    assert paperwork.give_up(lost).requeued == 0
    assert paperwork.give_up(held).requeued == 1
    assert paperwork.give_up(paperwork.claimed(), UnprocessableInput("It broke.")).failed == 1

    job = paperwork.scenario.job(job_id)
    assert (job.error_code, job.error_detail) == ("unprocessable_input", "It broke.")
    paperwork.check_invariants()


def test_a_sweep_recovers_documents_and_asks_for_their_bell(
    paperwork: Paperwork, client_id: uuid.UUID, database_settings: Settings
) -> None:
    paperwork.submit(client_id)
    paperwork.claimed()
    paperwork.expire_leases()

    with paperwork.scenario.sessions.begin() as session:
        swept = sweep(session, database_settings)
    paperwork.claimed()
    with paperwork.scenario.sessions.begin() as session:
        again = sweep(session, database_settings)

    assert swept is not None
    assert again is not None
    assert (swept.recovered_documents.requeued, swept.has_queued_documents) == (1, True)
    assert (again.recovered_documents.requeued, again.has_queued_documents) == (0, False)


def test_a_document_expires_with_its_job(
    paperwork: Paperwork, client_id: uuid.UUID, database_settings: Settings
) -> None:
    """I8, B66."""
    old, young = (paperwork.submit(client_id) for _ in range(2))
    for _ in range(2):
        paperwork.record(paperwork.claimed(), form(typed("x")))
    paperwork.change("UPDATE jobs SET expires_at = now() - interval '1 s' WHERE id = :id", id=old)

    with paperwork.scenario.sessions.begin() as session:
        assert tidy(session, database_settings) == 1

    assert paperwork.scenario.scalar("SELECT array_agg(job_id) FROM documents") == [young]
    paperwork.submitted[young] = ["x"]
    paperwork.check_invariants()
