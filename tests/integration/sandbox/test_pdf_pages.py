"""Pages and regions as lines, where they are on the page as a reader sees it, and which cut a document asks for."""

import io
import zlib

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name
from PIL import Image

from core.documents.cutting import Box, CutWish, Page, Region
from core.errors import PageOutOfRange
from core.words import Cut, RegionUnit
from tests.pdfs import (
    LIBREOFFICE_FORM,
    UPRIGHT,
    PdfBuilder,
    mark_of,
    marked_content,
    marked_picture,
    one_page,
    opened,
    raw_pdf,
    reportlab_form,
    reportlab_pictures,
    scan,
    scanned_page,
    stream,
)
from worker.sandbox.limits import PdfLimits
from worker.sandbox.pdf_sandbox import PdfCutter

PAGE = CutWish(Cut.PAGE)
AUTO = CutWish(Cut.AUTO)
TURNED = {
    0: UPRIGHT,
    90: ("blue", "red", "black", "green"),
    180: ("black", "blue", "green", "red"),
    270: ("green", "black", "red", "blue"),
}


def region(name: str, box: Box, page: int = 1, unit: RegionUnit = RegionUnit.POINTS) -> Region:
    return Region(name, page, box, unit)


def regions(*wanted: Region) -> CutWish:
    return CutWish(Cut.REGIONS, regions=wanted)


# pages


def test_each_page_is_one_line(cutter: PdfCutter) -> None:
    # given
    document = PdfBuilder()
    document.page(width=400, height=60, content=marked_content((0, 0, 400, 60)))
    document.page(width=300, height=50)

    # when
    cut = cutter.cut(document.bytes(), PAGE)

    # then
    assert cut.cut == Cut.PAGE
    assert [(line.page, line.box, line.name) for line in cut.lines] == [
        (1, (0, 0, 400, 60), None),
        (2, (0, 0, 300, 50), None),
    ]
    assert mark_of(cut.lines[0].image) == UPRIGHT
    assert (opened(cut.lines[1].image) == 255).all()


@pytest.mark.parametrize("rotate", [0, 90, 180, 270, -90, 450])
@pytest.mark.parametrize("user_unit", [None, 2.0])
def test_rotation_crop_box_and_user_unit_are_respected(cutter: PdfCutter, rotate: int, user_unit: float | None) -> None:
    # given: a mark that fills the crop box
    document = PdfBuilder()
    crop = (20, 30, 220, 80)
    page = document.page(rotate=rotate, crop=crop, user_unit=user_unit, content=marked_content(crop))
    document.text_field(page, "first quarter", (20, 55, 120, 80))

    # when
    cut = cutter.cut(document.bytes(), PAGE)
    (field,) = cutter.cut(document.bytes(), CutWish(Cut.FIELD)).lines

    # then
    turned, unit = rotate % 360, user_unit or 1.0
    width, height = (200 * unit, 50 * unit) if turned in {0, 180} else (50 * unit, 200 * unit)
    assert cut.pages == (Page(1, None, width, height),)
    assert mark_of(cut.lines[0].image) == TURNED[turned]
    left, top = {0: (0, 0), 90: (0.5, 0), 180: (0.5, 0.5), 270: (0, 0.5)}[turned]
    corner = (left * width, top * height, (left + 0.5) * width, (top + 0.5) * height)
    assert field.box == pytest.approx(corner)
    assert "red" in mark_of(field.image)


def test_pages_have_the_labels_that_the_document_gives_them(cutter: PdfCutter) -> None:
    document = PdfBuilder()
    for _ in range(4):
        document.page()
    document.pdf.Root.PageLabels = Dictionary(
        Nums=Array([0, Dictionary(S=Name.r, St=3), 2, Dictionary(P=pikepdf.String("Blatt "), S=Name.D)])
    )

    cut = cutter.cut(document.bytes(), PAGE)

    assert [page.label for page in cut.pages] == ["iii", "iv", "Blatt 1", "Blatt 2"]


