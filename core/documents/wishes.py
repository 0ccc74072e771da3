"""A cut wish as it is stored: what documents and templates have in common.

`pages` are `[[first, last], ...]` and `regions` `[{"name", "page", "box": [x0, y0, x1, y1], "unit"}, ...]`; what a wish
does not name is null. The password is no part of this: it belongs to a document, never to a template.
"""

from collections.abc import Sequence
from typing import Any

from core.documents.cutting import CutWish, Region
from core.words import Cut, RegionUnit


def stored_pages(pages: Sequence[tuple[int, int]] | None) -> list[list[int]] | None:
    """Return page ranges as they are stored."""
    return None if pages is None else [list(span) for span in pages]


def stored_regions(regions: Sequence[Region]) -> list[dict[str, Any]] | None:
    """Return regions as they are stored."""
    if not regions:
        return None
    return [
        {"name": region.name, "page": region.page, "box": list(region.box), "unit": region.unit.value}
        for region in regions
    ]


def wish_of(cut: str, pages: Any, regions: Any, password: str | None = None) -> CutWish:
    """Return the wish that a row's columns hold."""
    return CutWish(
        cut=Cut(cut),
        pages=None if pages is None else tuple((first, last) for first, last in pages),
        password=password,
        regions=tuple(
            Region(region["name"], region["page"], tuple(region["box"]), RegionUnit(region["unit"]))
            for region in regions or ()
        ),
    )
