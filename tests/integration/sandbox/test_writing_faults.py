"""Documents and children that mean harm: each ends in a DocumentError within the limits, and the next is written."""

import contextlib
import io
import os
import signal
import zlib
from collections.abc import Iterator
from dataclasses import replace

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, String

from core.documents.writing import WrittenLine
from core.errors import DocumentError, InvalidPdf, PdfEncrypted, UnprocessableInput
from core.words import RENDITIONS, TranscriptFormat
from tests.waiting import eventually
from worker.sandbox.limits import MIB, PdfLimits
from worker.sandbox.pdf_writing import PdfWriter

SHORT = PdfLimits(cpu_seconds=0.2, wall_seconds=1.5, max_document_bytes=100_000)
LINE = WrittenLine(1, (10.0, 10.0, 100.0, 30.0), "Okafor", "surname")


@pytest.fixture(scope="module")
def misbehaving() -> Iterator[PdfWriter]:
    with PdfWriter(SHORT, entry="tests.integration.sandbox.misbehaving_writer") as shared:
        yield shared


def good_form() -> bytes:
    pdf = pikepdf.new()
    page = pdf.add_blank_page(page_size=(200, 100)).obj
    field = pdf.make_indirect(
        Dictionary(Type=Name.Annot, Subtype=Name.Widget, FT=Name.Tx, T=String("surname"), Rect=Array([10, 70, 100, 90]))
    )
    page.Annots = Array([field])
    pdf.Root.AcroForm = Dictionary(Fields=Array([field]))
    file = io.BytesIO()
    pdf.save(file)
    return file.getvalue()


def write(writer: PdfWriter, pdf: bytes, wanted: TranscriptFormat = TranscriptFormat.PDF) -> bytes:
    return writer.write(pdf, None, wanted, [LINE])


@pytest.mark.parametrize(
    "behaviour",
    [
        "crash",
        "spin",
        "hang",
        "eat",
        "announce_too_much",
        "send_garbage",
        "drip",
        "close_the_pipe",
        "answer_out_of_turn",
        "say_nothing",
        "write_without_end",
        "refuse_for_no_reason",
        "refuse_with_a_page",
        "end_with_more",
        "no_such_function",
    ],
)
def test_a_child_that_fails_refuses_its_document_and_no_other(misbehaving: PdfWriter, behaviour: str) -> None:
    with pytest.raises(UnprocessableInput):
        write(misbehaving, behaviour.encode())

    assert write(misbehaving, b"write") == b"written"


def test_a_child_that_refuses_as_it_should_lives_on(misbehaving: PdfWriter) -> None:
    write(misbehaving, b"write")
    child = misbehaving.child

    with pytest.raises(PdfEncrypted):
        write(misbehaving, b"refuse")

    assert misbehaving.child is child
    assert write(misbehaving, b"write") == b"written"


def test_a_child_killed_from_outside_is_replaced(writer: PdfWriter) -> None:
    write(writer, good_form())
    child = writer.child
    assert child is not None
    os.kill(child.id, signal.SIGKILL)
    eventually(lambda: child.has_ended)

    assert write(writer, good_form()).startswith(b"%PDF")


def test_a_document_that_is_too_long_is_not_even_sent(misbehaving: PdfWriter) -> None:
    with pytest.raises(UnprocessableInput, match="100000 bytes"):
        write(misbehaving, bytes(100_001))


def test_what_progress_raises_ends_the_writing_and_not_the_writer(writer: PdfWriter) -> None:
    def give_up() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        writer.write(good_form(), None, TranscriptFormat.PDF, [LINE], on_progress=give_up)

    assert write(writer, good_form()).startswith(b"%PDF")


def handmade(*objects: bytes, trailer: bytes = b"<</Root 1 0 R>>") -> bytes:
    body = b"".join(b"%d 0 obj %s endobj\n" % (number, one) for number, one in enumerate(objects, 1))
    return b"%PDF-1.7\n" + body + b"trailer " + trailer + b"\n"