@pytest.mark.parametrize(
    ("ranges", "numbers"),
    [
        (((2, 3),), [2, 3]),
        (((4, 9), (1, 1)), [1, 4, 5]),
        (((2, 4), (3, 5), (2, 2)), [2, 3, 4, 5]),
        (((5, 2_000_000_000),), [5]),
    ],
)
def test_only_the_pages_asked_for_are_looked_at(
    cutter: PdfCutter, ranges: tuple[tuple[int, int], ...], numbers: list[int]
) -> None:
    document = PdfBuilder()
    for _ in range(5):
        document.page(height=40)

    cut = cutter.cut(document.bytes(), CutWish(Cut.PAGE, pages=ranges))

    assert [page.number for page in cut.pages] == numbers
    assert [line.page for line in cut.lines] == numbers


def test_pages_beyond_the_document_are_refused_when_there_are_no_others(cutter: PdfCutter) -> None:
    document = PdfBuilder()
    document.page()

    with pytest.raises(PageOutOfRange):
        cutter.cut(document.bytes(), CutWish(Cut.PAGE, pages=((2, 3),)))


@pytest.mark.parametrize("cut", [Cut.PAGE, Cut.FIELD, Cut.IMAGE])
@pytest.mark.parametrize("damage", ["content", "box"])
def test_one_bad_page_fails_only_its_line(cutter: PdfCutter, cut: Cut, damage: str) -> None:
    # given: a good page, a bad one, a good one
    document = PdfBuilder()
    for name in ("first", "bad", "last"):
        page = document.page(height=60, content=marked_content((20, 20, 120, 40)))
        document.text_field(page, name, (20, 20, 120, 40))
        document.picture(page, marked_picture(), (100, 0, 0, 20, 20, 20))
    bad = document.pdf.pages[1].obj
    if damage == "content":
        bad.Contents = document.pdf.make_stream(b"\x78\xda" + b"\xff" * 100)
        bad.Contents.Filter = Name.FlateDecode
    else:
        bad.MediaBox = Array([0, 0, 0, 0])
    pdf = document.bytes(compress_streams=False, stream_decode_level=pikepdf.StreamDecodeLevel.none)

    # when
    lines = cutter.cut(pdf, CutWish(cut)).lines

    # then
    assert [(line.page, line.error and line.error.code) for line in lines] == [
        (1, None),
        (2, "page_unreadable"),
        (3, None),
    ]
    assert all(line.image for line in lines if line.page != 2)


@pytest.mark.parametrize("bad", [b"9 0 R", b"[1]", b"4 0 R"])
def test_a_page_that_is_no_page_fails_only_its_line(cutter: PdfCutter, bad: bytes) -> None:
    # given: in place of the second page an object that is missing, an array, a number
    pdf = raw_pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R %s 3 0 R]/Count 3>>" % bad,
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 60]>>",
        b"17",
    )

    lines = cutter.cut(pdf, PAGE).lines

    assert [line.error and line.error.code for line in lines] == [None, "page_unreadable", None]


def test_content_that_ends_early_is_drawn_as_far_as_it_goes(cutter: PdfCutter) -> None:
    # given: flate without its end, as sloppy producers leave it
    document = PdfBuilder()
    page = document.page(height=60, content=(marked_content((0, 0, 300, 60)) + b"\n") * 20)
    body = zlib.compress(page.Contents.read_bytes())[:-6]
    page.Contents = document.pdf.make_stream(body)
    page.Contents.Filter = Name.FlateDecode

    (line,) = cutter.cut(document.bytes(stream_decode_level=pikepdf.StreamDecodeLevel.none), PAGE).lines

    assert mark_of(line.image) == UPRIGHT


# regions


