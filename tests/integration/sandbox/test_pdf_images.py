"""Each placed picture is a line: upright, whole pixels, what the page shows of it, on white."""

import io

import numpy as np
import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name
from PIL import Image, ImageOps

from core.documents.cutting import CutWish
from core.errors import NoLines
from core.words import Cut
from tests.images import encode, line_picture, noise_png
from tests.pdfs import UPRIGHT, PdfBuilder, mark_of, marked_picture, opened, reportlab_pictures
from worker.sandbox.limits import PdfLimits
from worker.sandbox.pdf_sandbox import PdfCutter

IMAGE = CutWish(Cut.IMAGE)
QUARTER = (0, 100, -40, 0, 140, 40)  # a matrix that turns a picture a quarter to the left


def rgb(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize(
    "matrix", [(100, 0, 0, 20, 30.3, 40.7), (13.37, 0, 0, 2.674, 0.1, 0.2), (271, 0, 0, 54.2, 7, 9)]
)
def test_a_picture_is_taken_at_its_own_resolution_pixel_for_pixel(cutter: PdfCutter, matrix: tuple[float, ...]) -> None:
    # given: noise, of which resampling would leave nothing
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 200, 3), dtype=np.uint8))
    document = PdfBuilder()
    page = document.page(width=301.3, height=200.7)
    document.picture(page, picture, matrix)

    # when
    (line,) = cutter.cut(document.bytes(), IMAGE).lines

    # then
    assert (opened(line.image) == rgb(picture)).all()


def test_grey_stays_grey_and_colour_stays_colour(cutter: PdfCutter) -> None:
    document = PdfBuilder()
    page = document.page()
    document.picture(page, line_picture(), (100, 0, 0, 20, 20, 150))
    document.picture(page, marked_picture(), (100, 0, 0, 20, 20, 50))

    grey, colour = cutter.cut(document.bytes(), IMAGE).lines

    assert [png[25] for png in (grey.image or b"", colour.image or b"")] == [0, 2]  # the colour type in a PNG's header
    assert (opened(grey.image) == rgb(line_picture())).all()


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_a_picture_is_the_right_way_up_however_page_and_placement_turn_it(cutter: PdfCutter, rotate: int) -> None:
    # given: a picture on a turned page, placed so that a reader sees it upright
    upright = {
        0: (100, 0, 0, 20, 50, 60),
        90: (0, 100, -20, 0, 70, 60),
        180: (-100, 0, 0, -20, 150, 80),
        270: (0, -100, 20, 0, 50, 160),
    }[rotate]
    document = PdfBuilder()
    page = document.page(rotate=rotate, crop=(10, 20, 280, 190))
    document.picture(page, marked_picture(), upright)

    # when
    (line,) = cutter.cut(document.bytes(), IMAGE).lines

    # then
    assert mark_of(line.image) == UPRIGHT
    assert opened(line.image).shape == (40, 200, 3)
    x0, y0, x1, y1 = line.box
    assert (x1 - x0, y1 - y0) == pytest.approx((100, 20))


def test_pictures_come_in_reading_order_over_pages_not_in_the_order_of_the_file(cutter: PdfCutter) -> None:
    # given: named by their widths
    document = PdfBuilder()
    first, second = document.page(), document.page()
    for page, width, left, bottom in (
        (second, 25, 20, 150),
        (first, 24, 20, 20),
        (first, 23, 150, 99),
        (first, 22, 20, 101),
        (first, 21, 20, 160),
    ):
        document.picture(page, Image.new("L", (width, 20), 0), (width, 0, 0, 20, left, bottom))

    # when
    lines = cutter.cut(document.bytes(), IMAGE).lines

    # then
    assert [opened(line.image).shape[1] for line in lines] == [21, 22, 23, 24, 25]
    assert [line.page for line in lines] == [1, 1, 1, 1, 2]


def test_a_picture_placed_twice_is_two_lines(cutter: PdfCutter) -> None:
    document = PdfBuilder()
    page = document.page()
    image = document.image(marked_picture())
    document.place(page, image, (100, 0, 0, 20, 20, 150))
    document.place(page, image, QUARTER)

    first, second = cutter.cut(document.bytes(), IMAGE).lines

    assert {mark_of(first.image), mark_of(second.image)} == {UPRIGHT, ("green", "black", "red", "blue")}
    assert first.box != second.box


