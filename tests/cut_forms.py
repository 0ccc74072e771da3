"""A form as a documents worker would cut it, for tests of what is told of it."""

import base64

from core.documents.cutting import CutDocument, CutLine, Page, SkippedField
from core.errors import RegionOutside
from core.words import Cut
from tests.unit.api.pictures import png

PDF = b"%PDF-1.7\n" + b"1 0 obj << /Type /Catalog >> endobj\n" * 5 + b"%%EOF\n"
REGION = {"name": "surname", "page": 1, "box": [72, 72, 300, 100]}
PAGES = (Page(1, "i", 595.0, 842.0), Page(2, None, 842.0, 595.0))
PICTURES = (png(228, 28), png(230, 30))
FORM = CutDocument(
    Cut.FIELD,
    PAGES,
    (
        CutLine(1, (72.0, 72.0, 300.0, 100.0), "person.surname", PICTURES[0]),
        CutLine(1, (72.0, 120.0, 300.0, 150.0), "=person.town", PICTURES[1]),
        CutLine(2, (72.0, 72.0, 300.0, 100.0), "desk", text="Desk 3"),
    ),
    (SkippedField("married", 1, "check_box"),),
)
# As for the client's own regions, one of which lies on a page that is not there.
REGIONS = CutDocument(
    Cut.REGIONS,
    PAGES,
    (
        CutLine(1, (72.0, 72.0, 300.0, 100.0), "surname", PICTURES[0]),
        CutLine(7, (72.0, 72.0, 300.0, 100.0), "beyond", error=RegionOutside()),
    ),
)


def form(pdf: bytes = PDF, **options: object) -> dict[str, object]:
    """A document of a JSON body."""
    return {"pdf": base64.b64encode(pdf).decode(), **options}
