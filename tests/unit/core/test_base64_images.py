import base64
import contextlib
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.base64_data import BadUpload, decode_base64
from core.base64_images import IMAGE, decode_image
from core.settings import Limits
from tests.unit.api.pictures import image_of, png

LIMITS = Limits()
BIG = 1 << 20


def refusal(text, **options):
    with pytest.raises(BadUpload) as refused:
        decode_base64(text, IMAGE, **{"max_bytes": BIG, **options})
    return refused.value


@given(st.binary(min_size=1, max_size=300))
def test_what_is_encoded_is_decoded(data):
    assert decode_base64(base64.b64encode(data).decode(), IMAGE, max_bytes=BIG) == data


@given(st.binary(min_size=1, max_size=300), st.integers(4, 80), st.sampled_from(["\n", "\r\n", "\n  ", "\t"]))
def test_line_breaks_and_blanks_are_allowed_anywhere(data, width, separator):
    lines = textwrap.wrap(base64.b64encode(data).decode(), width)
    assert decode_base64(separator.join(lines) + separator, IMAGE, max_bytes=BIG) == data


@given(st.text(max_size=60))
def test_any_text_is_decoded_canonically_or_refused(text):
    with contextlib.suppress(BadUpload):
        assert base64.b64encode(decode_base64(text, IMAGE, max_bytes=BIG)).decode() == "".join(text.split())


@pytest.mark.parametrize("text", ["QQ", "QQ=", "Q===", "AAAA====", "AAAA=", "AB==", "AAB=", "QQ==QQ==", "=QQ=", "A"])
def test_wrong_padding_and_loose_bits_are_refused(text):
    assert refusal(text).code == "invalid_base64"


@pytest.mark.parametrize("text", ["", "=", "====", " \n"])
def test_nothing_is_refused(text):
    assert refusal(text).code == "invalid_base64"


def test_the_first_wrong_character_is_named_by_its_position():
    assert "Character 6 " in refusal("QUJD\nQ*FD").detail
    assert "Character 9 " in refusal("QUJD\nQ*FD", offset=3).detail


@pytest.mark.parametrize("character", ["-", "_"])
def test_the_url_safe_alphabet_gets_a_hint(character):
    assert "URL-safe" in refusal(f"QU{character}D").detail


@pytest.mark.parametrize("character", ["é", "\0", "\x0c", "\u2028", "*"])
def test_every_other_character_is_refused(character):
    assert refusal(f"QUJD{character}").code == "invalid_base64"


def test_an_image_over_the_limit_is_refused_before_it_is_decoded():
    assert refusal("A" * 40 + "*", max_bytes=20).code == "invalid_base64"
    assert refusal("A" * 40, max_bytes=20).code == "image_too_large"
    assert refusal("A" * 4_000_000, max_bytes=20).code == "image_too_large"


def test_the_limit_itself_is_allowed_with_any_padding():
    for size in (19, 20, 21):
        assert decode_base64(base64.b64encode(bytes(size)).decode(), IMAGE, max_bytes=size) == bytes(size)
        assert refusal(base64.b64encode(bytes(size + 1)).decode(), max_bytes=size).code == "image_too_large"


def data_uri(head: str, data: bytes) -> str:
    return f"data:{head},{base64.b64encode(data).decode()}"


@pytest.mark.parametrize("head", ["image/png;base64", "IMAGE/PNG;BASE64", "image/png;charset=utf-8;base64"])
def test_a_data_uri_is_read(head):
    assert decode_image(data_uri(head, png()), LIMITS).media_type == "image/png"


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/jpg"])
def test_the_old_name_of_jpeg_is_understood(media_type):
    assert decode_image(data_uri(f"{media_type};base64", image_of("JPEG")), LIMITS).media_type == "image/jpeg"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (data_uri("text/html;base64", png()), "unsupported_media_type"),
        (data_uri("image/svg+xml;base64", png()), "unsupported_media_type"),
        (data_uri(";base64", png()), "unsupported_media_type"),
        (data_uri("image/png", png()), "invalid_data_uri"),
        ("data:image/png;base64", "invalid_data_uri"),
        ("data:" + "x" * 1_000_000, "invalid_data_uri"),
        (data_uri("image/png;base64", image_of("JPEG")), "type_mismatch"),
        (data_uri("image/jpeg;base64", png()), "type_mismatch"),
    ],
)
def test_a_data_uri_that_is_wrong_is_refused(text, code):
    with pytest.raises(BadUpload) as refused:
        decode_image(text, LIMITS)
    assert refused.value.code == code


def test_a_position_in_a_data_uri_counts_from_its_start():
    with pytest.raises(BadUpload) as refused:
        decode_image("data:image/png;base64,QU*D", LIMITS)
    assert "Character 24 " in refused.value.detail
