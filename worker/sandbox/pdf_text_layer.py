"""A searchable document: the original with an invisible layer of text at the lines' boxes. Child side only.

The layer is put before what a page draws, not behind it: so nothing that the page does to its graphics state can move
the text, and the page is drawn as it was, for the text leaves no mark (render mode 3) and its state is restored.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import pikepdf
from pikepdf import Dictionary, Name

from core.documents.cutting import Box
from core.documents.writing import WrittenLine
from core.errors import InvalidPdf
from core.transcripts.texts import printable
from worker.sandbox.pdf_geometry import PageSpace, inverse, then
from worker.sandbox.pdf_glyphless_font import ASCENT, DESCENT, MAX_CHARACTERS, UNITS_PER_EM, WIDTH, glyphless_font
from worker.sandbox.pdf_page_space import page_space
from worker.sandbox.text_direction import visual_order

_LEAST_SIDE_POINTS = 0.1  # a flatter box would squeeze its text beyond what readers take for text


def add_text_layer(pdf: pikepdf.Pdf, lines: Sequence[WrittenLine]) -> Iterator[None]:
    """Write the lines into their pages; yield after each page.

    Raises InvalidPdf when the document does not have a line's page.
    """
    written = [(line, text) for line in lines if (text := printable(line.text).strip())]
    codes = _codes(text for _, text in written)
    if not codes:
        return
    font = glyphless_font(pdf, codes)
    by_page = sorted(written, key=lambda one: one[0].page)  # stable: on a page the lines keep their order
    for number, of_page in groupby(by_page, key=lambda one: one[0].page):
        if not 1 <= number <= len(pdf.pages):
            raise InvalidPdf(f"The document has no page {number} to write to.")
        page = pdf.pages[number - 1]
        space = page_space(page)
        name = _add_font(page, font)
        parts = [_text(line.box, text, codes, space, name) for line, text in of_page]
        page.contents_add(b"q BT 3 Tr\n%sET Q\n" % b"".join(parts), prepend=True)
        yield


def _codes(texts: Iterable[str]) -> dict[str, int]:
    """Give each character a code. Beyond 65,535 different ones, the rest are left out; no job has so many."""
    characters = dict.fromkeys(character for text in texts for character in text)
    return {character: code for code, character in enumerate(characters, 1) if code <= MAX_CHARACTERS}


def _add_font(page: pikepdf.Page, font: pikepdf.Object) -> Name:
    """Add the font to the page's own resources, which may so far be another page's too, under a name not yet used."""
    shared = page.obj.get("/Resources") or page.resources
    resources = Dictionary(dict(shared.items()))
    fonts = resources.get("/Font")
    own_fonts = Dictionary(dict(fonts.items())) if isinstance(fonts, Dictionary) else Dictionary()
    name = "/Inkpost"
    while name in own_fonts:
        name += "t"
    own_fonts[name] = font
    resources["/Font"] = own_fonts
    page.obj["/Resources"] = resources
    return Name(name)


def _text(box: Box, text: str, codes: dict[str, int], space: PageSpace, font: Name) -> bytes:
    """Show a text so that its characters fill the box: as high as the box, and together as wide."""
    x0, y0, x1, y1 = box
    width, height = max(x1 - x0, _LEAST_SIDE_POINTS), max(y1 - y0, _LEAST_SIDE_POINTS)
    size = height * UNITS_PER_EM / (ASCENT - DESCENT)
    baseline = y1 + height * DESCENT / (ASCENT - DESCENT)
    stretch = 100 * width / (len(text) * size * WIDTH / UNITS_PER_EM)
    matrix = then((1, 0, 0, -1, x0, baseline), inverse(space.to_seen))
    encoded = "".join(f"{codes[character]:04X}" for character in visual_order(text) if character in codes)
    return b"%s %s Tf %s Tz %s Tm <%s> Tj\n" % (
        str(font).encode(),
        _number(size),
        _number(stretch),
        b" ".join(map(_number, matrix)),
        encoded.encode(),
    )


def _number(value: float) -> bytes:
    return f"{value:.5f}".rstrip("0").rstrip(".").encode()
