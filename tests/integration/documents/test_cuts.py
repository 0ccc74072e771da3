"""What a cut leaves behind: the job's lines, in one transaction, once."""

import uuid

import pytest
from sqlalchemy.orm import Session

from core.bells import lines_queue
from core.documents.claims import record_cut
from core.documents.cutting import CutLine, SkippedField
from core.errors import PageUnreadable
from tests.integration.documents.paperwork import BOX, IMAGE, Paperwork, drawn, form, png, typed


def test_a_cut_document_s_lines_are_like_any_others(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    job_id = paperwork.submit(client_id)
    cut = form(
        CutLine(1, BOX, "person.name", image=png(200, 24)), drawn("person.city"),
        skipped=[SkippedField("agree", 1, "check_box")],
    )  # fmt: skip

    assert paperwork.record(paperwork.claimed(), cut)

    job, document = paperwork.scenario.job(job_id), paperwork.document(job_id)
    assert (job.status, job.lines_total) == ("queued", 2)
    assert (document.status, document.cut, document.data is not None) == ("succeeded", "field", True)
    assert document.found_pages == [{"number": 1, "label": "i", "width": 595.0, "height": 842.0}]
    assert document.skipped == [{"name": "agree", "page": 1, "kind": "check_box"}]
    first, second = paperwork.scenario.lines(job_id)
    assert (first.custom_id, first.page, first.box, first.source) == ("person.name", 1, list(BOX), "recognised")
    assert (first.image_width, first.image_height, second.image_width) == (200, 24, 30)
    claimed = paperwork.scenario.claim()
    assert [line.image for line in claimed] == [png(200, 24), IMAGE]


def test_what_was_typed_and_what_cannot_be_drawn_has_finished_at_once(
    paperwork: Paperwork, client_id: uuid.UUID
) -> None:
    job_id = paperwork.submit(client_id)
    damaged = CutLine(2, BOX, "later", error=PageUnreadable("Page 2 is damaged."))

    paperwork.record(paperwork.claimed(), form(drawn("name"), typed("Berlin", "city"), damaged))

    job = paperwork.scenario.job(job_id)
    assert (job.status, job.lines_succeeded, job.lines_failed, job.lines_total) == ("running", 1, 1, 3)
    name, city, later = paperwork.scenario.lines(job_id)
    assert (city.status, city.source, city.text, city.confidence) == ("succeeded", "typed", "Berlin", None)
    assert (later.status, later.error_code, later.error_detail) == ("failed", "page_unreadable", "Page 2 is damaged.")
    assert (name.status, name.finished_at) == ("queued", None)
    assert city.finished_at is not None

    paperwork.read()

    assert paperwork.scenario.job(job_id).status == "partial"


@pytest.mark.parametrize(
    ("lines", "status", "code"),
    [
        ([typed("a"), typed("")], "succeeded", None),
        ([typed("a"), CutLine(1, BOX, error=PageUnreadable())], "partial", None),
        ([CutLine(1, BOX, error=PageUnreadable())], "failed", "all_lines_failed"),
    ],
)
def test_a_job_with_nothing_left_to_read_ends_with_its_cut(
    paperwork: Paperwork, client_id: uuid.UUID, lines: list[CutLine], status: str, code: str | None
) -> None:
    job_id = paperwork.submit(client_id)

    paperwork.record(paperwork.claimed(), form(*lines))

    job = paperwork.scenario.job(job_id)
    assert (job.status, job.error_code) == (status, code)
    assert job.finished_at is not None
    assert job.expires_at is not None
    paperwork.submitted[job_id] = [line.text for line in lines]
    paperwork.check_invariants()


def test_a_form_of_a_thousand_lines_is_cut_in_one_transaction(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    job_id = paperwork.submit(client_id)
    images = [png(30, 4 + index % 40) for index in range(1_000)]

    paperwork.record(paperwork.claimed(), form(*(CutLine(1, BOX, f"f{n}", image=one) for n, one in enumerate(images))))

    claimed = paperwork.scenario.claim(2_000)
    assert [(line.index, line.image) for line in claimed] == list(enumerate(images))
    assert [line.custom_id for line in paperwork.scenario.lines(job_id)] == [f"f{n}" for n in range(1_000)]


def test_a_second_record_of_the_same_cut_changes_nothing(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    job_id = paperwork.submit(client_id)
    document = paperwork.claimed()

    assert paperwork.record(document, form(typed("once")))
    assert not paperwork.record(document, form(typed("once")))

    paperwork.submitted[job_id] = ["once"]
    paperwork.check_invariants()


@pytest.mark.parametrize("keep_images", [True, False])
def test_a_cut_of_a_canceled_job_is_dropped(paperwork: Paperwork, client_id: uuid.UUID, keep_images: bool) -> None:
    """A41, of documents."""
    job_id = paperwork.submit(client_id)
    document = paperwork.claimed()
    paperwork.cancel(client_id, job_id, keep_images=keep_images)

    assert not paperwork.renew(document)
    assert not paperwork.record(document, form(drawn()))

    assert (paperwork.document(job_id).status, paperwork.scenario.lines(job_id)) == ("canceled", [])
    paperwork.check_invariants(keep_images=keep_images)


def test_a_cut_of_a_deleted_job_is_dropped(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    job_id = paperwork.submit(client_id)
    document = paperwork.claimed()
    paperwork.scenario.delete(client_id, job_id)

    assert not paperwork.record(document, form(drawn()))

    paperwork.check_invariants()


def test_where_nothing_is_kept_the_document_goes_with_its_cut(paperwork: Paperwork, client_id: uuid.UUID) -> None:
    job_id = paperwork.submit(client_id)

    paperwork.record(paperwork.claimed(), form(drawn()), keep_images=False)

    assert paperwork.document(job_id).data is None
    assert paperwork.document(job_id).size_bytes > 0
    (line,) = paperwork.scenario.claim()
    assert line.image == IMAGE  # as long as it is needed


def test_odd_characters_in_names_and_texts_keep_nothing_from_being_stored(
    paperwork: Paperwork, client_id: uuid.UUID
) -> None:
    job_id = paperwork.submit(client_id)

    paperwork.record(
        paperwork.claimed(), form(typed("a\0b\ud800", "na\0me"), skipped=[SkippedField("\ud800\0", 1, "check_box")])
    )

    (line,) = paperwork.scenario.lines(job_id)
    assert (line.text, line.custom_id) == ("ab\ufffd", "name")
    assert paperwork.document(job_id).skipped == [{"name": "\ufffd", "page": 1, "kind": "check_box"}]


def test_cut_lines_take_their_client_s_next_places_and_typed_ones_none(
    paperwork: Paperwork, client_id: uuid.UUID
) -> None:
    other = paperwork.scenario.client("other")
    paperwork.scenario.submit(client_id, 3)
    job_id = paperwork.submit(client_id)

    paperwork.record(paperwork.claimed(), form(drawn(), *[typed("x")] * 50, drawn()))
    quick = paperwork.scenario.submit(other, 1)

    tags = [line.fair_tag for line in paperwork.scenario.lines(job_id) if line.status == "queued"]
    assert tags == [3, 4]
    assert paperwork.scenario.lines(quick)[0].fair_tag == 0


def test_the_readers_are_rung_once_there_is_something_to_read(
    paperwork: Paperwork, client_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []

    def note(_: Session, queue: str) -> None:
        rung.append(queue)

    monkeypatch.setattr("core.documents.claims.ring_after_commit", note)
    for line in (drawn(), typed("x")):
        paperwork.submit(client_id)
        with paperwork.scenario.sessions.begin() as session:
            record_cut(session, paperwork.claimed().lease, form(line), keep_images=True)

    assert rung == [lines_queue("fake")]
