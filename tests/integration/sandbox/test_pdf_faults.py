"""A51: the child that cuts dies, hangs, eats or lies; the document fails, and the next one is cut all the same."""

import json
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.documents.cutting import CutWish
from core.errors import DocumentError, SandboxUnavailable, TooManyLines, UnprocessableInput
from core.words import Cut
from tests.pdfs import PdfBuilder, reportlab_form
from worker.sandbox.limits import MIB, PdfLimits
from worker.sandbox.pdf_sandbox import PdfCutter

MISBEHAVING = "tests.integration.sandbox.misbehaving_cutter"
SHORT = PdfLimits(
    cpu_seconds=0.3,
    cpu_seconds_per_answer=0.05,
    wall_seconds=1.5,
    memory_bytes=160 * MIB,
    max_lines=50,
    max_cut_bytes=MIB,
)
PAGE = CutWish(Cut.PAGE)
LINE = {"page": 1, "box": [0, 0, 1, 1], "name": None, "text": "x", "error": None}


@pytest.fixture(scope="module")
def misbehaving() -> Iterator[PdfCutter]:
    with PdfCutter(SHORT, entry=MISBEHAVING) as cutter:
        yield cutter


def pages(count: int) -> bytes:
    document = PdfBuilder()
    for _ in range(count):
        document.page(height=40)
    return document.bytes()


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (b"crash", "broke"),
        (b"spin", "processor time"),
        (b"hang", "too long"),
        (b"eat", "memory"),
        (b"pour_images", "memory"),
        (b"pour_pages", "broke"),
        (b"go_on_after_the_end", "broke"),
        (b"garbage", "broke"),
        (b"announce_too_long_json", "broke"),
        (b"no_such_function", "broke"),
    ],
)
def test_a_child_that_fails_on_a_document_fails_only_that_document(
    misbehaving: PdfCutter, request_: bytes, reason: str
) -> None:
    # given
    assert len(misbehaving.cut(b"lines:3", PAGE).lines) == 3

    # when
    with pytest.raises(UnprocessableInput, match=reason):
        misbehaving.cut(request_, PAGE)

    # then
    assert len(misbehaving.cut(b"lines:4", PAGE).lines) == 4


def test_more_lines_than_a_job_may_have_end_the_child_that_sends_them(misbehaving: PdfCutter) -> None:
    with pytest.raises(TooManyLines):
        misbehaving.cut(b"pour", PAGE)

    assert len(misbehaving.cut(b"lines:4", PAGE).lines) == 4


@pytest.mark.parametrize(
    ("kind", "body", "image"),
    [
        ("LINE", "[]", ""),
        ("LINE", "{}", ""),
        ("LINE", "{", ""),
        ("LINE", "[" * 100_000, ""),
        ("LINE", json.dumps({**LINE, "text": None}), ""),
        ("LINE", json.dumps({**LINE}), "both text and image"),
        ("LINE", json.dumps({**LINE, "page": 0}), ""),
        ("LINE", json.dumps({**LINE, "page": 1.5}), ""),
        ("LINE", json.dumps({**LINE, "page": True}), ""),
        ("LINE", json.dumps({**LINE, "box": [0, 0, 1]}), ""),
        ("LINE", json.dumps({**LINE, "box": [0, 0, 1, float("nan")]}), ""),
        ("LINE", json.dumps({**LINE, "box": [0, 0, 1, 10**400]}), ""),
        ("LINE", json.dumps({**LINE, "box": ["0", 0, 1, 1]}), ""),
        ("LINE", json.dumps({**LINE, "name": "a\0b"}), ""),
        ("LINE", json.dumps({**LINE, "name": "\ud800"}), ""),
        ("LINE", json.dumps({**LINE, "name": "a" * 1001}), ""),
        ("LINE", json.dumps({**LINE, "text": "a" * 50_001}), ""),
        ("LINE", json.dumps({**LINE, "text": None, "error": ["no_such_code", "x"]}), ""),
        ("LINE", json.dumps({**LINE, "text": None, "error": "page_unreadable"}), ""),
        ("PAGE", json.dumps({"number": 1, "label": 5, "width": 1, "height": 1}), ""),
        ("PAGE", json.dumps({"number": 1, "label": None, "width": -1, "height": 1}), ""),
        ("PAGE", json.dumps({"number": 1, "label": None, "width": 1, "height": 1}), "an image"),
        ("SKIPPED", json.dumps({"name": None, "page": 1, "kind": "check_box"}), ""),
        ("DONE", json.dumps({"cut": "no such cut"}), ""),
        ("REFUSED", json.dumps({"error": ["sandbox_unavailable", "x"]}), ""),
    ],
)
def test_an_answer_that_makes_no_sense_is_not_believed(
    misbehaving: PdfCutter, kind: str, body: str, image: str
) -> None:
    with pytest.raises(UnprocessableInput, match="broke"):
        misbehaving.cut(f"answer:{json.dumps([kind, body, image])}".encode(), PAGE)