def flate_bomb() -> bytes:
    packed = zlib.compress(bytes(1024 * MIB), 9)
    packed = zlib.compress(packed, 9)
    stream = b"<</Type/ObjStm/N 1/First 4/Filter[/FlateDecode/FlateDecode]/Length %d>> stream\n" % len(packed)
    return handmade(
        b"<</Type/Catalog/Pages 2 0 R/AcroForm 9 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Annots 9 0 R/Resources 9 0 R>>",
        stream + packed + b"\nendstream",
    )


HOSTILE = {
    "nothing": b"",
    "a head only": b"%PDF-1.7\n",
    "no pages": handmade(b"<</Type/Catalog>>"),
    "a page tree that is its own child": handmade(
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[2 0 R]/Count 1>>"
    ),
    "a page that is its own parent": handmade(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 3 0 R/Annots[3 0 R 4 0 R]>>",
        b"<</Subtype/Widget/FT/Tx/T(a)/Parent 4 0 R/Rect[0 0 9 9]>>",
    ),
    "fields in a ring": handmade(
        b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]>>>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Annots[4 0 R]>>",
        b"<</Subtype/Widget/T(surname)/Parent 5 0 R/Rect[0 0 9 9]>>",
        b"<</T(a)/Parent 4 0 R/Kids[4 0 R]>>",
    ),
    "nonsense everywhere": handmade(
        b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields 7/DA 7/Q(x)>>/Perms 7>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox(x)/CropBox[0 0 0 0]/Rotate(x)/UserUnit/x/Resources 7/Contents 7"
        b"/Annots[7 null 4 0 R]>>",
        b"<</Subtype/Widget/FT/Tx/Ff(x)/T(surname)/Rect[0(x)]/MK 7/BS 7/DA 7/Q/x/MaxLen(x)/Opt 7>>",
    ),
    "numbers beyond measure": handmade(
        b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]/DA(/F 1e99 Tf 1.2.3 g)>>>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[-1000000000 -1000000000 1000000000 1000000000]/UserUnit 0/Annots[4 0 R]>>",
        b"<</Subtype/Widget/FT/Tx/Ff 16777216/MaxLen 2147483647/T(surname)"
        b"/Rect[0 0 999999999999999999999999999999999999999999 0.0000001]"
        b"/MK<</BC[9 9 9]/BG[-1]/R 37>>/BS<</W 999999>>>>",
    ),
    "arrays within arrays": handmade(b"<</Type/Catalog/Pages " + b"[" * 100_000 + b"]" * 100_000 + b">>"),
    "an object stream that inflates a million times": flate_bomb(),
    "a thousand pages that are one": handmade(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count 5000/Kids[" + b"3 0 R " * 5000 + b"]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]>>",
    ),
}


@pytest.mark.parametrize("wanted", RENDITIONS)
@pytest.mark.parametrize("pdf", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_document_is_written_or_refused_and_the_next_one_is_written(
    writer: PdfWriter, pdf: bytes, wanted: TranscriptFormat
) -> None:
    """B51, B52, A51."""
    with contextlib.suppress(DocumentError):
        assert write(writer, pdf, wanted).startswith(b"%PDF")

    assert write(writer, good_form(), wanted).startswith(b"%PDF")


@pytest.mark.parametrize("wanted", RENDITIONS)
def test_a_document_cut_short_anywhere_is_written_or_refused(writer: PdfWriter, wanted: TranscriptFormat) -> None:
    """B55."""
    whole = good_form()
    for end in range(0, len(whole), 29):
        with contextlib.suppress(InvalidPdf):
            assert write(writer, whole[:end], wanted).startswith(b"%PDF")


def test_a_document_that_needs_more_memory_than_the_child_has_is_refused() -> None:
    limits = replace(PdfLimits(), memory_bytes=300 * MIB)
    pdf = pikepdf.new()
    for _ in range(3):
        page = pdf.add_blank_page(page_size=(200, 100)).obj
        page.Contents = pdf.make_stream(bytes(150 * MIB))
    file = io.BytesIO()
    pdf.save(file, compress_streams=False)

    with PdfWriter(replace(limits, max_document_bytes=1024 * MIB)) as writer, pytest.raises(UnprocessableInput):
        write(writer, file.getvalue())