def test_pictures_within_forms_within_forms_are_found_where_they_are(cutter: PdfCutter) -> None:
    # given: a form that moves and scales, placed twice, in it another whose own matrix turns a picture upside down
    document = PdfBuilder()
    page = document.page()
    inner = document.form_xobject((0, 0, 100, 100), matrix=(-1, 0, 0, -1, 100, 100))
    document.place(inner, document.image(marked_picture()), (100, 0, 0, 20, 0, 0))
    outer = document.form_xobject((0, 0, 200, 200))
    document.place(outer, inner, (0.5, 0, 0, 0.5, 10, 10))
    document.place(page, outer, (1, 0, 0, 1, 20, 100))
    document.place(page, outer, (2, 0, 0, 2, 100, 0))

    # when
    lines = cutter.cut(document.bytes(), IMAGE).lines

    # then
    assert [line.box for line in lines] == [
        pytest.approx((30, 40, 80, 50)),
        pytest.approx((120, 80, 220, 100)),
    ]
    assert all(mark_of(line.image) == ("black", "blue", "green", "red") for line in lines)


def test_clips_and_the_crop_box_cut_a_picture(cutter: PdfCutter) -> None:
    # given: one picture of which a clip leaves the right half, and one that hangs over the crop box's left edge
    document = PdfBuilder()
    page = document.page(crop=(50, 0, 300, 200), content=b"q 120 100 200 100 re W n")
    document.picture(page, marked_picture(), (100, 0, 0, 20, 70, 150))
    document.draw(page, b"Q")
    document.picture(page, marked_picture(), (100, 0, 0, 20, 0, 50))

    # when
    clipped, cropped = cutter.cut(document.bytes(), IMAGE).lines

    # then
    assert clipped.box == pytest.approx((70, 30, 120, 50))
    assert cropped.box == pytest.approx((0, 130, 50, 150))
    right_half = rgb(marked_picture())[:, 100:]
    assert (opened(clipped.image) == right_half).all()
    assert (opened(cropped.image) == right_half).all()


def test_a_form_clips_to_its_own_box(cutter: PdfCutter) -> None:
    document = PdfBuilder()
    page = document.page()
    form = document.form_xobject((0, 0, 50, 20))
    document.place(form, document.image(marked_picture()), (100, 0, 0, 20, 0, 0))
    document.place(page, form, (1, 0, 0, 1, 20, 100))

    (line,) = cutter.cut(document.bytes(), IMAGE).lines

    assert line.box == pytest.approx((20, 80, 70, 100))
    assert (opened(line.image) == rgb(marked_picture())[:, :100]).all()


def test_a_picture_that_nobody_sees_is_no_line(cutter: PdfCutter) -> None:
    # given: one outside of the page, one clipped away, one that is wholly transparent
    document = PdfBuilder()
    page = document.page(content=b"q 0 0 10 10 re W n")
    document.picture(page, marked_picture(), (100, 0, 0, 20, 100, 100))
    document.draw(page, b"Q")
    document.picture(page, marked_picture(), (100, 0, 0, 20, 400, 100))
    clear = document.image(Image.new("L", (200, 40), 0))
    document.picture(page, marked_picture(), (100, 0, 0, 20, 20, 100), SMask=clear)

    with pytest.raises(NoLines):
        cutter.cut(document.bytes(), IMAGE)


