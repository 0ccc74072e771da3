"""Which document is cut next, by whom, and what a lost lease may still do."""

import uuid

from core.documents.cutting import CutWish, Region
from core.documents.leases import release_orphans
from core.errors import InvalidPdf
from core.tables import Document
from core.words import Cut, Priority
from tests.integration.core.scenario import at_once
from tests.integration.documents.paperwork import PDF, Paperwork, form, typed


def test_a_claimed_document_brings_all_that_its_cutter_needs(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    wish = CutWish(Cut.REGIONS, ((1, 2),), "s3cret", (Region("name", 1, (1.0, 2.0, 30.0, 40.0)),))
    job_id = paperwork.submit(client_id, wish)

    document = paperwork.claimed()

    assert (document.lease.job_id, document.lease.attempt, document.data, document.wish) == (job_id, 1, PDF, wish)
    assert document.submitted_at == paperwork.scenario.job(job_id).created_at
    assert "s3cret" not in repr(document)
    assert paperwork.scenario.job(job_id).status == "queued"


def test_the_oldest_of_the_most_urgent_is_cut_first(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    jobs = {
        name: paperwork.submit(client_id, priority=priority)
        for name, priority in [
            ("bulk", Priority.BULK),
            ("first", Priority.DEFAULT),
            ("second", Priority.DEFAULT),
            ("urgent", Priority.INTERACTIVE),
        ]
    }

    order = [paperwork.claimed().lease.job_id for _ in jobs]

    assert order == [jobs[name] for name in ("urgent", "first", "second", "bulk")]
    assert paperwork.claim() is None


def test_each_document_is_claimed_once_however_many_workers_come(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    """A40, of documents."""
    jobs = {paperwork.submit(client_id) for _ in range(12)}

    def work() -> list[uuid.UUID]:
        mine = []
        while document := paperwork.claim():
            mine.append(document.lease.job_id)
            paperwork.record(document, form(typed("x")))
        return mine

    claimed = [job_id for mine in at_once(*[work] * 4) for job_id in mine]

    assert sorted(claimed) == sorted(jobs)
    for job_id in jobs:
        paperwork.submitted[job_id] = ["x"]
    paperwork.check_invariants()


def test_a_document_of_a_canceled_job_is_not_cut(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    job_id = paperwork.submit(client_id)
    paperwork.cancel(client_id, job_id)

    assert paperwork.claim() is None


def test_a_lease_is_renewed_as_long_as_it_is_ours(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    paperwork.submit(client_id)
    first = paperwork.claimed()
    assert paperwork.renew(first)
    paperwork.expire_leases()
    paperwork.recover()

    second = paperwork.claimed()

    assert not paperwork.renew(first)
    assert paperwork.renew(second)


def test_what_is_given_back_is_charged_nothing(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    job_id = paperwork.submit(client_id)
    first = paperwork.claimed()

    paperwork.release(first)

    document = paperwork.document(job_id)
    assert (document.status, document.attempt, document.crash_attempts) == ("queued", 1, 0)
    assert paperwork.claimed().lease.attempt == 2
    paperwork.release(first)  # a late second one
    assert paperwork.document(job_id).status == "running"


def test_what_a_slot_claimed_without_knowing_is_given_back(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    mine, other = (paperwork.submit(client_id) for _ in range(2))
    slot = uuid.uuid4()
    paperwork.claim(slot=slot)
    paperwork.claim()

    with paperwork.scenario.sessions.begin() as session:
        assert release_orphans(session, Document, slot) == 1

    assert paperwork.document(mine).status == "queued"
    assert paperwork.document(other).status == "running"


def test_who_has_lost_the_lease_writes_nothing(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    """A6, of documents."""
    job_id = paperwork.submit(client_id)
    late = paperwork.claimed()
    paperwork.expire_leases()
    paperwork.recover()
    assert paperwork.record(paperwork.claimed(), form(typed("right")))

    assert not paperwork.record(late, form(typed("late"), typed("late")))
    assert not paperwork.fail(late, InvalidPdf())

    paperwork.submitted[job_id] = ["right"]
    paperwork.check_invariants()
