"""What is accepted comes out as the same upright pixels on white, whatever it was stored as."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.images import (
    ACCEPTED,
    EXIF_ORIENTATION,
    ORIENTED,
    TRANSPARENT,
    adobe_cmyk_jpeg,
    encode,
    line_jpeg,
    line_picture,
    line_pixels,
    line_png,
    line_tiff,
    line_webp,
    long_text_png,
    oriented,
    png_chunk,
    png_with,
)
from worker.line_image import LineImage
from worker.sandbox.image_sandbox import ImageSandbox

JPEG_NOISE = 12  # of 255: what quality 95 costs on these lines


def decode_one(sandbox: ImageSandbox, data: bytes) -> LineImage:
    (outcome,) = sandbox.decode([data])
    assert isinstance(outcome, LineImage), outcome
    return outcome


def largest_difference(image: LineImage, expected: np.ndarray) -> int:
    assert image.pixels.shape == expected.shape
    return int(np.abs(image.pixels.astype(int) - expected).max())


@pytest.mark.parametrize("name", ACCEPTED)
def test_every_accepted_format_and_mode_gives_the_very_same_pixels(sandbox: ImageSandbox, name: str) -> None:
    image = decode_one(sandbox, ACCEPTED[name])

    assert largest_difference(image, line_pixels()) == 0


@pytest.mark.parametrize("name", TRANSPARENT)
def test_ink_on_nothing_reads_like_ink_on_white(sandbox: ImageSandbox, name: str) -> None:
    image = decode_one(sandbox, TRANSPARENT[name])

    assert largest_difference(image, line_pixels()) == 0


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "TIFF", "JPEG"])
def test_eight_orientations_of_one_line_give_one_picture(sandbox: ImageSandbox, format_: str) -> None:
    images = ORIENTED if format_ == "PNG" else {key: oriented(key, format_) for key in ORIENTED}

    outcomes = sandbox.decode(list(images.values()))

    for outcome in outcomes:
        assert isinstance(outcome, LineImage)
        assert largest_difference(outcome, line_pixels()) <= (JPEG_NOISE if format_ == "JPEG" else 0)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("grey", line_jpeg()),
        ("progressive", line_jpeg(progressive=True)),
        ("colour", encode(line_picture().convert("RGB"), "JPEG", quality=95)),
        ("CMYK inverted as Adobe does", adobe_cmyk_jpeg()),
        ("in a TIFF", line_tiff(compression="jpeg")),
        ("lossy WebP", encode(line_picture().convert("RGB"), "WEBP", quality=100)),
    ],
)
def test_lossy_pictures_differ_by_their_noise_only(sandbox: ImageSandbox, name: str, data: bytes) -> None:
    image = decode_one(sandbox, data)

    assert largest_difference(image, line_pixels()) <= 4 * JPEG_NOISE
    assert np.abs(image.pixels.astype(int) - line_pixels()).mean() < 2


@pytest.mark.parametrize("format_", ["PNG", "BMP", "TIFF", "TIFF group 4"])
def test_a_black_and_white_picture_keeps_its_ink(sandbox: ImageSandbox, format_: str) -> None:
    # given
    picture = line_picture().point(lambda value: 255 if value > 128 else 0).convert("1")
    options = {"compression": "group4"} if format_ == "TIFF group 4" else {}

    # when
    image = decode_one(sandbox, encode(picture, format_.split(maxsplit=1)[0], **options))

    # then
    assert largest_difference(image, np.asarray(picture.convert("RGB"))) == 0


def test_a_lab_picture_is_read_as_its_lightness(sandbox: ImageSandbox) -> None:
    # given
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(line_picture().convert("RGB"), to_lab)
    assert lab is not None

    # when
    image = decode_one(sandbox, encode(lab, "TIFF"))

    # then: white stays white and ink stays dark
    assert image.pixels.max() >= 254
    assert image.pixels.min() < 40


def test_16_bit_grey_is_scaled_and_not_clipped(sandbox: ImageSandbox) -> None:
    # given: every high byte once, in a picture where clipping at 255 would make all but the first column white
    values = np.tile(np.arange(256, dtype="<u2") * 256 + 77, (8, 1))
    picture = Image.frombytes("I;16", (256, 8), values.tobytes())

    # when
    images = [decode_one(sandbox, encode(picture, format_)) for format_ in ("PNG", "TIFF")]

    # then
    for image in images:
        assert (image.pixels[0, :, 0] == np.arange(256)).all()


def test_pixels_are_writable_contiguous_and_rgb(sandbox: ImageSandbox) -> None:
    for data in (line_png(), line_webp()):
        image = decode_one(sandbox, data)

        assert (image.height, image.width) == (40, 200)
        assert image.pixels.dtype == np.uint8
        assert image.pixels.flags.c_contiguous
        assert image.pixels.flags.writeable


def test_colours_keep_their_order(sandbox: ImageSandbox) -> None:
    picture = Image.new("RGB", (30, 20), (10, 120, 230))

    for format_ in ("PNG", "BMP", "TIFF"):
        assert tuple(decode_one(sandbox, encode(picture, format_)).pixels[0, 0]) == (10, 120, 230)


@pytest.mark.parametrize("value", [0, 255])
def test_a_white_and_a_black_picture_are_pictures(sandbox: ImageSandbox, value: int) -> None:
    image = decode_one(sandbox, encode(Image.new("L", (300, 40), value), "PNG"))

    assert (image.pixels == value).all()


@pytest.mark.parametrize(
    "exif", [b"", b"garbage", b"MM\0*\0\0\xff\xff", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0"]
)
def test_broken_orientation_metadata_does_not_cost_the_line(sandbox: ImageSandbox, exif: bytes) -> None:
    for data in (
        png_with(png_chunk(b"eXIf", exif)),
        encode(line_picture().convert("RGB"), "WEBP", lossless=True, exif=exif),
    ):
        assert largest_difference(decode_one(sandbox, data), line_pixels()) == 0


def test_an_orientation_in_xmp_counts_too(sandbox: ImageSandbox) -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    turned = encode(line_picture().transpose(Image.Transpose.ROTATE_180).convert("RGB"), "WEBP", lossless=True, xmp=xmp)

    assert largest_difference(decode_one(sandbox, turned), line_pixels()) == 0


def test_a_long_comment_that_inflates_to_nothing_more_is_only_a_comment(sandbox: ImageSandbox) -> None:
    assert largest_difference(decode_one(sandbox, long_text_png()), line_pixels()) == 0


def test_a_jpeg_with_a_second_picture_behind_it_is_read_as_its_first(sandbox: ImageSandbox) -> None:
    # given: what many telephones write, a picture and a preview or gain map (MPO)
    picture = line_picture().convert("RGB")
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 1
    data = encode(picture, "MPO", save_all=True, append_images=[picture.resize((100, 20))], quality=95)

    # when
    image = decode_one(sandbox, data)

    # then
    assert largest_difference(image, line_pixels()) <= 4 * JPEG_NOISE
