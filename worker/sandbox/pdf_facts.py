"""What pdfium does not tell of a page: its user unit, and what is wrong with it. Runs in a sandbox child only.

pdfium knows no user unit and takes a broken media box for Letter, so the page tree is walked once more, with qpdf.
What qpdf cannot open counts as sound: pdfium has opened it.
"""

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pikepdf

_MAX_DEPTH = 64
_MAX_UNIT = 1_000.0
_INFLATE_STEP_BYTES = 1024 * 1024
_MOST_STEPS = 64  # what inflates beyond them was whole for long enough


@dataclass(frozen=True, slots=True)
class PageFacts:
    """Facts of one page: how many points one unit of its coordinates is, and whether it can be drawn at all."""

    unit: float = 1.0
    is_sound: bool = True


def read_page_facts(pdf: io.BytesIO, password: str | None, page_count: int) -> dict[int, PageFacts]:
    """Return what is known of the pages by number; nothing if the pages counted here are not those of pdfium."""
    try:
        with pikepdf.open(
            pdf, password=password or "", suppress_warnings=True, inherit_page_attributes=False
        ) as document:
            facts = [_facts(leaf, media_box) for leaf, media_box in _leaves(document.Root.Pages, page_count)]
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  an edge: another parser's view of damaged bytes is no reason to refuse them
        return {}
    return dict(enumerate(facts, 1)) if len(facts) == page_count else {}


def _leaves(root: Any, most: int) -> Iterator[tuple[Any, Any]]:
    """Yield the pages in order, each with the media box that it has or inherits; at most one more than `most`."""
    stack = [(root, None, frozenset[tuple[int, int]]())]
    found = 0
    while stack and found <= most:
        node, media_box, ancestors = stack.pop()
        media_box = node.get("/MediaBox", media_box)
        kids = node.get("/Kids")
        if kids is None:
            found += 1
            yield node, media_box
        elif node.objgen not in ancestors and len(ancestors) < _MAX_DEPTH:
            above = ancestors | {node.objgen}
            stack += [(kid, media_box, above) for kid in reversed(list(kids)) if isinstance(kid, pikepdf.Dictionary)]


def _facts(leaf: Any, media_box: Any) -> PageFacts:
    return PageFacts(unit_of(leaf.get("/UserUnit")), _is_box(media_box) and _has_whole_content(leaf.get("/Contents")))


def unit_of(value: Any) -> float:
    """Return the user unit that a page's dictionary holds, 1 if there is none or it makes no sense."""
    try:
        unit = float(value)
    except (TypeError, ValueError):
        return 1.0
    return unit if 0 < unit <= _MAX_UNIT else 1.0


def _is_box(media_box: Any) -> bool:
    """Say whether a media box is four numbers and encloses something.

    One that runs leftwards or downwards is turned round, as PDF asks; one that does both was never meant as a page.
    """
    if media_box is None:
        return True  # a page without one is Letter to every reader
    try:
        x0, y0, x1, y1 = (float(number) for number in media_box)
    except (TypeError, ValueError):
        return False
    return x0 != x1 and y0 != y1 and not (x1 < x0 and y1 < y0)


def _has_whole_content(contents: Any) -> bool:
    """Say whether what a page draws can be inflated: pdfium would draw a blank page and not complain.

    A stream that merely ends early, or has a wrong checksum, is drawn by every reader.
    """
    streams = [contents] if isinstance(contents, pikepdf.Stream) else list(contents or ())
    return all(_inflates(stream) for stream in streams if isinstance(stream, pikepdf.Stream))


def _inflates(stream: Any) -> bool:
    if stream.get("/Filter") not in ("/FlateDecode", ["/FlateDecode"]):
        return True
    inflater = zlib.decompressobj()
    pending = stream.read_raw_bytes()
    try:
        for _ in range(_MOST_STEPS):
            inflater.decompress(pending, _INFLATE_STEP_BYTES)
            pending = inflater.unconsumed_tail
            if not pending:
                break
    except zlib.error as error:
        return "incorrect data check" in str(error)
    return True
