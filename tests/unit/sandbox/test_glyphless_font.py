import io

import pikepdf
from PIL import ImageFont

from worker.sandbox.pdf_glyphless_font import glyphless_font


def test_the_font_is_one_that_freetype_opens_and_that_paints_nothing():
    pdf = pikepdf.new()
    font = glyphless_font(pdf, {"a": 1, "\U0001f600": 2})
    program = font.DescendantFonts[0].FontDescriptor.FontFile2.read_bytes()

    opened = ImageFont.truetype(io.BytesIO(program), 100)

    assert opened.getmetrics() == (80, 20)
    assert not opened.getmask("a").getbbox()


def test_characters_are_told_apart_by_the_map_to_unicode_alone():
    pdf = pikepdf.new()
    font = glyphless_font(pdf, {"a": 1, "\U0001f600": 2})

    assert b"2 beginbfchar\n<0001> <0061>\n<0002> <D83DDE00>\nendbfchar" in font.ToUnicode.read_bytes()
    assert font.DescendantFonts[0].CIDToGIDMap.read_bytes() == b"\0\0\0\1\0\1"