def test_regions_are_cut_in_points_and_in_fractions_in_the_order_asked_for(cutter: PdfCutter) -> None:
    # given
    document = PdfBuilder()
    document.page(content=marked_content((60, 100, 160, 120)))
    document.page(content=marked_content((30, 20, 150, 60)))
    wish = regions(
        region("city", (0.1, 0.7, 0.5, 0.9), page=2, unit=RegionUnit.FRACTION),
        region("surname", (60, 80, 160, 100)),
    )

    # when
    cut = cutter.cut(document.bytes(), wish)

    # then
    assert cut.cut == Cut.REGIONS
    assert [(line.name, line.page) for line in cut.lines] == [("city", 2), ("surname", 1)]
    assert cut.lines[0].box == pytest.approx((30, 140, 150, 180))
    assert cut.lines[1].box == pytest.approx((60, 80, 160, 100))
    assert [mark_of(line.image) for line in cut.lines] == [UPRIGHT, UPRIGHT]
    assert [page.number for page in cut.pages] == [1, 2]


@pytest.mark.parametrize("rotate", [90, 180, 270])
def test_a_region_is_where_a_reader_sees_it(cutter: PdfCutter, rotate: int) -> None:
    document = PdfBuilder()
    document.page(rotate=rotate, user_unit=2, content=marked_content((0, 0, 300, 200)))
    whole = region("whole", (0, 0, 1, 1), unit=RegionUnit.FRACTION)

    (line,) = cutter.cut(document.bytes(), regions(whole)).lines

    assert mark_of(line.image) == TURNED[rotate]


def test_a_region_outside_or_on_a_missing_page_fails_alone(cutter: PdfCutter) -> None:
    # given
    document = PdfBuilder()
    document.page()
    document.page()
    good = (20, 20, 120, 40)
    wish = regions(
        region("good", good),
        region("over the edge", (250, 20, 320, 40)),
        region("above", (20, -30, 120, 40)),
        region("far away", (1000, 1000, 1100, 1020)),
        region("inside out", (120, 40, 20, 20)),
        region("empty", (20, 20, 20, 40)),
        region("too far in fractions", (0.5, 0.5, 1.5, 0.6), unit=RegionUnit.FRACTION),
        region("no such page", good, page=3),
        region("by a hair", (200, 20, 300.5, 40)),
    )

    # when
    lines = cutter.cut(document.bytes(), wish).lines

    # then
    assert [line.name for line in lines] == [wanted.name for wanted in wish.regions]
    assert [line.name for line in lines if line.image] == ["good", "by a hair"]
    assert {line.error.code for line in lines if line.error} == {"region_outside"}
    assert lines[-1].box == (200, 20, 300, 40)


def test_many_regions_on_a_scan_decode_it_once(cutter: PdfCutter) -> None:
    # given: a page whose picture takes far longer to decode than a line to cut, and processor time for a few of it
    pdf = scan(scanned_page(dpi=300), dpi=300)
    wish = regions(*(region(f"row{row}", (50, 40 + 7 * row, 90, 46 + 7 * row)) for row in range(100)))

    with PdfCutter(PdfLimits(cpu_seconds=1, cpu_seconds_per_answer=0)) as frugal:
        lines = frugal.cut(pdf, wish).lines

    assert all(line.image for line in lines)


def test_regions_of_which_none_is_in_the_document_are_lines_that_say_so(cutter: PdfCutter) -> None:
    document = PdfBuilder()
    document.page()

    (line,) = cutter.cut(document.bytes(), regions(region("far", (0, 0, 10, 10), page=7))).lines

    assert line.error is not None
    assert line.error.code == "region_outside"


# auto, over documents of several producers


def test_a_form_is_cut_by_its_fields(cutter: PdfCutter) -> None:
    cut = cutter.cut(reportlab_form(("surname", "city"), pages=2), AUTO)

    assert cut.cut == Cut.FIELD
    assert [line.name for line in cut.lines] == ["surname_0", "city_0", "surname_1", "city_1"]
    inked = [bool((opened(line.image)[10:-10, 10:-10] < 100).any()) for line in cut.lines]  # within the border
    assert inked == [True, False, True, False]


def test_a_form_by_libreoffice_is_cut_by_its_fields(cutter: PdfCutter) -> None:
    cut = cutter.cut(LIBREOFFICE_FORM.read_bytes(), AUTO)

    assert cut.cut == Cut.FIELD
    assert [(line.name, line.text, line.image is not None) for line in cut.lines] == [
        ("surname", None, True),
        ("city", "Enugu", False),
    ]
    assert [(field.name, field.kind) for field in cut.skipped] == [("agrees", "check_box")]