def test_masks_are_laid_on_white(cutter: PdfCutter) -> None:
    # given: black pictures whose ink is in a soft mask, in a stencil, in a mask of colours
    line = line_picture()
    ink = ImageOps.invert(line)
    document = PdfBuilder()
    page = document.page()
    black = Image.new("L", line.size, 0)
    document.picture(page, black, (100, 0, 0, 20, 20, 150), SMask=document.image(ink))
    hard = line.point(lambda value: 255 * (value > 128)).convert("1")
    document.draw(page, b"0 g")
    stencil = document.image(hard, ImageMask=True)
    del stencil.ColorSpace
    document.place(page, stencil, (100, 0, 0, 20, 20, 100))
    on_red = Image.merge("RGB", [line, Image.new("L", line.size, 0), Image.new("L", line.size, 0)])
    document.picture(page, on_red, (100, 0, 0, 20, 20, 50), Mask=Array([255, 255, 0, 0, 0, 0]))

    # when
    soft, stencilled, keyed = (opened(line.image) for line in cutter.cut(document.bytes(), IMAGE).lines)

    # then
    assert (soft == rgb(line)).all()
    assert (stencilled == rgb(hard)).all()
    assert (keyed[np.asarray(line) == 255] == 255).all()
    assert (keyed[np.asarray(line) < 128][:, 0] < 128).all()


def test_what_lies_over_or_under_a_picture_is_not_in_its_line(cutter: PdfCutter) -> None:
    # given: a line's picture on a picture of the page's paper, and text over both
    document = PdfBuilder()
    page = document.page(content=b"0 1 0 rg 0 0 300 200 re f")
    document.picture(page, Image.new("L", (300, 200), 200), (300, 0, 0, 200, 0, 0))
    document.picture(page, marked_picture(), (100, 0, 0, 20, 20, 150))
    document.draw(page, b"1 0 0 rg 0 155 300 10 re f")

    # when
    paper, line = cutter.cut(document.bytes(), IMAGE).lines

    # then
    assert (opened(paper.image) == 200).all()
    assert (opened(line.image) == rgb(marked_picture())).all()


def test_inline_pictures_are_lines(cutter: PdfCutter) -> None:
    document = PdfBuilder()
    rows = marked_picture(40, 8)
    content = b"q 100 0 0 20 20 150 cm BI /W 40 /H 8 /CS /RGB /BPC 8 ID " + rows.tobytes() + b" EI Q"
    document.page(content=content)

    (line,) = cutter.cut(document.bytes(), IMAGE).lines

    assert (opened(line.image) == rgb(rows)).all()


