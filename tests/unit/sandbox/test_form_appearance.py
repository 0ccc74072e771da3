import re

import pikepdf
from hypothesis import given, settings
from hypothesis import strategies as st
from pikepdf import Array, Dictionary

from worker.sandbox.pdf_form_appearance import Look, appearance
from worker.sandbox.pdf_form_fonts import width_of

sides = st.floats(-10, 500, allow_nan=False)
looks = st.builds(
    Look,
    default_appearance=st.binary(max_size=30) | st.sampled_from([b"/Helv 0 Tf 0 g", b"/F 9 Tf 1 0 0 rg", b"/F 900 Tf"]),
    alignment=st.integers(-1, 5),
    is_multiline=st.booleans(),
    comb_cells=st.integers(0, 50),
)


@settings(max_examples=200, deadline=None)
@given(st.tuples(sides, sides, sides, sides), looks, st.text(st.characters(codec="cp1252", categories=["L", "N", "Z"])))
def test_no_character_is_lost_however_a_text_is_broken(rectangle, look, text):
    with pikepdf.new() as pdf:
        drawn = appearance(pdf, Dictionary(Rect=Array(rectangle)), look, text)

        if drawn is not None:
            shown = b"".join(map(bytes.fromhex, re.findall(r"<(\w*)> Tj", drawn.stream.read_bytes().decode())))
            assert shown.decode("cp1252").split() == text.split() or "".join(text.split()) == "".join(
                shown.decode("cp1252").split()
            )
            assert drawn.is_certain


def test_a_text_of_tens_of_thousands_of_characters_is_laid_out_in_one_pass():
    with pikepdf.new() as pdf:
        drawn = appearance(pdf, Dictionary(Rect=Array([0, 0, 100, 100])), Look(b"", is_multiline=True), "x" * 50_000)

        assert drawn is not None


def test_widths_are_those_of_helvetica():
    assert width_of("Hello") == (722 + 556 + 222 + 222 + 556) / 1000
    assert width_of("\u00e9") == width_of("e")
