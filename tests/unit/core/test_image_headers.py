import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.image_headers import Header, check_header, media_type_of, read_size
from core.settings import Limits
from tests.unit.api.pictures import image_of, png

LIMITS = Limits()
KINDS = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
}


@pytest.mark.parametrize(("kind", "media_type"), KINDS.items())
def test_every_accepted_format_is_known_by_its_first_bytes_and_its_size_is_read(kind, media_type):
    image = image_of(kind, (321, 45))
    assert media_type_of(image) == media_type
    assert read_size(image, media_type) == (321, 45)
    assert check_header(image, LIMITS) == Header(media_type, (321, 45))


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}, {"exif": b"Exif\0\0II*\0"}])
def test_all_three_kinds_of_webp_are_measured(options):
    assert read_size(image_of("WEBP", (77, 33), "RGB", **options), "image/webp") == (77, 33)


def test_an_os2_bitmap_is_measured():
    image = b"BM" + struct.pack("<IHHI", 100, 0, 0, 26) + struct.pack("<IHHHH", 12, 50, 30, 1, 1) + bytes(60)
    assert read_size(image, "image/bmp") == (50, 30)


def test_a_big_endian_tiff_whose_directory_is_at_the_end_is_measured():
    directory = struct.pack(">H", 2) + struct.pack(">HHIHH", 256, 3, 1, 640, 0) + struct.pack(">HHII", 257, 4, 1, 48)
    image = b"MM\0*" + struct.pack(">I", 8 + 500_000) + bytes(500_000) + directory + bytes(4)
    assert read_size(image, "image/tiff") == (640, 48)


def test_a_jpeg_with_long_application_segments_is_measured():
    jpeg = image_of("JPEG", (90, 40))
    segments = (b"\xff\xe2" + struct.pack(">H", 65_535) + bytes(65_533)) * 12
    assert read_size(jpeg[:2] + segments + jpeg[2:], "image/jpeg") == (90, 40)


@pytest.mark.parametrize(
    "image",
    [
        b"",
        b"\x00" * 64,
        b"<!doctype html>",
        b"PK\x03\x04" + bytes(60),
        b"\x7fELF" + bytes(60),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?><svg/>",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"8BPS\0\1" + bytes(30),
        b"SIMPLE  =                    T",
        b"GIF89a" + bytes(30),
        b"\0\0\1\0" + bytes(30),
        b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(30),
        b"\0\0\0\x1cftypavif" + bytes(30),
        b"\0\0\0\x1cftypheic" + bytes(30),
        b"%PDF-1.7\n",
        b"P6 10 10 255 " + bytes(300),
        b"BMore text than picture",
        b"RIFF\0\0\0\0WAVEfmt ",
    ],
)
def test_anything_else_is_refused_by_its_first_bytes(image):
    fault = check_header(image, LIMITS).fault
    assert fault is not None
    assert fault.code == "unsupported_image_format"


@pytest.mark.parametrize(
    ("width", "height"),
    [(0, 0), (0, 50), (1, 1), (3, 2_000), (10_001, 200), (1_000, 5), (9_000, 9_000), (50_000, 50_000)],
)
def test_dimensions_outside_the_limits_are_refused(width, height):
    fault = check_header(png(width, height), LIMITS).fault
    assert fault is not None
    assert fault.code == "image_dimensions"


@pytest.mark.parametrize(("width", "height"), [(4, 4), (4, 400), (10_000, 2_000), (2_000, 10_000)])
def test_dimensions_at_the_limits_are_accepted(width, height):
    assert check_header(png(width, height), LIMITS) == Header("image/png", (width, height))


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_a_cut_image_is_left_to_the_decoder_or_refused_for_its_first_bytes(kind, data):
    image = image_of(kind)
    cut = image[: data.draw(st.integers(0, len(image) - 1))]
    header = check_header(cut, LIMITS)
    assert (header.fault is None) == bool(header.media_type)


STARTS = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"II*\0", b"MM\0*", b"BM\0\0\0\0\0\0\0\0"]


@given(st.sampled_from(STARTS), st.binary(max_size=400))
def test_no_header_makes_the_reader_fail(start, rest):
    check_header(start + rest, LIMITS)


@pytest.mark.parametrize(
    "image",
    [
        b"\xff\xd8\xff\xe0\0\2" + bytes(8 << 20),
        b"\xff\xd8" + b"\xff\xe1\0\2" * (2 << 20),
        b"II*\0\x08\0\0\0\xff\xff" + bytes(8 << 20),
        b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + b"\xff" * (8 << 20),
    ],
)
def test_a_header_that_goes_on_forever_is_given_up(image):
    started = time.process_time()
    fault = check_header(image, LIMITS).fault
    assert fault is None
    assert time.process_time() - started < 0.5  # 4,096 reads take a few milliseconds; all would take seconds
