"""What is asked of a cut, and what comes of it: values that the API, the tables and the sandbox share.

Boxes are (x0, y0, x1, y1) in points, 1/72 inch, from the top left corner of the page as a reader sees it: after its
crop box, its rotation and its user unit. Pages are numbered from 1.
"""

from dataclasses import dataclass, field

from core.errors import LineError
from core.words import Cut, RegionUnit

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Region:
    """A named place on a page where a line is written; `box` in points, or in fractions of the page's size."""

    name: str
    page: int
    box: Box
    unit: RegionUnit = RegionUnit.POINTS


@dataclass(frozen=True, slots=True)
class CutWish:
    """How a client wants its document cut.

    `pages` are inclusive ranges, in any order, of the pages to look at; None means all. `regions` go with
    `Cut.REGIONS` and with nothing else.
    """

    cut: Cut = Cut.AUTO
    pages: tuple[tuple[int, int], ...] | None = None
    password: str | None = field(default=None, repr=False)
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was looked at, its label as the document has it (such as "iv"), and its size in points as seen."""

    number: int
    label: str | None
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class CutLine:
    """A line cut out of a page. Exactly one of `image` (a PNG), `text` (typed into the field) and `error` is given."""

    page: int
    box: Box
    name: str | None = None
    image: bytes | None = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)
    error: LineError | None = None


@dataclass(frozen=True, slots=True)
class SkippedField:
    """A form field that holds no line: `kind` is check_box, radio_group, push_button, hidden or password."""

    name: str
    page: int
    kind: str


@dataclass(frozen=True, slots=True)
class CutDocument:
    """What came of a document: the cut that was made (never `auto`), its pages and its lines in reading order."""

    cut: Cut
    pages: tuple[Page, ...]
    lines: tuple[CutLine, ...]
    skipped: tuple[SkippedField, ...] = ()
