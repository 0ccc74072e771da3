import base64
import contextlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cursors import read_cursor, write_cursor
from api.idempotency_keys import read_idempotency_key
from api.multipart import Part, parse_multipart
from api.request_ids import request_id_of
from core.errors import BadRequest, InkpostError, InvalidIdempotencyKey, InvalidRequest

CLIENT, OTHER = uuid.uuid4(), uuid.uuid4()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
def test_a_cursor_is_read_by_the_client_it_was_written_for(position):
    assert read_cursor(CLIENT, "jobs", write_cursor(CLIENT, "jobs", position)) == position


def test_a_cursor_is_no_good_for_another_client_or_another_listing():
    cursor = write_cursor(CLIENT, "jobs", "123")
    for client, listing in [(OTHER, "jobs"), (CLIENT, "lines")]:
        with pytest.raises(InvalidRequest):
            read_cursor(client, listing, cursor)


@given(st.integers(0, 12), st.integers(1, 255))
def test_a_cursor_that_was_altered_is_no_good(place, change):
    raw = bytearray(base64.urlsafe_b64decode(write_cursor(CLIENT, "jobs", "123") + "==="))
    raw[place] ^= change
    with pytest.raises(InvalidRequest):
        read_cursor(CLIENT, "jobs", base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("="))


@given(st.text(max_size=100))
def test_any_other_text_is_no_cursor(text):
    with pytest.raises(InvalidRequest):
        read_cursor(CLIENT, "jobs", text)


@pytest.mark.parametrize("key", ["a", "x" * 255, "7f9c-1", '"quoted"', "~!@#"])
def test_an_idempotency_key_is_printable(key):
    assert read_idempotency_key(key)


@pytest.mark.parametrize("key", ["", "x" * 256, "x" * 10_000, "a b", "a\tb", "a\x00", "é"])
def test_any_other_idempotency_key_is_refused(key):
    with pytest.raises(InvalidIdempotencyKey):
        read_idempotency_key(key)


def test_the_same_key_with_and_without_quotes_is_one_key():
    assert read_idempotency_key('"abc"') == read_idempotency_key("abc")


def test_a_sane_request_id_is_taken_over_and_any_other_replaced():
    assert request_id_of("trace-1.2:3") == "trace-1.2:3"
    for header in (None, "", "a b", "x" * 129, "<script>", "a\nb", "é"):
        assert request_id_of(header).startswith("req_")


def body_of(parts: list[Part], boundary: str = "BB") -> bytes:
    body = b""
    for part in parts:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{part.name}"; filename="f"\r\n'.encode()
        body += f"Content-Type: {part.media_type}\r\n\r\n".encode() + part.data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


@given(
    st.lists(
        st.builds(
            Part, st.sampled_from(["image", "options"]), st.just("image/png"), st.binary(max_size=300), st.just("f")
        ),
        min_size=1,
        max_size=5,
    )
)
def test_parts_are_read_back_in_order(parts):
    if not any(b"--BB" in part.data for part in parts):
        assert parse_multipart(body_of(parts), "BB", max_parts=10) == parts


@given(st.binary(max_size=300))
def test_any_bytes_are_parts_or_one_of_our_errors(body):
    for attempt in (body, b"--BB\r\n" + body, body_of([Part("image", "image/png", b"x")])[: len(body)]):
        with contextlib.suppress(InkpostError):
            parse_multipart(attempt, "BB", max_parts=3)


def test_a_body_that_ends_early_and_one_with_too_many_parts_are_refused():
    whole = body_of([Part("image", "image/png", b"x")] * 4)
    with pytest.raises(BadRequest):
        parse_multipart(whole[:-10], "BB", max_parts=10)
    with pytest.raises(InvalidRequest):
        parse_multipart(whole, "BB", max_parts=3)
