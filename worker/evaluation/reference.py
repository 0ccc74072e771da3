"""A line whose true text is known."""

from dataclasses import dataclass
from pathlib import Path

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ReferenceLine:
    """One line image and its reference.

    `name` is unique in its data set and travels with the line into every report. `outline` is the line's polygon in
    pixels of `image`, when that is a page; without one, the whole image is the line.
    """

    name: str
    image: Path
    reference: str
    outline: tuple[Point, ...] = ()


def find_image(stem: Path) -> Path | None:
    """Return the image beside `stem`, a path without its suffix."""
    for suffix in IMAGE_SUFFIXES:
        for candidate in (stem.with_name(stem.name + suffix), stem.with_name(stem.name + suffix.upper())):
            if candidate.is_file():
                return candidate
    return None
