"""Where a page's coordinates lie, read with qpdf as pdfium reads them. Child side only."""

from typing import Any

import pikepdf

from core.documents.cutting import Box
from worker.sandbox.pdf_facts import unit_of
from worker.sandbox.pdf_geometry import PageSpace, common, is_finite

_LETTER: Box = (0.0, 0.0, 612.0, 792.0)
_MAX_DEPTH = 64


def page_space(page: pikepdf.Page) -> PageSpace:
    """Return the page's crop box within its media box, its rotation and its user unit."""
    media_box = _box(_inherited(page.obj, "/MediaBox")) or _LETTER
    crop_box = _box(_inherited(page.obj, "/CropBox"))
    seen = media_box if crop_box is None else common(crop_box, media_box) or media_box
    return PageSpace(*seen, _quarter_turns(_inherited(page.obj, "/Rotate")), unit_of(page.obj.get("/UserUnit")))


def _inherited(node: Any, key: str) -> Any:
    for _ in range(_MAX_DEPTH):
        if not isinstance(node, pikepdf.Dictionary):
            return None
        if key in node:
            return node[key]
        node = node.get("/Parent")
    return None


def _box(value: Any) -> Box | None:
    """Return the box with its corners sorted; None if it is no box or encloses nothing."""
    try:
        x0, y0, x1, y1 = (float(number) for number in value)
    except (TypeError, ValueError):
        return None
    if not is_finite((x0, y0, x1, y1)) or x0 == x1 or y0 == y1:
        return None
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _quarter_turns(value: Any) -> int:
    try:
        return int(value) // 90 % 4
    except (TypeError, ValueError):
        return 0
