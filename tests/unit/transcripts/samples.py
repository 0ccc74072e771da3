"""Transcripts to write, and the published schemas to check what was written."""

import datetime as dt
import functools
from pathlib import Path

from hypothesis import strategies as st
from lxml import etree

from core.documents.cutting import Page
from core.transcription import Alternative
from core.transcripts.transcript import Transcript, TranscriptLine
from core.words import LineSource, LineStatus, ReviewReason
from tests.servers import unavailable

_SCHEMAS = Path(__file__).resolve().parents[4] / "shared" / "schemas"

# ALTO's schema imports XLink's from the web, for one attribute group only.
_XLINK_ADDRESS = "http://www.loc.gov/standards/xlink/xlink.xsd"
_XLINK = """
<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.w3.org/1999/xlink">
  <xsd:attributeGroup name="simpleLink"/>
</xsd:schema>
"""

HOSTILE_TEXTS = [
    "=1+1",
    "@SUM(A1)",
    "+1",
    "-1",
    "\tx",
    "\rx",
    "\nx",
    "\uff1d1",
    'a "quoted", text',
    "two\r\nlines",
    "]]> & <b> <!-- --> &amp; <?x?>",
    "\x00\x01\x08\x0b\x0c\x1b\x1f\x7f\x85",
    "\ud800 lone \udfff",
    "\ufffe\uffff",
    "\N{WAVING HAND SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4}\u200d\U0001f468\u200d\U0001f469",
    "\u05e9\u05dc\u05d5\u05dd 12 \u0645\u0631\u062d\u0628\u0627 \u202eevil\u202c",
    "\u65e5\u672c\u8a9e",
    "line\u2028separator",
    " ",
    "",
    "   edges   ",
    "\\",
    "'",
    '"',
]

texts = st.text() | st.sampled_from(HOSTILE_TEXTS) | st.text(st.sampled_from("=+-@'\"\t\r\n,;<&]>\x00\ud800a"))


def line(index: int = 0, text: str | None = "Okafor", **values) -> TranscriptLine:
    recognised = {"confidence": 0.981, "min_token_confidence": 0.93} if text is not None else {}
    given = {"custom_id": f"field.{index}", "status": LineStatus.SUCCEEDED, **recognised, **values}
    return TranscriptLine(index=index, text=text, **given)


def transcript(*lines: TranscriptLine, pages: tuple[Page, ...] = ()) -> Transcript:
    return Transcript(
        job_id="job_0190b3c8a1f07cc0a5d0e2f6a7b8c9d0",
        model="trocr-base-handwritten",
        model_revision="main",
        client_reference=None,
        metadata={},
        created_at=dt.datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=dt.UTC),
        finished_at=dt.datetime(2026, 1, 2, 3, 4, 9, 1_000, tzinfo=dt.UTC),
        lines=lines,
        pages=pages,
    )


def form() -> Transcript:
    """A form of two pages with a line of each kind."""
    readings = (Alternative("Okafor", 0.981), Alternative("Okator", 0.4), Alternative("0kafor", 0.00001))
    return transcript(
        line(0, page=1, box=(72.0, 72.0, 216.0, 90.0), alternatives=readings),
        TranscriptLine(
            1,
            "typed",
            LineStatus.SUCCEEDED,
            LineSource.TYPED,
            page=1,
            box=(72.0, 100.0, 216.0, 118.0),
            text="stood there already",
        ),
        line(
            2,
            None,
            page=1,
            box=(590.0, 800.0, 700.0, 900.0),
            status=LineStatus.FAILED,
            error_code="page_unreadable",
            error_detail="The page that holds this line is damaged and cannot be drawn.",
        ),
        line(3, None, page=2, box=(0.2, 0.2, 0.3, 0.3), status=LineStatus.CANCELED, custom_id=None),
        line(
            4,
            "",
            page=2,
            box=(0.0, 0.0, 841.9, 595.3),
            needs_review=True,
            review_reasons=(ReviewReason.LOW_CONFIDENCE,),
        ),
        pages=(Page(1, "iv", 595.3, 841.9), Page(2, None, 841.9, 595.3)),
    )


def images() -> Transcript:
    """Two images that were sent as lines; one did not tell its size."""
    return transcript(line(0, image_size=(640, 64)), line(1, "Lagos"))


@functools.cache
def schema(file: str) -> etree.XMLSchema:
    path = _SCHEMAS / file
    if not path.exists():
        unavailable(f"the published schema {file} is not beside the project")
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(_XLinkNearby())
    return etree.XMLSchema(etree.parse(path, parser))


class _XLinkNearby(etree.Resolver):
    def resolve(self, url, public_id, context):
        return self.resolve_string(_XLINK, context) if url == _XLINK_ADDRESS else None
