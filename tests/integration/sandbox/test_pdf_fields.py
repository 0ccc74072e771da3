"""A form's fields are its lines: named, in reading order, drawn with what is inked over them."""

import numpy as np
import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, String
from PIL import Image

from core.documents.cutting import CutDocument, CutWish, SkippedField
from core.errors import NoLines, TooManyLines
from core.settings import Settings
from core.words import Cut
from tests.images import encode
from tests.pdfs import UPRIGHT, PdfBuilder, mark_of, marked_content, opened
from worker.sandbox.limits import PdfLimits, pdf_limits
from worker.sandbox.pdf_sandbox import PdfCutter

FIELD = CutWish(Cut.FIELD)
BOX = (20, 150, 120, 170)


def names(document: CutDocument) -> list[str | None]:
    return [line.name for line in document.lines]


def test_text_choice_and_signature_fields_are_lines_and_the_rest_is_skipped_and_reported(cutter: PdfCutter) -> None:
    # given: a field of each kind, below each other
    form = PdfBuilder()
    page = form.page()
    combo = 1 << 17
    form.field(page, "agree", (20, 180, 30, 190), "/Btn")
    form.field(page, "text", (20, 160, 120, 175), "/Tx")
    form.field(page, "list", (20, 140, 120, 155), "/Ch", Opt=Array([String("a"), String("b")]))
    form.field(page, "combo", (20, 120, 120, 135), "/Ch", flags=combo, Opt=Array([String("a")]))
    form.field(page, "signature", (20, 100, 120, 115), "/Sig")
    form.places("sex", page, (20, 80, 30, 90), (40, 80, 50, 90), kind="/Btn", flags=1 << 15)
    form.field(page, "send", (20, 60, 60, 75), "/Btn", flags=1 << 16)
    form.field(page, "secret", (20, 40, 60, 55), "/Tx", flags=1 << 13, V="hunter2")

    # when
    document = cutter.cut(form.bytes(), FIELD)

    # then
    assert names(document) == ["text", "list", "combo", "signature"]
    assert all(line.image and line.text is None and line.error is None for line in document.lines)
    assert document.skipped == (
        SkippedField("agree", 1, "check_box"),
        SkippedField("sex", 1, "radio_group"),
        SkippedField("send", 1, "push_button"),
        SkippedField("secret", 1, "password"),
    )


def test_a_field_is_named_in_full_and_its_second_place_is_numbered(cutter: PdfCutter) -> None:
    # given: a nested name, and one field in three places over two pages
    form = PdfBuilder()
    first, second = form.page(), form.page()
    person = form.group("person")
    form.text_field(first, "surname", (20, 160, 120, 175), parent=form.group("name", parent=person))
    form.places("case", first, (20, 100, 120, 115), (20, 120, 120, 135))
    form.second_place(form.pdf.Root.AcroForm.Fields[1], second, (20, 120, 120, 135))

    # when
    document = cutter.cut(form.bytes(), FIELD)

    # then
    assert [(line.page, line.name) for line in document.lines] == [
        (1, "person.name.surname"),
        (1, "case"),
        (1, "case#2"),
        (2, "case#3"),
    ]


def test_a_name_that_looks_like_a_second_place_keeps_names_unique(cutter: PdfCutter) -> None:
    form = PdfBuilder()
    page = form.page()
    form.text_field(page, "case#2", (20, 160, 120, 175))
    form.places("case", page, (20, 120, 120, 135), (20, 100, 120, 115))

    assert names(cutter.cut(form.bytes(), FIELD)) == ["case#2", "case", "case#3"]


def test_a_name_in_any_script_is_kept(cutter: PdfCutter) -> None:
    form = PdfBuilder()
    form.text_field(form.page(), "Ort, Straße 出生地", BOX)

    assert names(cutter.cut(form.bytes(), FIELD)) == ["Ort, Straße 出生地"]


