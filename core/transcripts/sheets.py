"""Sheets: pages as pictures, with their lines placed in pixels from the top left corner.

PAGE XML, ALTO and hOCR place text on a picture. A document's pages have no picture of their own, so a sheet stands for
the page drawn at 300 dots per inch, as archives scan: a point is 300/72 pixels. An image that a client sent as a line
is a sheet of its own, in its own pixels; where its header did not tell its size, 1000 x 100 stand for it. A job that
has neither pages nor lines, since its document could not be cut, is one empty sheet: each of the formats wants a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.documents.cutting import Box, Page
from core.transcripts.transcript import Transcript, TranscriptLine

DOTS_PER_INCH = 300
UNKNOWN_SIZE = (1000, 100)

_PIXELS_PER_POINT = DOTS_PER_INCH / 72

Place = tuple[int, int, int, int]  # left, top, right, bottom; never empty, never outside of the sheet


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A line and its place on its sheet."""

    line: TranscriptLine
    place: Place


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page as a picture. `dots_per_inch` is None for an image that was sent: only who scanned it knows."""

    number: int
    label: str | None
    width: int
    height: int
    dots_per_inch: int | None
    lines: tuple[PlacedLine, ...]

    @property
    def name(self) -> str:
        """What its files are called, without the extension: page-0001."""
        return f"page-{self.number:04d}"


def sheets_of(transcript: Transcript) -> list[Sheet]:
    """Return the document's pages in their order, those without lines too, or one sheet an image in the job's order.

    A line that was asked for on a page that the document does not have has failed, and has no sheet.
    """
    lines_of: dict[int, list[TranscriptLine]] = {page.number: [] for page in transcript.pages}
    sheets = []
    for line in transcript.lines:
        if line.page is None:
            sheets.append(_sheet_of_image(line))
        else:
            lines_of.setdefault(line.page, []).append(line)
    sheets += [_sheet_of_page(page, lines_of[page.number]) for page in transcript.pages]
    return sheets or [Sheet(1, None, *UNKNOWN_SIZE, None, ())]


def _sheet_of_image(line: TranscriptLine) -> Sheet:
    width, height = line.image_size or UNKNOWN_SIZE
    return Sheet(line.index + 1, None, width, height, None, (PlacedLine(line, (0, 0, width, height)),))


def _sheet_of_page(page: Page, lines: Sequence[TranscriptLine]) -> Sheet:
    width = max(1, round(page.width * _PIXELS_PER_POINT))
    height = max(1, round(page.height * _PIXELS_PER_POINT))
    placed = tuple(PlacedLine(line, _place(line.box, width, height)) for line in lines)
    return Sheet(page.number, page.label, width, height, DOTS_PER_INCH, placed)


def _place(box: Box | None, width: int, height: int) -> Place:
    """Scale a box in points; a line without one has the whole page."""
    if box is None:
        return 0, 0, width, height
    left, right = _span(box[0], box[2], width)
    top, bottom = _span(box[1], box[3], height)
    return left, top, right, bottom


def _span(start: float, end: float, size: int) -> tuple[int, int]:
    """Scale one side of a box to whole pixels within the sheet, at least one long."""
    first = min(max(0, round(start * _PIXELS_PER_POINT)), size - 1)
    return first, min(max(first + 1, round(end * _PIXELS_PER_POINT)), size)
