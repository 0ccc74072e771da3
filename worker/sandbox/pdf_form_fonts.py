"""Fonts for the texts of form fields: Helvetica, which every viewer has or replaces, so none is embedded.

What Windows' Latin set holds is certain to be seen. Other characters are asked for by their glyph names; whether the
viewer's Helvetica, or what it puts in its place, has them is up to the viewer. The text itself is in the field's value
and in the ToUnicode map either way. Child side only.
"""

import unicodedata
from functools import lru_cache
from itertools import groupby

import pikepdf
from pikepdf import Array, Dictionary, Name

from worker.sandbox.text_direction import visual_order

ASCENT, DESCENT = 718, -207  # of Helvetica, in thousandths of the font's size

_LATIN = "cp1252"
_FIRST_CODE, _CODES = 32, 224
# Widths of the characters from blank to tilde, in thousandths (Adobe's font metrics for Helvetica).
_WIDTHS = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
    1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
    333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
)  # fmt: skip
_OTHER_WIDTH, _WIDE_WIDTH = 600, 1000


def width_of(text: str) -> float:
    """Return a text's width as a multiple of the font's size; for what Helvetica lacks, about."""
    return sum(map(_character_width, text)) / 1000


@lru_cache(maxsize=4096)
def _character_width(character: str) -> int:
    place = ord(character) - ord(" ")
    if 0 <= place < len(_WIDTHS):
        return _WIDTHS[place]
    base = unicodedata.normalize("NFD", character)[0]
    if base != character:
        return _character_width(base)  # an accent adds nothing
    if unicodedata.combining(character):
        return 0
    return _WIDE_WIDTH if unicodedata.east_asian_width(character) in {"W", "F"} else _OTHER_WIDTH


def is_latin(character: str) -> bool:
    """Say whether every viewer's Helvetica has this character."""
    return bool(character.encode(_LATIN, errors="ignore"))


class FieldFonts:
    """The fonts that one text needs: Helvetica, and as many more as its other characters fill."""

    def __init__(self, text: str) -> None:
        self._others = list(dict.fromkeys(character for character in text if not is_latin(character)))
        self._place = {character: divmod(place, _CODES) for place, character in enumerate(self._others)}

    @property
    def is_certain(self) -> bool:
        """Whether every viewer has all the characters."""
        return not self._others

    def shown(self, text: str, size: bytes) -> bytes:
        """Return the operators that show a text from left to right at the present place."""
        operators = []
        for font, run in groupby(visual_order(text), key=lambda character: self._place.get(character, (-1, 0))[0]):
            characters = "".join(run)
            codes = (
                characters.encode(_LATIN)
                if font < 0
                else bytes(_FIRST_CODE + self._place[character][1] for character in characters)
            )
            operators.append(b"/F%d %s Tf <%s> Tj\n" % (font + 1, size, codes.hex().encode()))
        return b"".join(operators)

    def resources(self, pdf: pikepdf.Pdf) -> Dictionary:
        """Return the resources that `shown` refers to."""
        latin = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica, Encoding=Name.WinAnsiEncoding)
        fonts = Dictionary(F0=latin)
        for start in range(0, len(self._others), _CODES):
            characters = self._others[start : start + _CODES]
            fonts[f"/F{start // _CODES + 1}"] = pdf.make_indirect(_named_font(pdf, characters))
        return Dictionary(Font=fonts)


def _named_font(pdf: pikepdf.Pdf, characters: list[str]) -> Dictionary:
    names = [Name(f"/uni{ord(one):04X}" if ord(one) < 0x10000 else f"/u{ord(one):05X}") for one in characters]
    mappings = [
        b"<%02X> <%s>\n" % (code, character.encode("utf-16-be").hex().encode())
        for code, character in enumerate(characters, _FIRST_CODE)
    ]
    blocks = [mappings[start : start + 100] for start in range(0, len(mappings), 100)]
    to_unicode = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Inkpost def /CMapType 2 def\n"
        b"1 begincodespacerange <00> <FF> endcodespacerange\n"
        + b"".join(b"%d beginbfchar\n%sendbfchar\n" % (len(block), b"".join(block)) for block in blocks)
        + b"endcmap CMapName currentdict /CMap defineresource pop end end\n"
    )
    return Dictionary(
        Type=Name.Font,
        Subtype=Name.Type1,
        BaseFont=Name.Helvetica,
        FirstChar=_FIRST_CODE,
        LastChar=_FIRST_CODE + len(characters) - 1,
        Widths=Array(list(map(_character_width, characters))),
        FontDescriptor=Dictionary(
            Type=Name.FontDescriptor,
            FontName=Name.Helvetica,
            Flags=32,
            FontBBox=Array([-166, -225, 1000, 931]),
            ItalicAngle=0,
            Ascent=ASCENT,
            Descent=DESCENT,
            CapHeight=ASCENT,
            StemV=88,
        ),
        Encoding=Dictionary(Type=Name.Encoding, Differences=Array([_FIRST_CODE, *names])),
        ToUnicode=pdf.make_stream(to_unicode),
    )
