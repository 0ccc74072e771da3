"""Pages as clients write them: numbers from 1 and ranges, such as `1-3,7`."""

import re
from collections.abc import Iterable
from typing import Any

PageRanges = tuple[tuple[int, int], ...]
MAX_PAGE = 1_000_000  # more than any document has that is looked at
_MOST_RANGES = 1_000
_RANGE = re.compile(r" *([1-9][0-9]{0,6})(?: *- *([1-9][0-9]{0,6}))? *", re.ASCII)


def parse_pages(text: str) -> PageRanges:
    """Return inclusive ranges of pages, in the order in which they are written.

    Raises:
        ValueError: the text is not of this form; its message is a sentence for the client.
    """
    written = text.split(",")
    if len(written) > _MOST_RANGES:
        raise ValueError(f"At most {_MOST_RANGES} ranges.")
    return tuple(_range(part) for part in written)


def write_pages(ranges: Iterable[Any]) -> str:
    """Return pairs of a first and a last page as clients write them."""
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def _range(text: str) -> tuple[int, int]:
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ValueError("Pages are numbers from 1 and ranges, such as 1-3,7.")
    first = int(found[1])
    last = int(found[2] or first)
    if last < first:
        raise ValueError(f"A range goes from its lower to its higher page: {last}-{first}.")
    if last > MAX_PAGE:
        raise ValueError(f"No page is beyond {MAX_PAGE}.")
    return first, last
