"""B49 to B55: documents made to hurt are refused or cut within the limits, and the next one is cut all the same."""

import random
import socket

import pikepdf
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.documents.cutting import CutWish
from core.errors import (
    DocumentError,
    InvalidPdf,
    NoLines,
    PageTooLarge,
    PdfEncrypted,
    TooManyPages,
    UnprocessableInput,
)
from core.words import Cut
from tests import pdfs
from worker.sandbox.limits import MIB, PdfLimits
from worker.sandbox.pdf_sandbox import PdfCutter

PAGE = CutWish(Cut.PAGE)
BOX = (20, 20, 120, 40)
FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def good() -> bytes:
    form = pdfs.PdfBuilder()
    page = form.page(content=pdfs.marked_content(BOX))
    form.text_field(page, "surname", BOX)
    form.picture(page, pdfs.marked_picture(), (100, 0, 0, 20, 20, 100))
    return form.bytes()


GOOD = good()


@pytest.fixture(autouse=True)
def next_document_is_cut(cutter: PdfCutter) -> object:
    yield
    assert [line.name for line in cutter.cut(GOOD, CutWish(Cut.FIELD)).lines] == ["surname"]


@pytest.mark.parametrize("password", [None, "", "wrong", "x" * 10_000, "\0", "\ud800"])
@pytest.mark.parametrize("revision", [2, 3, 4, 6])
def test_b49_an_encrypted_document_needs_its_password(cutter: PdfCutter, password: str | None, revision: int) -> None:
    form = pdfs.PdfBuilder()
    form.page()
    lock = pikepdf.Encryption(user="right", owner="owner", R=revision, aes=revision > 3, metadata=False)  # type: ignore[arg-type]

    with pytest.raises(PdfEncrypted):
        cutter.cut(form.bytes(encryption=lock), CutWish(Cut.PAGE, password=password))


def test_b49_an_unknown_kind_of_encryption_is_encryption(cutter: PdfCutter) -> None:
    pdf = pdfs.raw_pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]>>",
        b"<</Filter/NoSuch/V 9/R 9>>",
        trailer=b"/Root 1 0 R/Encrypt 4 0 R/ID[<00><00>]",
    )

    with pytest.raises(PdfEncrypted):
        cutter.cut(pdf, PAGE)


def test_b50_too_many_pages_are_refused_before_anything_is_drawn(cutter: PdfCutter) -> None:
    # given
    pdf = pdfs.many_pages_sharing_one(5_000)
    assert len(pdf) < 200_000
    calls: list[None] = []

    # when
    with pytest.raises(TooManyPages):
        cutter.cut(pdf, PAGE, lambda: calls.append(None))

    # then: the refusal was all that came, and a few of the pages can be had
    assert not calls
    assert len(cutter.cut(pdf, CutWish(Cut.PAGE, pages=((1, 3),))).lines) == 3


@pytest.mark.parametrize(
    ("box", "error"),
    [
        (b"[0 0 1000000000 1000000000]", PageTooLarge),
        (b"[0 0 14401 100]", PageTooLarge),
        (b"[-10000 0 10000 100]", PageTooLarge),
        (b"[0 0 1e9 1e9]", InvalidPdf),
        (b"[0 0 NaN NaN]", InvalidPdf),
        (b"[0 0 -612 -792]", InvalidPdf),
        (b"[0 0 0 0]", InvalidPdf),
        (b"[0 0 0 792]", InvalidPdf),
        (b"[0 0 0.5 0.5]", InvalidPdf),
        (b"[0 0 612]", InvalidPdf),
        (b"(no box)", InvalidPdf),
    ],
)
@pytest.mark.parametrize("is_inherited", [False, True])
def test_b51_a_page_of_an_impossible_size_is_refused(
    cutter: PdfCutter, box: bytes, error: type[DocumentError], is_inherited: bool
) -> None:
    entry = b"/MediaBox" + box
    pdf = pdfs.raw_pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1 %s>>" % (entry if is_inherited else b""),
        b"<</Type/Page/Parent 2 0 R %s>>" % (b"" if is_inherited else entry),
    )

    with pytest.raises(error):
        cutter.cut(pdf, PAGE)


@pytest.mark.parametrize(
    ("entries", "error"),
    [
        (b"/MediaBox[0 0 300 200]/CropBox[400 400 500 500]", InvalidPdf),
        (b"/MediaBox[0 0 300 200]/UserUnit 100", PageTooLarge),
    ],
)
def test_b51_so_is_one_that_its_crop_box_or_unit_makes_impossible(
    cutter: PdfCutter, entries: bytes, error: type[DocumentError]
) -> None:
    with pytest.raises(error):
        cutter.cut(pdfs.one_page(entries), PAGE)


@pytest.mark.parametrize("unit", [b"0", b"-1", b"NaN", b"1e9", b"100000", b"(two)"])
def test_b51_a_user_unit_that_makes_no_sense_is_one(cutter: PdfCutter, unit: bytes) -> None:
    cut = cutter.cut(pdfs.one_page(b"/MediaBox[0 0 300 200]/UserUnit " + unit), PAGE)

    assert (cut.pages[0].width, cut.pages[0].height) == (300, 200)


