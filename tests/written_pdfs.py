"""Looks at written PDFs with pdfium, which wrote none of them: where text stands, and where there is ink.

Boxes are in points from the top left corner of a page as a reader sees it, as everywhere in Inkpost.
"""

import ctypes
import io

import numpy as np
import pypdfium2 as pdfium
from numpy.typing import NDArray
from pypdfium2 import raw

from core.documents.cutting import Box

_PARTS = 1000  # of a point; pdfium gives places on a device in whole pixels


def texts_of(pdf: bytes, page: int = 0, password: str | None = None) -> list[str]:
    """Return a page's lines of text in the order that pdfium finds them."""
    document = pdfium.PdfDocument(pdf, password=password)
    return [line for line in document[page].get_textpage().get_text_range().split("\r\n") if line]


def box_of(pdf: bytes, text: str, page: int = 0, unit: float = 1.0) -> Box:
    """Return the box around a text's first occurrence, from pdfium's own boxes of its characters."""
    opened = pdfium.PdfDocument(pdf)[page]
    texts = opened.get_textpage()
    found = texts.search(text, match_case=True).get_next()
    assert found is not None, f"{text!r} is not among {texts.get_text_range()!r}"
    start, count = found
    corners = []
    for index in range(start, start + count):
        left, bottom, right, top = texts.get_charbox(index, loose=True)
        corners += [_seen(opened, left, bottom), _seen(opened, right, top)]
    xs, ys = zip(*corners, strict=True)
    return min(xs) * unit, min(ys) * unit, max(xs) * unit, max(ys) * unit


def _seen(page: pdfium.PdfPage, x: float, y: float) -> tuple[float, float]:
    width, height = page.get_size()
    across, down = ctypes.c_int(), ctypes.c_int()
    raw.FPDF_PageToDevice(page, 0, 0, round(width * _PARTS), round(height * _PARTS), 0, x, y, across, down)
    return across.value / _PARTS, down.value / _PARTS


def drawn(pdf: bytes, page: int = 0, *, scale: float = 2.0, with_form: bool = False) -> NDArray[np.uint8]:
    """Draw a page in grey, `scale` pixels a point."""
    document = pdfium.PdfDocument(io.BytesIO(pdf))
    if with_form:
        document.init_forms()
    return np.asarray(document[page].render(scale=scale, may_draw_forms=with_form).to_pil().convert("L"))


def ink_in(pdf: bytes, box: Box, page: int = 0) -> Box | None:
    """Return the box around what is dark within a box, fields drawn by their appearances; None if nothing is."""
    scale = 4.0
    x0, y0, x1, y1 = (round(side * scale) for side in box)
    rows, columns = np.nonzero(drawn(pdf, page, scale=scale, with_form=True)[y0:y1, x0:x1] < 128)
    if not len(rows):
        return None
    return tuple(  # type: ignore[return-value]
        float(side / scale)
        for side in (x0 + columns.min(), y0 + rows.min(), x0 + columns.max() + 1, y0 + rows.max() + 1)
    )
