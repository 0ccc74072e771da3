"""The order in which the characters of a line are drawn. Pure, and simpler than Unicode's own algorithm (UAX #9).

PDF draws from left to right, and its readers turn what runs leftwards round again when they extract it. The line runs
as its first strong character does; within it, parts that run the other way are told apart once: a Latin name or a
number in Hebrew, a Hebrew name in Latin. Deeper nesting is laid out as if there were none.
"""

import unicodedata
from collections.abc import Sequence
from itertools import groupby

_LEFTWARD = frozenset({"R", "AL"})
_RIGHTWARD = frozenset({"L", "EN", "AN"})  # numbers run so in any script
_MARK = "NSM"


def visual_order(text: str) -> str:
    """Return the characters of a line from left to right."""
    kinds = [unicodedata.bidirectional(character) for character in text]
    if _LEFTWARD.isdisjoint(kinds):
        return text
    line_is_leftward = next(kind in _LEFTWARD for kind in kinds if kind == "L" or kind in _LEFTWARD)
    runs = []
    directed = zip(text, _directions(kinds, line_is_leftward), strict=True)
    for is_leftward, characters in groupby(directed, key=lambda one: one[1]):
        run = "".join(character for character, _ in characters)
        runs.append(run[::-1] if is_leftward else run)
    return "".join(runs[::-1] if line_is_leftward else runs)


def _directions(kinds: Sequence[str], line_is_leftward: bool) -> list[bool]:
    """Say of each character whether it runs leftwards; what has no direction follows its neighbours if they agree."""
    known = [kind in _LEFTWARD if kind in _LEFTWARD | _RIGHTWARD else None for kind in kinds]
    before = _carried(known, line_is_leftward)
    after = _carried(known[::-1], line_is_leftward)[::-1]
    return [
        previous if kind == _MARK or previous == following else line_is_leftward
        for kind, previous, following in zip(kinds, before, after, strict=True)
    ]


def _carried(directions: Sequence[bool | None], start: bool) -> list[bool]:
    """Give each place the direction that it has, or else that of the last place before it that has one."""
    carried, last = [], start
    for direction in directions:
        last = last if direction is None else direction
        carried.append(last)
    return carried
