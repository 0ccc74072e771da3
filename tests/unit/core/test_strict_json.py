import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DuplicateKey, EmptyBody, InkpostError, InvalidJson, InvalidRequest, JsonTooDeep
from core.strict_json import parse_object

MOST = 1_000
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(texts, values, max_size=5), st.booleans())
def test_what_a_correct_encoder_writes_is_read_back_the_same(value, ascii_only):
    assert parse_object(json.dumps(value, ensure_ascii=ascii_only).encode(), max_values=10_000) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_one_of_our_errors(body):
    with contextlib.suppress(InkpostError):
        assert isinstance(parse_object(body, max_values=MOST), dict)


@pytest.mark.parametrize("body", [b"{", b'{"a":1,}', b"{'a':1}", b'{"a":01}', b"nope", b'{"a":1}{', b'{"a":"\x01"}'])
def test_broken_json_is_refused(body):
    with pytest.raises(InvalidJson):
        parse_object(body, max_values=MOST)


def test_an_empty_body_is_refused_as_invalid_json():
    with pytest.raises(EmptyBody) as refused:
        parse_object(b"", max_values=MOST)
    assert refused.value.code == "invalid_json"


@pytest.mark.parametrize("depth", [40, 5_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_refused_at_any_depth(depth, opening, closing):
    body = ('{"a":' + opening * depth + "1" + closing * depth + "}").encode()
    with pytest.raises(JsonTooDeep):
        parse_object(body, max_values=1_000_000)


def test_ordinary_nesting_is_read():
    assert parse_object(b'{"a":' + b"[" * 20 + b"]" * 20 + b"}", max_values=MOST)


@pytest.mark.parametrize("number", ["9" * 5_000, "-" + "9" * 20, "1e400", "-1e400", "NaN", "Infinity", "-Infinity"])
def test_a_number_that_nobody_can_hold_is_refused(number):
    with pytest.raises(InvalidJson):
        parse_object(f'{{"a":{number}}}'.encode(), max_values=MOST)


@pytest.mark.parametrize("body", [b'{"a":1,"a":2}', b'{"b":[{"a":1,"\\u0061":1}]}'])
def test_a_key_given_twice_is_refused(body):
    with pytest.raises(DuplicateKey):
        parse_object(body, max_values=MOST)


@pytest.mark.parametrize(
    "body",
    [b'{"a":"\xff"}', '{"a":1}'.encode("utf-16"), b'\xef\xbb\xbf{"a":1}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\x80"}'],
)
def test_a_body_that_is_not_plain_utf8_is_refused(body):
    with pytest.raises(InvalidJson):
        parse_object(body, max_values=MOST)


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"5", b"true"])
def test_a_top_level_that_is_no_object_is_refused(body):
    with pytest.raises(InvalidRequest) as refused:
        parse_object(body, max_values=MOST)
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("", "invalid_type")]


@pytest.mark.parametrize("escape", ["\\u0000", "\\ud800", "\\udfff\\ud800"])
def test_a_string_that_cannot_be_stored_is_refused_with_its_place(escape):
    with pytest.raises(InvalidRequest) as refused:
        parse_object(f'{{"a":{{"b/c":["fine","{escape}"]}}}}'.encode(), max_values=MOST)
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/a/b~1c/1", "invalid_string")]


def test_an_escaped_surrogate_pair_is_one_character():
    assert parse_object(b'{"a":"\\ud83d\\ude00"}', max_values=MOST) == {"a": "\U0001f600"}


def test_a_body_of_more_values_than_any_job_needs_is_refused_before_it_is_parsed():
    with pytest.raises(InvalidRequest) as refused:
        parse_object(b'{"a":[' + b"{}," * 5_000 + b"{}]}", max_values=MOST)
    assert refused.value.faults[0].code == "too_many"