@pytest.mark.parametrize(
    "kind", ["1 bit", "16 bit", "palette", "cmyk", "lab", "separation", "calibrated", "jpeg", "jpx"]
)
def test_any_colour_space_is_read(cutter: PdfCutter, kind: str) -> None:
    # given: the same line of black on white
    line = line_picture()
    hard = line.point(lambda value: 255 * (value > 128))
    document = PdfBuilder()
    pdf = document.pdf
    image = document.image(hard)
    if kind == "1 bit":
        image = document.image(hard.convert("1"))
    elif kind == "16 bit":
        image.BitsPerComponent = 16
        image.write((np.asarray(hard).astype(">u2") * 257).tobytes())
    elif kind == "palette":
        image.ColorSpace = Array([Name.Indexed, Name.DeviceRGB, 1, pikepdf.String(b"\0\0\0\xff\xff\xff")])
        image.write((np.asarray(hard) // 255).tobytes())
    elif kind == "cmyk":
        ink = np.asarray(ImageOps.invert(hard))
        image.ColorSpace = Name.DeviceCMYK
        image.write(np.stack([np.zeros_like(ink)] * 3 + [ink], axis=2).tobytes())
    elif kind == "lab":
        image.ColorSpace = Array([Name.Lab, Dictionary(WhitePoint=Array([0.96, 1, 0.82]))])
        grey = np.asarray(hard)
        image.write(np.stack([grey, np.full_like(grey, 128), np.full_like(grey, 128)], axis=2).tobytes())
    elif kind == "separation":
        tint = Dictionary(FunctionType=2, Domain=Array([0, 1]), N=1, C0=Array([1]), C1=Array([0]))
        image.ColorSpace = Array([Name.Separation, Name.Black, Name.DeviceGray, tint])
        image.write(np.asarray(ImageOps.invert(hard)).tobytes())
    elif kind == "calibrated":
        image.ColorSpace = Array([Name.CalGray, Dictionary(WhitePoint=Array([0.96, 1, 0.82]), Gamma=2.2)])
    else:
        format_, filter_ = {"jpeg": ("JPEG", "/DCTDecode"), "jpx": ("JPEG2000", "/JPXDecode")}[kind]
        image = pdf.make_stream(encode(hard, format_), image.stream_dict)
        image.Filter = Name(filter_)
    document.place(document.page(), image, (100, 0, 0, 20, 20, 150))

    # when
    (cut,) = cutter.cut(document.bytes(), IMAGE).lines

    # then: grey, and black and white where they should be; a JPEG rings a little
    pixels = opened(cut.image).astype(int)
    assert np.abs(pixels - rgb(hard)).max() < (130 if kind in {"jpeg", "jpx", "lab"} else 40)
    assert np.abs(pixels - rgb(hard)).mean() < 6


def test_a_picture_that_cannot_be_decoded_fails_alone(cutter: PdfCutter) -> None:
    # given
    document = PdfBuilder()
    page = document.page()
    broken = document.pdf.make_stream(b"\xff\xd8\xff no JPEG", document.image(line_picture()).stream_dict)
    broken.Filter = Name.DCTDecode
    document.place(page, broken, (100, 0, 0, 20, 20, 150))
    document.picture(page, marked_picture(), (100, 0, 0, 20, 20, 100))

    # when
    bad, good = cutter.cut(document.bytes(), IMAGE).lines

    # then
    assert bad.error is not None
    assert bad.error.code == "corrupt_image"
    assert mark_of(good.image) == UPRIGHT


def test_a_picture_turned_by_an_odd_angle_is_cut_as_it_is_seen(cutter: PdfCutter) -> None:
    # given: turned by 45 degrees
    document = PdfBuilder()
    document.picture(document.page(), Image.new("L", (100, 100), 0), (50, 50, -50, 50, 150, 50))

    # when
    (line,) = cutter.cut(document.bytes(), IMAGE).lines

    # then: a black diamond on white
    pixels = opened(line.image)
    assert pixels.shape == (141, 141, 3)
    assert (pixels[[2, 2, -3, -3], [2, -3, 2, -3]] == 255).all()
    assert (pixels[70, 70] == 0).all()


def test_pixels_that_are_not_square_become_so_as_on_a_fax(cutter: PdfCutter) -> None:
    # given: 204 by 98 dots per inch
    document = PdfBuilder()
    document.picture(document.page(), marked_picture(408, 49), (144, 0, 0, 36, 20, 100))

    (line,) = cutter.cut(document.bytes(), IMAGE).lines

    assert opened(line.image).shape == (102, 408, 3)
    assert mark_of(line.image) == UPRIGHT


def test_a_spot_that_cannot_be_a_line_fails_alone(cutter: PdfCutter) -> None:
    document = PdfBuilder()
    page = document.page()
    document.picture(page, Image.new("L", (2, 2), 0), (1, 0, 0, 1, 20, 150))
    document.picture(page, marked_picture(), (100, 0, 0, 20, 20, 100))

    spot, line = cutter.cut(document.bytes(), IMAGE).lines

    assert spot.error is not None
    assert spot.error.code == "image_dimensions"
    assert line.image is not None


def test_a_picture_larger_than_a_line_image_may_be_is_shrunk_to_fit() -> None:
    # given: limits of a fifth of the picture, in pixels, and then a limit on bytes
    document = PdfBuilder()
    noise = Image.open(io.BytesIO(noise_png(1000, 200, "RGB")))
    document.picture(document.page(), noise, (200, 0, 0, 40, 20, 100))

    for limits in (PdfLimits(max_image_pixels=40_000), PdfLimits(max_image_bytes=100_000)):
        with PdfCutter(limits) as cutter:
            (line,) = cutter.cut(document.bytes(), IMAGE).lines

        height, width, _ = opened(line.image).shape
        assert width == pytest.approx(height * 5, abs=5)
        assert width * height <= limits.max_image_pixels
        assert len(line.image or b"") <= limits.max_image_bytes


def test_many_pictures_by_reportlab_keep_their_order(cutter: PdfCutter) -> None:
    pictures = [line_picture(number) for number in range(45)]

    lines = cutter.cut(reportlab_pictures(pictures), IMAGE).lines

    assert len(lines) == 45
    for line, picture in zip(lines, pictures, strict=True):
        assert (opened(line.image) == rgb(picture)).all()
