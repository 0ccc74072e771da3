"""What is damaged, overlong, many-paged or made to hurt fails its own line, with the right code, within its budget."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from core.errors import LineError
from tests import images
from worker.line_image import LineImage
from worker.sandbox.image_sandbox import ImageSandbox
from worker.sandbox.limits import SandboxLimits

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

WHOLE = {
    "PNG": images.line_png(),
    "PNG palette": images.ACCEPTED["PNG palette"],
    "PNG interlaced": images.interlaced_png(),
    "JPEG": images.line_jpeg(),
    "JPEG progressive": images.line_jpeg(progressive=True),
    "WebP lossless": images.line_webp(),
    "WebP lossy": images.encode(images.line_picture().convert("RGB"), "WEBP"),
    "WebP with alpha": images.TRANSPARENT["WebP RGBA"],
    "TIFF raw": images.line_tiff(width=60, height=20, compression="raw"),
    "TIFF LZW": images.line_tiff(),
    "TIFF deflate": images.line_tiff(compression="tiff_adobe_deflate"),
    "TIFF packbits": images.line_tiff(compression="packbits"),
    "TIFF JPEG": images.line_tiff(compression="jpeg"),
    "TIFF group 4": images.encode(images.line_picture().convert("1"), "TIFF", compression="group4"),
    "BMP": images.encode(images.line_picture(width=60, height=20), "BMP"),
    "BMP 1-bit": images.encode(images.line_picture(width=192).convert("1"), "BMP"),
}


def code_of(outcome: LineImage | LineError) -> str:
    return "decoded" if isinstance(outcome, LineImage) else outcome.code


@pytest.mark.parametrize("name", WHOLE)
def test_an_image_cut_at_any_byte_is_corrupt(sandbox: ImageSandbox, name: str) -> None:
    # given: every prefix of a whole image
    data = WHOLE[name]
    assert code_of(sandbox.decode([data])[0]) == "decoded"

    # when
    outcomes = list(sandbox.stream(data[:length] for length in range(len(data))))

    # then: too short to tell what it was, or corrupt, and never pixels
    signature = 12
    assert {code_of(outcome) for outcome in outcomes[signature:]} == {"corrupt_image"}
    assert {code_of(outcome) for outcome in outcomes[:signature]} <= {"corrupt_image", "unsupported_image_format"}


def test_a_bmp_that_lacks_only_the_padding_of_its_last_row_is_whole(sandbox: ImageSandbox) -> None:
    # given: 25 bytes of pixels and 3 of padding a row, bottom row first
    data = images.encode(images.line_picture().convert("1"), "BMP")

    # when
    whole, unpadded, cut = sandbox.decode([data, data[:-3], data[:-4]])

    # then
    assert isinstance(whole, LineImage)
    assert isinstance(unpadded, LineImage)
    assert (unpadded.pixels == whole.pixels).all()
    assert code_of(cut) == "corrupt_image"


@FEW
@given(
    data=st.data(),
    width=st.integers(4, 300),
    height=st.integers(4, 60),
    seed=st.integers(0, 1000),
    kind=st.sampled_from(["PNG", "JPEG", "JPEG progressive"]),
)
def test_any_picture_cut_anywhere_is_corrupt(
    sandbox: ImageSandbox, data: st.DataObject, width: int, height: int, seed: int, kind: str
) -> None:
    generator = np.random.default_rng(seed)
    picture = Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8))
    whole = images.encode(
        picture, kind.split(maxsplit=1)[0], **({"progressive": True} if "progressive" in kind else {})
    )
    cuts = data.draw(st.lists(st.integers(12, len(whole) - 1), min_size=1, max_size=20))

    outcomes = sandbox.decode([whole[:cut] for cut in cuts])

    assert {code_of(outcome) for outcome in outcomes} == {"corrupt_image"}


@FEW
@given(
    name=st.sampled_from(sorted(WHOLE)),
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_a_scrambled_image_is_decoded_or_refused_and_nothing_else(
    sandbox: ImageSandbox, name: str, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(WHOLE[name])
    for position, value in changes:
        data[position % len(data)] = value

    outcome, good = sandbox.decode([bytes(data), images.line_png()])

    assert isinstance(outcome, LineImage | LineError)
    assert isinstance(good, LineImage)


@FEW
@given(st.binary(max_size=300))
def test_random_bytes_are_never_a_picture_of_a_kind_we_do_not_read(sandbox: ImageSandbox, data: bytes) -> None:
    assert code_of(sandbox.decode([data])[0]) in {"unsupported_image_format", "corrupt_image"}


@pytest.mark.parametrize("data", list(images.not_images()), ids=lambda data: repr(data[:4]))
def test_what_is_no_accepted_image_is_not_parsed(sandbox: ImageSandbox, data: bytes) -> None:
    assert code_of(sandbox.decode([data])[0]) == "unsupported_image_format"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (images.text_bomb_png(b"zTXt"), "corrupt_image"),
        (images.text_bomb_png(b"iTXt"), "corrupt_image"),
        (images.text_bomb_png(b"iCCP"), "corrupt_image"),
        (images.bad_checksum_png(), "corrupt_image"),
        (images.no_pixels_png(), "corrupt_image"),
        (images.half_pixels_png(), "corrupt_image"),
        (images.animated_png(), "multiple_frames"),
        (images.animated_webp(), "multiple_frames"),
        (images.multi_page_tiff(), "multiple_frames"),
        (images.tiff_with_many_directories(), "multiple_frames"),
        (images.tiff_that_loops(), "multiple_frames"),
        (images.tiff_that_loops_later(), "multiple_frames"),
        (images.png_bomb(), "image_dimensions"),
        (images.sized_png(1, 1), "image_dimensions"),
        (images.sized_png(3, 2000), "image_dimensions"),
        (images.sized_png(2000, 3), "image_dimensions"),
        (images.sized_png(5000, 5), "image_dimensions"),
        (images.sized_png(11_000, 200), "image_dimensions"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_hostile_image_fails_with_its_code_and_the_child_lives_on(
    sandbox: ImageSandbox, data: bytes, code: str
) -> None:
    # given
    sandbox.decode([images.line_png()])
    child = sandbox.child

    # when
    outcome, good = sandbox.decode([data, images.line_png()])

    # then
    assert code_of(outcome) == code
    assert isinstance(good, LineImage)
    assert sandbox.child is child


def test_dimensions_are_named_in_the_refusal(sandbox: ImageSandbox) -> None:
    (outcome,) = sandbox.decode([images.png_bomb()])

    assert isinstance(outcome, LineError)
    assert "50000 x 50000" in outcome.detail


def test_a_webp_canvas_beyond_the_limit_is_refused_before_it_is_allocated() -> None:
    data = images.encode(Image.new("RGB", (3000, 3000)), "WEBP", lossless=True)

    with ImageSandbox(SandboxLimits(max_image_pixels=1_000_000)) as sandbox:
        assert code_of(sandbox.decode([data])[0]) == "image_dimensions"


def test_a_jpeg_that_takes_too_long_fails_alone() -> None:
    with ImageSandbox(SandboxLimits(cpu_seconds=0.5)) as sandbox:
        outcomes = sandbox.decode([images.line_png(1), images.jpeg_scan_bomb(), images.line_png(2)])

    assert [code_of(outcome) for outcome in outcomes] == ["decoded", "decode_timeout", "decoded"]


def test_nothing_of_an_image_reaches_log_or_terminal(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    # given: a comment that a decoder might quote in a complaint
    secret = b"QUOTED-SECRET"
    damaged = [
        images.png_with(images.png_chunk(secret[:4], secret)),
        b"\xff\xd8\xff" + secret * 3,
        b"II*\0\x08\0\0\0" + secret * 9,
        b"RIFF\0\0\0\0WEBP" + secret * 3,
        b"BM" + secret * 9,
    ]

    # when
    with ImageSandbox() as sandbox:
        outcomes = sandbox.decode(damaged)

    # then
    said = "".join(capfd.readouterr()) + caplog.text + "".join(getattr(outcome, "detail", "") for outcome in outcomes)
    assert "SECRET" not in said
    assert "QUOT" not in said
