"""Where things are on a page, as a reader sees it, and how many pixels a line deserves. Pure arithmetic.

A matrix is (a, b, c, d, e, f) as in PDF: x' = a x + c y + e, y' = b x + d y + f.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from core.documents.cutting import Box

Matrix = tuple[float, float, float, float, float, float]
Item = TypeVar("Item")

POINTS_PER_INCH = 72.0
IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)

# A line's shorter side gets 96 pixels: the starter model reads 48 rows, and TrOCR was trained on lines some 100 pixels
# high, which it stretches to 384 itself. Its longer side gets 784, the starter's width and twice TrOCR's.
_SHORTER_SIDE_PIXELS = 96
_LONGER_SIDE_PIXELS = 784
# Below 100 dpi thin strokes fade, however large the box; above 400 dpi scans hold nothing more.
_LEAST_PIXELS_PER_POINT = 100 / POINTS_PER_INCH
_MOST_PIXELS_PER_POINT = 400 / POINTS_PER_INCH


@dataclass(frozen=True, slots=True)
class PageSpace:
    """From a page's own coordinates (its crop box, turned `quarter_turns` times clockwise) to points as seen."""

    left: float
    bottom: float
    right: float
    top: float
    quarter_turns: int = 0
    unit: float = 1.0

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points as seen."""
        width, height = (self.right - self.left) * self.unit, (self.top - self.bottom) * self.unit
        return (height, width) if self.quarter_turns % 2 else (width, height)

    @property
    def to_seen(self) -> Matrix:
        """The matrix from the page's own coordinates to points from the top left corner, downwards."""
        u = self.unit
        return (
            (u, 0.0, 0.0, -u, -self.left * u, self.top * u),
            (0.0, u, u, 0.0, -self.bottom * u, -self.left * u),
            (-u, 0.0, 0.0, u, self.right * u, -self.bottom * u),
            (0.0, -u, -u, 0.0, self.top * u, self.right * u),
        )[self.quarter_turns]


def then(first: Matrix, second: Matrix) -> Matrix:
    """Return the matrix that applies one after the other."""
    a, b, c, d, e, f = first
    a2, b2, c2, d2, e2, f2 = second
    return (
        a * a2 + b * c2,
        a * b2 + b * d2,
        c * a2 + d * c2,
        c * b2 + d * d2,
        e * a2 + f * c2 + e2,
        e * b2 + f * d2 + f2,
    )


def inverse(matrix: Matrix) -> Matrix:
    """Return the matrix that undoes one that does not flatten."""
    a, b, c, d, e, f = matrix
    determinant = a * d - b * c
    return (
        d / determinant,
        -b / determinant,
        -c / determinant,
        a / determinant,
        (c * f - d * e) / determinant,
        (b * e - a * f) / determinant,
    )


def around(points: Sequence[tuple[float, float]], matrix: Matrix = IDENTITY) -> Box:
    """Return the smallest box around some points after a matrix."""
    a, b, c, d, e, f = matrix
    xs = [a * x + c * y + e for x, y in points]
    ys = [b * x + d * y + f for x, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def around_box(box: Box, matrix: Matrix) -> Box:
    """Return the smallest box around a box after a matrix."""
    x0, y0, x1, y1 = box
    return around(((x0, y0), (x1, y0), (x0, y1), (x1, y1)), matrix)


def common(one: Box, other: Box) -> Box | None:
    """Return where two boxes overlap; None if they do not."""
    x0, y0, x1, y1 = max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def is_finite(numbers: Sequence[float]) -> bool:
    """Say whether all numbers are plain numbers."""
    return all(map(math.isfinite, numbers))


def in_reading_order(items: Sequence[Item], box_of: Callable[[Item], Box]) -> list[Item]:
    """Sort row by row from the top, each row from the left.

    What overlaps the first of a row by half of the taller one's height is of that row: so boxes that a form's designer
    placed a little unevenly still follow each other, while a tall box does not swallow the rows beside it.
    """
    waiting = sorted(items, key=lambda item: (box_of(item)[1], box_of(item)[0]))
    ordered: list[Item] = []
    while waiting:
        _, top, _, bottom = box_of(waiting[0])
        row: list[Item] = []
        later: list[Item] = []
        for place, item in enumerate(waiting):
            _, y0, _, y1 = box_of(item)
            if y0 >= bottom:
                later += waiting[place:]
                break
            shared = min(bottom, y1) - max(top, y0)
            (row if shared * 2 >= max(bottom - top, y1 - y0) else later).append(item)
        ordered += sorted(row or waiting[:1], key=lambda item: box_of(item)[0])
        waiting = later if row else waiting[1:]
    return ordered


def pixels_per_point(width: float, height: float) -> float:
    """Return how finely a line of this size, in points, is drawn, before the limits on images."""
    shorter, longer = sorted((width, height))
    wanted = max(_SHORTER_SIDE_PIXELS / shorter, _LONGER_SIDE_PIXELS / longer)
    return min(max(wanted, _LEAST_PIXELS_PER_POINT), _MOST_PIXELS_PER_POINT)


def fitting(width: float, height: float, longest_side: int, most_pixels: int) -> float:
    """Return the factor, at most 1, by which a picture of this size has to shrink to fit."""
    return min(1.0, longest_side / max(width, height), math.sqrt(most_pixels / (width * height)))
