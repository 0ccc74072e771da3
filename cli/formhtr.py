"""Region files of formHTR (https://github.com/grp-bork/formHTR): one JSON object for one page of a form.

    {"width": 2480, "height": 3508, "to_ignore": [...],
     "content": [{"coords": [x0, y0, x1, y1], "varname": "comments", "type": "Handwritten"}, ...]}

Coordinates are pixels of the page drawn `width` x `height` large, from its top left corner; as fractions of the page
they hold at any resolution. As formHTR does itself, a region without a type is taken for a check box when it is about
square, else for handwriting, and one without a name is called by a running number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field, ValidationError

_TEXTS = {"Handwritten", "Number"}
_SQUARE_WITHIN = 0.01  # of the page's shorter side


class BadRegionFile(Exception):
    """What is wrong with a region file."""


class _Area(BaseModel):
    coords: list[float] = Field(min_length=4, max_length=4)
    varname: str | None = None
    type: str | None = None


class _RegionFile(BaseModel):
    content: list[_Area]
    width: float = Field(gt=0, allow_inf_nan=False)
    height: float = Field(gt=0, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class ImportedRegions:
    """Regions as a template has them, and the names of those that hold no line of text."""

    regions: Sequence[dict[str, Any]]
    skipped: Sequence[str]


def import_regions(files: Sequence[str]) -> ImportedRegions:
    """Return the regions of a form's pages, a file's text each, in their order.

    Raises:
        BadRegionFile: a text is no region file.
    """
    regions: list[dict[str, Any]] = []
    skipped: list[str] = []
    taken: set[str] = set()
    for page, text in enumerate(files, 1):
        found = _parse(text, page)
        unnamed = 0
        for area in found.content:
            name = area.varname
            if name is None:
                name, unnamed = str(unnamed), unnamed + 1
            box = _box(area, found)
            kind = area.type or ("Checkbox" if _is_square(area, found) else "Handwritten")
            if kind not in _TEXTS or box is None:
                skipped.append(name)
                continue
            name = _unique(name[:255] or "region", taken)
            regions.append({"name": name, "page": page, "box": box, "unit": "fraction"})
    return ImportedRegions(regions, skipped)


def _parse(text: str, page: int) -> _RegionFile:
    try:
        return _RegionFile.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadRegionFile(f"page {page} is no formHTR region file: {place or 'it'}: {first['msg']}") from error


def _box(area: _Area, file: _RegionFile) -> list[float] | None:
    """Return the area as fractions of the page, within it, whichever corner it was drawn from; None if nothing is."""
    across = sorted(min(max(x / file.width, 0.0), 1.0) for x in area.coords[0::2])
    down = sorted(min(max(y / file.height, 0.0), 1.0) for y in area.coords[1::2])
    box = [round(value, 6) for value in (across[0], down[0], across[1], down[1])]
    return box if box[0] < box[2] and box[1] < box[3] else None


def _is_square(area: _Area, file: _RegionFile) -> bool:
    x0, y0, x1, y1 = area.coords
    return abs(abs(x1 - x0) - abs(y1 - y0)) <= _SQUARE_WITHIN * min(file.width, file.height)


def _unique(name: str, taken: set[str]) -> str:
    """Return the name, or with a number behind it when another region has it: front and back may both have a `date`."""
    number, unique = 1, name
    while unique in taken:
        number += 1
        unique = f"{name[:250]}-{number}"
    taken.add(unique)
    return unique
