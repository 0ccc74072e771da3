"""Rows B49 to B55: what a hostile document does to its own job, and to nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pikepdf
import pytest

from core.documents.cutting import CutWish
from core.words import Cut
from tests.integration.documents.reception import Reception
from tests.pdfs import (
    PdfBuilder,
    active_pdf,
    image_bomb,
    many_pages_sharing_one,
    object_stream_bomb,
    one_page,
    page_tree_cycle,
    raw_pdf,
    truncated,
    xref_loop,
)
from tests.processes import DocumentsProcess, WorkerProcess

IMAGE, PAGE = CutWish(Cut.IMAGE), CutWish(Cut.PAGE)


@pytest.fixture(autouse=True)
def invariants_hold(reception: Reception) -> Iterator[None]:
    """Check after every test that every job ended, once."""
    yield
    reception.check_invariants()


def form(**options: object) -> bytes:
    built = PdfBuilder()
    built.text_field(built.page(), "city", (20, 20, 120, 40), value="Berlin")
    return built.bytes(**options)


ENCRYPTED = form(encryption=pikepdf.Encryption(owner="owner", user="s3cret"))

HOSTILE: dict[str, tuple[bytes, CutWish, set[str | None]]] = {
    "B49 no password": (ENCRYPTED, CutWish(), {"pdf_encrypted"}),
    "B49 a wrong password": (ENCRYPTED, CutWish(password="wrong-guess"), {"pdf_encrypted"}),
    "B50": (many_pages_sharing_one(), PAGE, {"too_many_pages"}),
    "B51 huge": (one_page(b"/MediaBox[0 0 1000000000 1000000000]"), PAGE, {"page_too_large"}),
    "B51 zero": (one_page(b"/MediaBox[0 0 0 0]"), PAGE, {"invalid_pdf", "page_too_large"}),
    "B52 page tree": (page_tree_cycle(), PAGE, {"invalid_pdf"}),
    "B52 xref": (xref_loop(), PAGE, {"invalid_pdf", None}),  # None: pdfium mends the table, and the page is cut
    "B52 object stream": (object_stream_bomb(), PAGE, {"invalid_pdf", "unprocessable_input"}),
    "B55 only the first bytes": (b"%PDF", PAGE, {"invalid_pdf"}),
    "B55 cut off": (truncated(form(), 0.3), PAGE, {"invalid_pdf"}),
}


def test_a_hostile_document_fails_its_own_job_with_its_code(reception: Reception, tmp_path: Path) -> None:
    with DocumentsProcess(reception.settings, tmp_path) as worker:
        jobs = {name: reception.hand_in(pdf, wish) for name, (pdf, wish, _) in HOSTILE.items()}
        good = reception.hand_in(form())
        assert reception.finished(good, 120).status == "succeeded"
        for job_id in jobs.values():
            reception.ended(job_id)
        found = {name: reception.job(job_id).error_code for name, job_id in jobs.items()}
        log = worker.output()
    for name, code in found.items():
        if code is None:
            reception.cancel(jobs[name])
    wrong = {name: code for name, code in found.items() if code not in HOSTILE[name][2]}
    assert wrong == {}
    assert not {word for word in ("wrong-guess", "s3cret") if word in log}


def test_an_encrypted_form_is_read_with_its_password(reception: Reception, tmp_path: Path) -> None:
    """B49."""
    with DocumentsProcess(reception.settings, tmp_path):
        job_id = reception.hand_in(ENCRYPTED, CutWish(password="s3cret"))
        assert reception.finished(job_id).status == "succeeded"
    assert [line.text for line in reception.lines(job_id)] == ["Berlin"]


def test_a_page_that_is_no_page_fails_its_own_line_only(reception: Reception, tmp_path: Path) -> None:
    damaged = raw_pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R 9 0 R 3 0 R]/Count 3>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 60]>>",
    )
    with DocumentsProcess(reception.settings, tmp_path), WorkerProcess(reception.settings, tmp_path):
        job_id = reception.hand_in(damaged, PAGE)
        job = reception.finished(job_id)
    assert (job.status, job.lines_succeeded, job.lines_failed) == ("partial", 2, 1)
    assert [line.error_code for line in reception.lines(job_id)] == [None, "page_unreadable", None]


def test_what_a_document_wants_done_is_ignored_and_a_huge_picture_stays_in_its_child(
    reception: Reception, tmp_path: Path
) -> None:
    """B53, B54."""
    with DocumentsProcess(reception.settings, tmp_path) as worker:
        active = reception.hand_in(active_pdf("http://127.0.0.1:9/"))
        huge = [reception.hand_in(image_bomb(kind), IMAGE) for kind in ("jpx", "jbig2", "flate")]
        documents = [reception.ended(job_id, 120) for job_id in (active, *huge)]
        assert worker.is_running
    assert documents[0].status == "succeeded"
    assert {document.crash_attempts for document in documents} == {0}
    for job_id in reception.jobs:
        if reception.job(job_id).finished_at is None:
            reception.cancel(job_id)
