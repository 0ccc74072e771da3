"""A field's place before its text: its own space, its ground and its border. Child side only.

A field without a ground of its own gets a veil: white, not quite opaque. The form was filled in by hand where the field
is, and letters over handwriting would make both illegible; so the letters are read, and the ink still shows through.
"""

import math
from dataclasses import dataclass
from typing import Any

from pikepdf import Array, Dictionary, Name

COLOURS = {1: b"g", 3: b"rg", 4: b"k"}

_VEIL = 0.85  # opacity
_VEIL_INSET = 1.0  # points that stay free for the line or box that is printed around many a field


@dataclass(frozen=True, slots=True)
class Frame:
    """The widget's own space: its size before it is turned, and what is painted under the text."""

    width: float
    height: float
    matrix: tuple[float, ...]
    border: float
    painted: bytes

    @property
    def padding(self) -> float:
        """Distance of the text from the widget's edge."""
        return max(1.0, 2 * self.border)

    @property
    def room(self) -> tuple[float, float]:
        """Width and height for text."""
        return self.width - 2 * self.padding, self.height - 2 * self.padding

    @property
    def graphics_states(self) -> Dictionary:
        """The graphics states that `painted` refers to."""
        return Dictionary(Veil=Dictionary(Type=Name.ExtGState, ca=_VEIL))

    @classmethod
    def of(cls, widget: Any) -> "Frame | None":
        """Return a widget's frame; None if it has no area."""
        try:
            x0, y0, x1, y1 = (float(number) for number in widget.get("/Rect"))
        except (TypeError, ValueError):
            return None
        width, height = abs(x1 - x0), abs(y1 - y0)
        if not (0 < width < math.inf and 0 < height < math.inf):
            return None
        characteristics = widget.get("/MK")
        characteristics = characteristics if isinstance(characteristics, Dictionary) else Dictionary()
        turns = _whole(characteristics.get("/R")) // 90 % 4
        matrix = ((1, 0, 0, 1, 0, 0), (0, 1, -1, 0, width, 0), (-1, 0, 0, -1, width, height), (0, -1, 1, 0, 0, height))
        if turns % 2:
            width, height = height, width
        ink, ground = _operands(characteristics.get("/BC")), _operands(characteristics.get("/BG"))
        border = _border_width(widget) if ink else 0.0
        border = min(border, width / 4, height / 4)
        return cls(width, height, matrix[turns], border, _painted(width, height, ground, ink, border))


def _painted(width: float, height: float, ground: list[float], ink: list[float], border: float) -> bytes:
    painted = b"/Veil gs 1 g %s re f\n" % numbers(
        _VEIL_INSET, _VEIL_INSET, max(0.0, width - 2 * _VEIL_INSET), max(0.0, height - 2 * _VEIL_INSET)
    )
    if ground:
        painted = operation(ground, COLOURS[len(ground)]) + b"%s re f\n" % numbers(0, 0, width, height)
    if ink and border:
        rectangle = numbers(border / 2, border / 2, width - border, height - border)
        painted += operation(ink, COLOURS[len(ink)].upper()) + b"%s w %s re S\n" % (numbers(border), rectangle)
    return b"q\n" + painted + b"Q\n"


def _border_width(widget: Any) -> float:
    style, array = widget.get("/BS"), widget.get("/Border")
    if isinstance(style, Dictionary):
        return _positive(style.get("/W", 1))
    return _positive(array[2]) if isinstance(array, Array) and len(array) > 2 else 1.0


def _operands(value: Any) -> list[float]:
    """Return a colour as numbers; none if it is transparent or makes no sense."""
    operands = [_positive(number) for number in value] if isinstance(value, Array) else []
    return operands if len(operands) in COLOURS else []


def operation(operands: list[float], operator: bytes) -> bytes:
    """Write an operator behind its operands."""
    return b"%s %s\n" % (numbers(*operands), operator)


def numbers(*values: float) -> bytes:
    """Write numbers as PDF has them: without exponents."""
    return " ".join(f"{value:.4f}".rstrip("0").rstrip(".") for value in values).encode()


def _positive(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return min(max(number, 0.0), 1000.0)


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, int) else 0