def test_check_boxes_alone_make_no_form(cutter: PdfCutter) -> None:
    document = PdfBuilder()
    document.field(document.page(content=b"0 0 100 100 re f"), "agree", (20, 20, 30, 30), "/Btn")

    assert cutter.cut(document.bytes(), AUTO).cut == Cut.PAGE


def test_pages_of_nothing_but_pictures_are_cut_by_them(cutter: PdfCutter) -> None:
    cut = cutter.cut(reportlab_pictures([marked_picture()] * 3), AUTO)

    assert cut.cut == Cut.IMAGE
    assert [mark_of(line.image) for line in cut.lines] == [UPRIGHT] * 3


def test_a_scan_is_cut_by_its_pictures_at_the_scanners_resolution(cutter: PdfCutter) -> None:
    page = scanned_page()

    cut = cutter.cut(scan(page, page, dpi=150), AUTO)

    assert cut.cut == Cut.IMAGE
    assert [opened(line.image).shape for line in cut.lines] == [(page.height, page.width, 3)] * 2
    assert cut.lines[0].box == pytest.approx((0, 0, page.width * 72 / 150, page.height * 72 / 150), abs=0.1)


def test_a_scan_with_an_invisible_text_layer_on_a_white_ground_is_still_only_pictures(cutter: PdfCutter) -> None:
    # given: what OCR programs make of a scan
    document = PdfBuilder()
    page = document.page(content=b"1 g 0 0 300 200 re f BT 3 Tr /F 12 Tf (Okafor) Tj ET")
    page.Resources = Dictionary(
        Font=Dictionary(F=Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Courier))
    )
    document.picture(page, marked_picture(), (300, 0, 0, 200, 0, 0))

    assert cutter.cut(document.bytes(), AUTO).cut == Cut.IMAGE


def test_a_page_with_anything_else_is_cut_as_a_page(cutter: PdfCutter) -> None:
    document = PdfBuilder()
    document.picture(document.page(), marked_picture(), (100, 0, 0, 20, 20, 20))
    document.page(content=b"0 0 100 100 re f")

    assert cutter.cut(document.bytes(), AUTO).cut == Cut.PAGE


def test_only_the_pages_asked_for_decide(cutter: PdfCutter) -> None:
    document = PdfBuilder()
    document.text_field(document.page(), "surname", (20, 20, 120, 40))
    document.picture(document.page(), marked_picture(), (100, 0, 0, 20, 20, 20))

    cut = cutter.cut(document.bytes(), CutWish(Cut.AUTO, pages=((2, 2),)))

    assert cut.cut == Cut.IMAGE


def test_a_page_whose_box_is_given_the_other_way_round_is_drawn(cutter: PdfCutter) -> None:
    pdf = one_page(b"/MediaBox[0 60 300 0]/Contents 4 0 R", stream(marked_content((0, 0, 300, 60))))

    cut = cutter.cut(pdf, PAGE)

    assert cut.pages == (Page(1, None, 300, 60),)
    assert mark_of(cut.lines[0].image) == UPRIGHT


def test_a_large_page_is_drawn_within_the_limits_of_an_image(cutter: PdfCutter) -> None:
    document = PdfBuilder()
    document.page(width=14_000, height=14_000, content=marked_content((0, 0, 14_000, 14_000)))

    (line,) = cutter.cut(document.bytes(), PAGE).lines

    height, width, _ = opened(line.image).shape
    assert height * width <= cutter.limits.max_image_pixels
    assert mark_of(line.image) == UPRIGHT


def test_colour_is_kept_where_there_is_some(cutter: PdfCutter) -> None:
    document = PdfBuilder()
    document.page(height=40, content=b"0 0 1 rg 100 10 50 20 re f")
    document.page(height=40, content=b"0.5 g 100 10 50 20 re f")

    blue, grey = cutter.cut(document.bytes(), PAGE).lines

    assert [Image.open(io.BytesIO(line.image or b"")).mode for line in (blue, grey)] == ["RGB", "L"]
