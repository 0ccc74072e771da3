"""Real documents workers write what somebody asks for, beside the cutting."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.documents.cutting import CutWish
from core.words import Cut, TranscriptFormat
from tests.integration.documents.reception import Reception
from tests.pdfs import PdfBuilder, reportlab_form, truncated
from tests.processes import DocumentsProcess, WorkerProcess
from tests.waiting import eventually
from tests.written_pdfs import texts_of

FORM, SEARCHABLE = TranscriptFormat.FORM, TranscriptFormat.PDF


@pytest.fixture(autouse=True)
def invariants_hold(reception: Reception) -> Iterator[None]:
    """Check after every test that every job ended, with the right texts, once."""
    yield
    reception.check_invariants()


def test_a_read_form_can_be_had_as_a_searchable_pdf_and_filled_in(reception: Reception, tmp_path: Path) -> None:
    with DocumentsProcess(reception.settings, tmp_path) as worker, WorkerProcess(reception.settings, tmp_path):
        job_id = reception.hand_in(reportlab_form(ink=""), CutWish(Cut.FIELD))
        reception.finished(job_id)
        texts = [line.text or "" for line in reception.lines(job_id)]
        written = {asked: reception.written(job_id, asked) for asked in (SEARCHABLE, FORM)}
        eventually(lambda: worker.output().count('"rendition.written"') == 2)
        log = worker.output()
    assert texts_of(written[SEARCHABLE].data or b"") == texts
    assert (written[FORM].data or b"").startswith(b"%PDF")
    for secret in ("surname", *texts):
        assert secret not in log


def test_a_rendition_is_written_while_a_long_document_is_cut(reception: Reception, tmp_path: Path) -> None:
    typed = PdfBuilder()
    typed.text_field(typed.page(), "city", (20, 20, 120, 40), value="Berlin")
    with DocumentsProcess(reception.settings, tmp_path):
        job_id = reception.hand_in(typed.bytes())
        reception.finished(job_id)
        long = reception.hand_in(reportlab_form([f"field{number}" for number in range(30)], pages=60))
        reception.reached(long, "running")
        assert reception.written(job_id, SEARCHABLE).status == "succeeded"
        assert reception.document(long).status == "running"
        reception.cancel(long)


def test_a_worker_killed_while_it_writes_is_made_good_by_the_next(reception: Reception, tmp_path: Path) -> None:
    typed = PdfBuilder()
    typed.text_field(typed.page(), "city", (20, 20, 120, 40), value="Berlin")
    for place in ("rendition.after_claim", "rendition.after_work", "rendition.after_record"):
        doomed = reception.settings.model_copy(update={"failpoints": place})
        with DocumentsProcess(doomed, tmp_path) as worker:
            job_id = reception.hand_in(typed.bytes())
            reception.finished(job_id)
            reception.ask(job_id, SEARCHABLE)
            assert worker.wait() == -9
        with DocumentsProcess(reception.settings, tmp_path):
            found = reception.written(job_id, SEARCHABLE)
        assert (found.status, found.attempt) == ("succeeded", 1 if place == "rendition.after_record" else 2)


def test_a_document_that_cannot_be_written_fails_its_rendition_only(reception: Reception, tmp_path: Path) -> None:
    typed = PdfBuilder()
    typed.text_field(typed.page(), "city", (20, 20, 120, 40), value="Berlin")
    with DocumentsProcess(reception.settings, tmp_path):
        job_id = reception.hand_in(typed.bytes())
        reception.finished(job_id)
        reception.damage(job_id, truncated(typed.bytes(), 0.2))
        found = reception.written(job_id, SEARCHABLE)
    assert (found.status, found.error_code) == ("failed", "invalid_pdf")
    assert reception.job(job_id).status == "succeeded"