BOMBS = {
    "page tree cycle": pdfs.page_tree_cycle(),
    "table that loops": pdfs.xref_loop(),
    "form that draws itself": pdfs.form_cycle(),
    "content bomb": pdfs.flate_bomb(),
    "object stream bomb": pdfs.object_stream_bomb(),
    "fields that are their own kids": pdfs.one_page(
        b"/MediaBox[0 0 300 200]/Annots[4 0 R]",
        b"<</Type/Annot/Subtype/Widget/FT/Tx/T(a)/Rect[0 0 9 9]/Kids[4 0 R 4 0 R]/Parent 4 0 R>>",
        catalog_entries=b"/AcroForm<</Fields[4 0 R]>>",
    ),
    "deep arrays": pdfs.one_page(b"/MediaBox[0 0 300 200]/X " + b"[" * 100_000),
    "deep content": pdfs.one_page(b"/MediaBox[0 0 300 200]/Contents 4 0 R", pdfs.stream(b"[" * 500_000)),
    "deep states": pdfs.one_page(b"/MediaBox[0 0 300 200]/Contents 4 0 R", pdfs.stream(b"q " * 500_000)),
    "a million pages": pdfs.raw_pdf(b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 1000000>>"),
}


@pytest.mark.parametrize("cut", [Cut.PAGE, Cut.FIELD])
@pytest.mark.parametrize("bomb", BOMBS)
def test_b52_cycles_and_bombs_end_within_the_limits(bomb: str, cut: Cut) -> None:
    # given: the memory that the settings grant, and less processor time
    limits = PdfLimits(cpu_seconds=5)

    # when
    with PdfCutter(limits) as cutter:
        try:
            lines = cutter.cut(BOMBS[bomb], CutWish(cut)).lines
        except (InvalidPdf, UnprocessableInput, NoLines, TooManyPages):
            return

    # then: what is no harm is a page or two
    assert len(lines) <= 2


def test_b53_nothing_that_a_document_asks_for_is_done(cutter: PdfCutter) -> None:
    # given: a server that every action of the document points at
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        pdf = pdfs.active_pdf(f"http://127.0.0.1:{server.getsockname()[1]}/")

        # when
        lines = [cutter.cut(pdf, CutWish(cut)).lines[0] for cut in (Cut.PAGE, Cut.FIELD)]

        # then: it is cut like any other, nobody called, and the child has no children
        assert pdfs.mark_of(lines[1].image) == pdfs.UPRIGHT
        with pytest.raises(BlockingIOError):
            server.accept()
    assert cutter.child is not None
    assert not psutil.Process(cutter.child.id).children()
    assert cutter.child.confinement["system_call_filter"]


@pytest.mark.parametrize("kind", ["jpx", "jbig2", "flate"])
@pytest.mark.parametrize("cut", [Cut.PAGE, Cut.IMAGE])
def test_b54_a_huge_picture_fails_or_is_read_within_the_limits(kind: str, cut: Cut) -> None:
    with PdfCutter(PdfLimits(memory_bytes=768 * MIB)) as cutter:
        try:
            (line,) = cutter.cut(pdfs.image_bomb(kind), CutWish(cut)).lines
        except UnprocessableInput:
            return

    if line.error is None:
        height, width, _ = pdfs.opened(line.image).shape
        assert height * width <= cutter.limits.max_image_pixels
    else:
        assert line.error.code == "image_dimensions"


@pytest.mark.parametrize(
    "pdf", [b"", b"%", b"%PDF", b"%PDF-1.7\n", b"%PDF-1.7\n%%EOF", b"\0" * 1000, b"PK\x03\x04" + bytes(100), b"<html>"]
)
def test_b55_what_is_no_document_is_refused(cutter: PdfCutter, pdf: bytes) -> None:
    with pytest.raises(InvalidPdf):
        cutter.cut(pdf, PAGE)


def test_b55_a_document_cut_at_any_byte_is_refused_or_read_as_far_as_it_goes(cutter: PdfCutter) -> None:
    # given: enough of it to hold a page or not
    random.seed(1)
    lengths = sorted(random.sample(range(len(GOOD)), 150))

    # when
    outcomes = [code_or_lines(cutter, GOOD[:length], Cut.PAGE) for length in lengths]

    # then
    assert set(outcomes) <= {"invalid_pdf", "lines"}
    assert outcomes[0] == "invalid_pdf"


@FEW
@given(st.data())
def test_b55_a_damaged_document_is_refused_or_read_as_far_as_it_goes(cutter: PdfCutter, data: st.DataObject) -> None:
    damaged = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 20))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))

    code_or_lines(cutter, bytes(damaged), data.draw(st.sampled_from([Cut.AUTO, Cut.PAGE, Cut.IMAGE, Cut.FIELD])))


def code_or_lines(cutter: PdfCutter, pdf: bytes, cut: Cut) -> str:
    try:
        return "lines" if cutter.cut(pdf, CutWish(cut)).lines else "nothing"
    except DocumentError as error:
        return error.code
