"""How a filled field looks at one of its places. Child side only.

Written by hand because pikepdf's own generators stop at a field without a font, know no font size of zero (which asks
for one that fits, and is what most forms have), no alignment, no border, no rotation and no script but Latin, and let
long texts leave the field. Here a text becomes smaller until it fits, down to what can still be read; what is left over
then is clipped, and is in the field's value.
"""

import re
from dataclasses import dataclass
from typing import Any

import pikepdf
from pikepdf import Array, Name

from core.transcripts.texts import printable
from worker.sandbox.pdf_form_fonts import ASCENT, DESCENT, FieldFonts, width_of
from worker.sandbox.pdf_form_frame import COLOURS, Frame, numbers, operation

_FONT_SIZE = re.compile(rb"/\S+\s+([-+]?[\d.]+)\s+Tf\b")
_COLOUR = re.compile(rb"((?:[-+]?[\d.]+\s+){1,4})(g|rg|k)(?=\s|$)")
_LEAST_SIZE, _LARGEST_SIZE, _MULTILINE_SIZE = 4.0, 144.0, 12.0
_LEADING = 1.15
_SHRINK = 0.95
_HEIGHT = (ASCENT - DESCENT) / 1000


@dataclass(frozen=True, slots=True)
class Look:
    """What a field says about how its text is drawn. `comb_cells` is 0 for a field without a comb."""

    default_appearance: bytes
    alignment: int = 0  # 0 left, 1 centred, 2 right
    is_multiline: bool = False
    comb_cells: int = 0

    @property
    def size(self) -> float:
        """The font size asked for; 0 asks for one that fits."""
        found = _FONT_SIZE.findall(self.default_appearance)
        size = _number(found[-1]) if found else 0.0
        return min(abs(size), _LARGEST_SIZE)

    @property
    def colour(self) -> bytes:
        """The operator that sets the text's colour."""
        found = _COLOUR.findall(self.default_appearance)
        operands = [_number(number) for number in found[-1][0].split()] if found else [0.0]
        operator = found[-1][1] if found else b"g"
        return operation(operands, operator) if COLOURS.get(len(operands)) == operator else b"0 g\n"


@dataclass(frozen=True, slots=True)
class Drawn:
    """An appearance, and whether every viewer has the characters it shows."""

    stream: pikepdf.Stream
    is_certain: bool


def appearance(pdf: pikepdf.Pdf, widget: Any, look: Look, text: str) -> Drawn | None:
    """Return the appearance of a text in a widget; None if the widget has no area."""
    frame = Frame.of(widget)
    if frame is None:
        return None
    lines = [printable(line) for line in text.splitlines()] or [""]
    text = "".join(lines)
    fonts = FieldFonts(text)
    if look.comb_cells and len(text) <= look.comb_cells:
        body = _comb(fonts, text, look, frame)
    elif look.is_multiline:
        body = _several(fonts, lines, look, frame)
    else:
        body = _single(fonts, text, look, frame)
    inside = numbers(frame.border, frame.border, frame.width - 2 * frame.border, frame.height - 2 * frame.border)
    resources = fonts.resources(pdf)
    resources.ExtGState = frame.graphics_states
    stream = pdf.make_stream(
        frame.painted + b"/Tx BMC q\n%s re W n\nBT\n" % inside + look.colour + body + b"ET Q EMC\n",
        Type=Name.XObject,
        Subtype=Name.Form,
        BBox=Array([0, 0, frame.width, frame.height]),
        Matrix=Array(frame.matrix),
        Resources=resources,
    )
    return Drawn(stream, fonts.is_certain)


def _single(fonts: FieldFonts, text: str, look: Look, frame: Frame) -> bytes:
    """Draw one line, centred between top and bottom."""
    width, height = frame.room
    natural = width_of(text) or 1.0
    fitting = min(height / _HEIGHT, width / natural)
    size = max(min(look.size or fitting, fitting), _LEAST_SIZE)
    baseline = (frame.height - size * _HEIGHT) / 2 - size * DESCENT / 1000
    return _line(fonts, text, size, frame.padding + _indent(look, width - size * natural), baseline)


def _comb(fonts: FieldFonts, text: str, look: Look, frame: Frame) -> bytes:
    """Draw each character in the middle of its cell."""
    cell = frame.width / look.comb_cells
    widest = max(map(width_of, text), default=1.0) or 1.0
    fitting = min(frame.room[1] / _HEIGHT, cell / widest)
    size = max(min(look.size or fitting, fitting), _LEAST_SIZE)
    baseline = (frame.height - size * _HEIGHT) / 2 - size * DESCENT / 1000
    first = (0, (look.comb_cells - len(text)) // 2, look.comb_cells - len(text))[look.alignment % 3]
    return b"".join(
        _line(fonts, character, size, (first + place + 0.5) * cell - size * width_of(character) / 2, baseline)
        for place, character in enumerate(text)
    )


def _several(fonts: FieldFonts, lines: list[str], look: Look, frame: Frame) -> bytes:
    """Draw lines from the top, broken where they are too long."""
    width, height = frame.room
    size = look.size or _MULTILINE_SIZE
    while True:
        broken = [part for line in lines for part in _broken(line, width / size)]
        needed = size * (_HEIGHT + _LEADING * (len(broken) - 1))
        if size <= _LEAST_SIZE or (needed <= height and max(map(width_of, broken)) * size <= width):
            break
        size = max(size * _SHRINK, _LEAST_SIZE)
    top = frame.height - frame.padding - size * ASCENT / 1000
    return b"".join(
        _line(
            fonts,
            part,
            size,
            frame.padding + _indent(look, width - size * width_of(part)),
            top - place * size * _LEADING,
        )
        for place, part in enumerate(broken)
    )


def _broken(line: str, width: float) -> list[str]:
    """Break a line at its blanks, and within a word that is longer than a whole line; the width in font sizes."""
    parts: list[str] = []
    start, blank, used = 0, -1, 0.0
    for place, character in enumerate(line):
        if character == " ":
            blank = place
        used += width_of(character)
        if used > width and place > start:
            end = blank if blank > start else place
            parts.append(line[start:end])
            start = end + (end == blank)
            blank, used = -1, width_of(line[start : place + 1])
    return [*parts, line[start:]]


def _indent(look: Look, room: float) -> float:
    return max(0.0, (0.0, room / 2, room)[look.alignment % 3])


def _line(fonts: FieldFonts, text: str, size: float, x: float, y: float) -> bytes:
    return b"1 0 0 1 %s Tm\n%s" % (numbers(x, y), fonts.shown(text, numbers(size)))


def _number(value: bytes) -> float:
    try:
        return float(value)
    except ValueError:  # more than one point
        return 0.0