def test_the_documents_own_refusal_keeps_the_child(cutter: PdfCutter) -> None:
    assert cutter.cut(pages(1), PAGE).lines
    child = cutter.child

    with pytest.raises(DocumentError):
        cutter.cut(b"%PDF-1.7", PAGE)

    assert cutter.cut(pages(1), PAGE).lines
    assert cutter.child is child


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP])
def test_a_child_killed_or_stopped_from_outside_in_the_midst_of_a_document(number: signal.Signals) -> None:
    # given
    with PdfCutter(PdfLimits(wall_seconds=1.0)) as cutter:
        seen: list[int] = []

        def interfere() -> None:
            assert cutter.child is not None
            if not seen:
                os.kill(cutter.child.id, number)
            seen.append(cutter.child.id)

        # when
        with pytest.raises(UnprocessableInput):
            cutter.cut(pages(900), PAGE, interfere)

        # then
        assert len(cutter.cut(pages(2), PAGE).lines) == 2
        assert cutter.child is not None
        assert cutter.child.id != seen[0]


def test_an_idle_child_that_was_killed_costs_no_document() -> None:
    with PdfCutter(PdfLimits()) as cutter:
        cutter.cut(pages(1), PAGE)
        assert cutter.child is not None
        os.kill(cutter.child.id, signal.SIGKILL)
        os.waitid(os.P_PID, cutter.child.id, os.WEXITED | os.WNOWAIT)

        assert len(cutter.cut(pages(2), PAGE).lines) == 2


def test_progress_is_told_while_a_document_is_cut(cutter: PdfCutter) -> None:
    calls: list[None] = []

    cutter.cut(
        reportlab_form([f"row{number}" for number in range(30)], pages=4),
        CutWish(Cut.FIELD),
        lambda: calls.append(None),
    )

    assert len(calls) > 10


def test_whoever_stops_at_a_progress_call_can_go_on_with_another_document(cutter: PdfCutter) -> None:
    def lose_the_lease() -> None:
        raise RuntimeError("the lease is lost")

    with pytest.raises(RuntimeError, match="lease"):
        cutter.cut(pages(500), PAGE, lose_the_lease)

    assert len(cutter.cut(pages(2), PAGE).lines) == 2


def test_each_line_earns_processor_time_so_that_long_forms_are_cut(misbehaving: PdfCutter) -> None:
    # 50 times some 10 ms of work: more than the 0.3 s that a document begins with
    assert len(misbehaving.cut(b"spin_between_lines:50", PAGE).lines) == 50


def test_a_document_longer_than_the_limit_is_not_sent_to_the_child() -> None:
    with PdfCutter(PdfLimits(max_document_bytes=1000)) as cutter:
        with pytest.raises(UnprocessableInput, match="bytes"):
            cutter.cut(b"%PDF" + bytes(1000), PAGE)

        assert cutter.child is None


def test_a_child_is_replaced_after_its_share_of_documents() -> None:
    with PdfCutter(PdfLimits(requests_per_child=2), entry=MISBEHAVING) as cutter:
        children = set()
        for _ in range(5):
            assert len(cutter.cut(b"lines:1", PAGE).lines) == 1
            assert cutter.child is not None
            children.add(cutter.child.id)

    assert len(children) == 3


def test_a_cutter_that_cannot_start_says_so() -> None:
    with PdfCutter(PdfLimits(), entry="worker.sandbox.no_such_module") as cutter, pytest.raises(SandboxUnavailable):
        cutter.cut(pages(1), PAGE)


def test_a_closed_cutter_starts_again(cutter: PdfCutter) -> None:
    cutter.cut(pages(1), PAGE)
    cutter.close()
    cutter.close()

    assert cutter.cut(pages(1), PAGE).lines


def test_a_forked_process_has_a_child_of_its_own(cutter: PdfCutter) -> None:
    # given
    cutter.cut(pages(1), PAGE)
    assert cutter.child is not None
    ours = cutter.child.id
    answers: multiprocessing.Queue[tuple[int, int]] = multiprocessing.get_context("fork").Queue()

    def cut_in_the_fork() -> None:
        count = len(cutter.cut(pages(3), PAGE).lines)
        answers.put((count, cutter.child.id if cutter.child else 0))
        cutter.close()

    # when
    process = multiprocessing.get_context("fork").Process(target=cut_in_the_fork)
    process.start()
    count, theirs = answers.get(timeout=60)
    process.join(60)

    # then
    assert count == 3
    assert theirs != ours
    assert len(cutter.cut(pages(2), PAGE).lines) == 2
    assert cutter.child.id == ours


def test_nothing_is_left_in_the_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    with PdfCutter(SHORT, entry=MISBEHAVING) as cutter:
        for request in (b"lines:3", b"crash", b"eat", b"spin"):
            try:
                cutter.cut(request, PAGE)
            except UnprocessableInput:
                continue

    assert not list(tmp_path.iterdir())
