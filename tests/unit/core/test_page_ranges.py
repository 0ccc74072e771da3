import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.documents.page_ranges import MAX_PAGE, parse_pages, write_pages

RANGES = st.lists(
    st.tuples(st.integers(1, MAX_PAGE), st.integers(1, MAX_PAGE)).map(lambda pair: (min(pair), max(pair))), min_size=1
)


@pytest.mark.parametrize(
    ("text", "ranges"),
    [("1", ((1, 1),)), ("1-3,7", ((1, 3), (7, 7))), (" 2 - 4 , 1 ", ((2, 4), (1, 1))), ("5-5", ((5, 5),))],
)
def test_pages_are_numbers_and_ranges_in_the_order_given(text, ranges):
    assert parse_pages(text) == ranges


@given(RANGES)
def test_what_is_written_is_read(ranges):
    assert parse_pages(write_pages(ranges)) == tuple(ranges)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_with_a_sentence(text):
    with contextlib.suppress(ValueError):
        for first, last in parse_pages(text):
            assert 1 <= first <= last <= MAX_PAGE


@pytest.mark.parametrize(
    "text", ["", ",", "0", "-1", "1-", "3-1", "1,,2", "1.5", "1e3", "\u0661", "1\n2", f"{MAX_PAGE + 1}"]
)
def test_what_is_no_page_is_refused(text):
    with pytest.raises(ValueError, match=r"\.$"):
        parse_pages(text)


def test_no_more_ranges_than_anybody_means_are_read():
    with pytest.raises(ValueError, match="At most 1000 ranges"):
        parse_pages("1," * 1_000 + "1")
