"""What is cut out of a document can be written back into it: places and names mean the same on both ways."""

import io
from pathlib import Path

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, String

from core.documents.cutting import CutDocument, CutWish
from core.documents.writing import WrittenLine
from core.words import Cut, TranscriptFormat
from tests.written_pdfs import box_of
from worker.sandbox.pdf_sandbox import PdfCutter
from worker.sandbox.pdf_writing import PdfWriter

INTAKE = Path(__file__).parents[3] / "examples" / "forms" / "intake.pdf"


def odd_form(rotate: int) -> bytes:
    """Make a form whose page is turned, cropped and scaled, with a field in two places and one below another."""
    pdf = pikepdf.new()
    page = pdf.add_blank_page(page_size=(400, 300)).obj
    page.Rotate, page.CropBox, page.UserUnit = rotate, Array([20, 10, 390, 280]), 1.5
    widgets = [
        pdf.make_indirect(Dictionary(Type=Name.Annot, Subtype=Name.Widget, Rect=Array(rectangle), F=4, P=page))
        for rectangle in ([40, 200, 160, 220], [200, 200, 320, 220], [40, 100, 160, 120])
    ]
    twice = pdf.make_indirect(Dictionary(T=String("surname"), FT=Name.Tx, Kids=Array(widgets[:2])))
    above = pdf.make_indirect(Dictionary(T=String("birth"), Kids=Array([widgets[2]])))
    for widget in widgets[:2]:
        widget.Parent = twice
    widgets[2].Parent, widgets[2].T, widgets[2].FT = above, String("place"), Name.Tx
    page.Annots = Array(widgets)
    pdf.Root.AcroForm = Dictionary(Fields=Array([twice, above]), DA=String("/Helv 0 Tf 0 g"))
    file = io.BytesIO()
    pdf.save(file)
    return file.getvalue()


def read(cut: CutDocument) -> list[WrittenLine]:
    return [WrittenLine(line.page, line.box, f"text {index} of it", line.name) for index, line in enumerate(cut.lines)]


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_text_stands_where_its_line_was_cut(cutter: PdfCutter, writer: PdfWriter, rotate: int) -> None:
    pdf = odd_form(rotate)
    lines = read(cutter.cut(pdf, CutWish(Cut.FIELD)))

    written = writer.write(pdf, None, TranscriptFormat.PDF, lines)

    assert len(lines) == 3
    for line in lines:
        height = line.box[3] - line.box[1]  # of which pdfium's boxes of characters are off by a hundredth
        assert box_of(written, line.text, unit=1.5) == pytest.approx(line.box, abs=max(0.5, 0.015 * height))


def test_fields_are_filled_by_the_names_that_their_lines_got_and_are_typed_when_cut_again(
    cutter: PdfCutter, writer: PdfWriter
) -> None:
    pdf = odd_form(90)
    lines = read(cutter.cut(pdf, CutWish(Cut.FIELD)))
    first = next(line for line in lines if (line.field or "").startswith("surname"))

    again = cutter.cut(writer.write(pdf, None, TranscriptFormat.FORM, lines), CutWish(Cut.FIELD))

    typed = {line.name: line.text for line in again.lines}
    assert typed == {line.field: (line.text if line.field == "birth.place" else first.text) for line in lines}
    assert {line.field for line in lines} == {"surname", "surname#2", "birth.place"}


def test_every_field_of_the_example_form_can_be_filled(cutter: PdfCutter, writer: PdfWriter) -> None:
    pdf = INTAKE.read_bytes()
    lines = read(cutter.cut(pdf, CutWish()))

    again = cutter.cut(writer.write(pdf, None, TranscriptFormat.FORM, lines), CutWish(Cut.FIELD))

    assert [(line.name, line.text) for line in again.lines] == [(line.field, line.text) for line in lines]
    assert len(lines) == 12