def test_ink_over_a_field_and_the_fields_own_looks_are_in_its_line(cutter: PdfCutter) -> None:
    # given: marks on the page, within the field's rectangle, and an appearance that underlines the field
    form = PdfBuilder()
    page = form.page(content=marked_content(BOX))
    field = form.text_field(page, "surname", BOX)
    looks = form.form_xobject((0, 0, 100, 20), content=b"1 0 0 RG 2 w 0 10 m 100 10 l S")
    field.AP = Dictionary(N=looks)

    # when
    (line,) = cutter.cut(form.bytes(), FIELD).lines

    # then
    assert line.box == pytest.approx((20, 30, 120, 50))
    assert mark_of(line.image) == UPRIGHT
    pixels = opened(line.image)
    middle = pixels[pixels.shape[0] // 2, :, :].mean(axis=0)
    assert middle[0] > 200
    assert middle[1:].max() < 80


def test_ink_below_a_field_that_is_not_transparent_is_in_its_line(cutter: PdfCutter) -> None:
    # given: a scanned page on which a program laid its fields again, white with a green edge
    form = PdfBuilder()
    page = form.page(content=marked_content((30, 155, 110, 165)))
    field = form.text_field(page, "surname", BOX)
    field.AP = Dictionary(N=form.form_xobject((0, 0, 100, 20), content=b"1 g 0 0 100 20 re f 0 1 0 RG 0 0 100 20 re S"))

    # when
    (line,) = cutter.cut(form.bytes(), FIELD).lines

    # then
    pixels = opened(line.image)
    height, width, _ = pixels.shape
    assert (pixels[[1, height - 2], width // 2] == (0, 255, 0)).all()
    inner = Image.fromarray(pixels[height // 4 : height * 3 // 4, width // 10 : width * 9 // 10])
    assert mark_of(encode(inner, "PNG")) == UPRIGHT


def test_ink_that_a_tablet_laid_over_the_page_as_an_annotation_is_in_the_line(cutter: PdfCutter) -> None:
    # given
    form = PdfBuilder()
    page = form.page()
    form.text_field(page, "surname", BOX)
    ink = form.pdf.make_indirect(
        Dictionary(Type=Name.Annot, Subtype=Name.Ink, Rect=Array(BOX), F=4, InkList=Array([Array([20, 160, 120, 160])]))
    )
    ink.AP = Dictionary(N=form.form_xobject(BOX, content=b"0 0 1 RG 4 w 20 160 m 120 160 l S"))
    page.Annots.append(ink)

    # when
    (line,) = cutter.cut(form.bytes(), FIELD).lines

    # then
    pixels = opened(line.image)
    assert (pixels[pixels.shape[0] // 2, 2:-2] == (0, 0, 255)).all()


def test_typed_text_is_reported_without_an_image(cutter: PdfCutter) -> None:
    # given
    form = PdfBuilder()
    page = form.page()
    options = Array([Array([String("de"), String("Germany")]), Array([String("fr"), String("France")])])
    form.text_field(page, "surname", (20, 160, 120, 175), value="Okafor-Müller")
    form.text_field(page, "blank", (20, 140, 120, 155), value="  ")
    form.field(page, "country", (20, 120, 120, 135), "/Ch", flags=1 << 17, V="fr", Opt=options)
    form.field(page, "other", (20, 100, 120, 115), "/Ch", flags=(1 << 17) | (1 << 18), V="Narnia", Opt=options)

    # when
    document = cutter.cut(form.bytes(), FIELD)

    # then: a choice is told as the form shows it, and blanks are nothing
    assert [(line.name, line.text) for line in document.lines] == [
        ("surname", "Okafor-Müller"),
        ("blank", None),
        ("country", "France"),
        ("other", "Narnia"),
    ]
    assert [line.image is not None for line in document.lines] == [False, True, False, False]


def test_a_field_that_nobody_sees_is_skipped(cutter: PdfCutter) -> None:
    form = PdfBuilder()
    page = form.page()
    form.text_field(page, "seen", (20, 160, 120, 175))
    form.text_field(page, "outside", (400, 400, 500, 420))
    form.text_field(page, "empty", (20, 100, 20, 100))
    form.text_field(page, "hidden", (20, 120, 120, 135)).F = 2

    document = cutter.cut(form.bytes(), FIELD)

    assert names(document) == ["seen"]
    assert {field.name: field.kind for field in document.skipped} == dict.fromkeys(
        ("outside", "empty", "hidden"), "hidden"
    )


def test_fields_are_read_row_by_row_though_their_designer_was_not_exact(cutter: PdfCutter) -> None:
    form = PdfBuilder()
    page = form.page()
    form.text_field(page, "right", (160, 151, 280, 171))
    form.text_field(page, "below", (20, 100, 280, 120))
    form.text_field(page, "left", (20, 149, 140, 169))

    assert names(cutter.cut(form.bytes(), FIELD)) == ["left", "right", "below"]


def test_three_hundred_lines_come_in_order_each_with_its_own_ink(cutter: PdfCutter) -> None:
    # given: field n has n of 300 in its width inked
    form = PdfBuilder()
    count, per_page = 300, 30
    for first in range(0, count, per_page):
        page = form.page(width=400, height=20 * per_page)
        content = []
        for row in range(per_page):
            bottom = 20 * (per_page - 1 - row)
            form.text_field(page, f"row{first + row}", (10, bottom + 2, 310, bottom + 18))
            content.append(f"0 g 10 {bottom} {first + row} 20 re f")
        form.draw(page, "\n".join(content).encode())

    # when
    document = cutter.cut(form.bytes(), FIELD)

    # then
    assert names(document) == [f"row{number}" for number in range(count)]
    inked = [300 * float(np.mean(opened(line.image) < 128)) for line in document.lines]
    assert inked == pytest.approx(list(range(count)), abs=1)


def test_a_form_with_more_lines_than_a_job_may_have_is_refused() -> None:
    form = PdfBuilder()
    page = form.page()
    for row in range(4):
        form.text_field(page, f"row{row}", (20, 20 + 20 * row, 120, 35 + 20 * row))
    form.page()

    with PdfCutter(PdfLimits(max_lines=3)) as cutter, pytest.raises(TooManyLines):
        cutter.cut(form.bytes(), FIELD)


def test_a_document_without_fields_holds_no_lines_for_this_cut(cutter: PdfCutter) -> None:
    form = PdfBuilder()
    form.field(form.page(), "agree", BOX, "/Btn")

    with pytest.raises(NoLines):
        cutter.cut(form.bytes(), FIELD)


def test_a_line_too_thin_to_be_one_fails_alone(cutter: PdfCutter) -> None:
    form = PdfBuilder()
    page = form.page(width=1000)
    form.text_field(page, "hair", (10, 150, 990, 151))
    form.text_field(page, "good", (20, 100, 120, 120))

    hair, good = cutter.cut(form.bytes(), FIELD).lines

    assert hair.error is not None
    assert hair.error.code == "image_dimensions"
    assert good.image is not None


def test_fields_that_a_form_forgot_to_list_are_found_on_the_page(cutter: PdfCutter) -> None:
    # given: a form whose list of fields is empty, as some mergers leave it
    form = PdfBuilder()
    form.text_field(form.page(), "surname", BOX)
    form.pdf.Root.AcroForm.Fields = Array()
    with pytest.warns(pikepdf.PageCopyWarning):
        pdf = form.bytes()

    assert names(cutter.cut(pdf, FIELD)) == ["surname"]


@pytest.mark.parametrize("password", ["owner", "user-ä"])
@pytest.mark.parametrize("revision", [3, 4, 6])
def test_an_encrypted_form_is_cut_with_either_password(cutter: PdfCutter, password: str, revision: int) -> None:
    form = PdfBuilder()
    form.text_field(form.page(content=marked_content(BOX)), "surname", BOX)
    locked = form.bytes(
        encryption=pikepdf.Encryption(user="user-ä", owner="owner", R=revision, aes=revision > 3, metadata=False)
    )

    document = cutter.cut(locked, CutWish(Cut.FIELD, password=password))

    assert names(document) == ["surname"]
    assert mark_of(document.lines[0].image) == UPRIGHT


@pytest.mark.parametrize("mode", list(pikepdf.ObjectStreamMode))
def test_object_streams_are_read(cutter: PdfCutter, mode: pikepdf.ObjectStreamMode) -> None:
    form = PdfBuilder()
    form.text_field(form.page(), "surname", BOX)

    pdf = form.bytes(object_stream_mode=mode, linearize=mode == pikepdf.ObjectStreamMode.generate)

    assert names(cutter.cut(pdf, FIELD)) == ["surname"]


def test_the_size_of_a_line_in_pixels_follows_its_size_on_paper() -> None:
    # given: a long low field, a short one, and one of half a page
    form = PdfBuilder()
    page = form.page(width=600, height=800)
    form.text_field(page, "long", (10, 700, 510, 720))
    form.text_field(page, "short", (10, 650, 60, 662))
    form.text_field(page, "large", (10, 10, 590, 400))

    # when
    with PdfCutter(pdf_limits(Settings())) as cutter:
        shapes = {line.name: opened(line.image).shape[:2] for line in cutter.cut(form.bytes(), FIELD).lines}

    # then
    assert shapes == {"long": (96, 2400), "short": (67, 278), "large": (542, 806)}
