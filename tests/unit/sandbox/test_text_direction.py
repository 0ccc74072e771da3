import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sandbox.text_direction import visual_order

HEBREW, ARABIC = "\u05d0\u05d1\u05d2", "\u0645\u0631\u062d"


@given(st.text())
def test_every_character_is_drawn_once(text):
    assert sorted(visual_order(text)) == sorted(text)


@given(st.text(st.characters(max_codepoint=0x2FF)))
def test_what_runs_rightwards_is_drawn_as_it_is_read(text):
    assert visual_order(text) == text


@pytest.mark.parametrize(
    ("read", "drawn"),
    [
        (HEBREW, HEBREW[::-1]),
        (ARABIC, ARABIC[::-1]),
        (f"{HEBREW} {ARABIC}", f"{ARABIC[::-1]} {HEBREW[::-1]}"),
        (f"{HEBREW} 12 {HEBREW}", f"{HEBREW[::-1]} 12 {HEBREW[::-1]}"),
        (f"{HEBREW} abc def", f"abc def {HEBREW[::-1]}"),
        (f"abc {HEBREW} {HEBREW} def", f"abc {HEBREW[::-1]} {HEBREW[::-1]} def"),
        (f"{HEBREW}!", f"!{HEBREW[::-1]}"),
        ("\u05d0\u05b8\u05d1", "\u05d1\u05b8\u05d0"),
    ],
)
def test_what_runs_leftwards_is_turned_round_and_numbers_and_other_scripts_are_not(read, drawn):
    assert visual_order(read) == drawn
