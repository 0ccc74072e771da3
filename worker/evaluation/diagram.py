"""A reliability diagram as an SVG: share of right lines over confidence, and how many lines stand behind each bar."""

from collections.abc import Sequence
from html import escape

from worker.evaluation.calibration import Bin

_SIDE = 320
_LEFT, _TOP, _BOTTOM = 56, 44, 92
_COUNTS_HEIGHT = 40


def reliability_diagram(title: str, bins: Sequence[Bin]) -> str:
    """Return the diagram; a bar that ends on the dashed diagonal is a confidence that tells the truth."""
    width, height = _LEFT + _SIDE + 24, _TOP + _SIDE + _BOTTOM
    most = max((group.lines for group in bins), default=0) or 1
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="11" fill="#333">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="22" font-size="13">{escape(title)}</text>',
    ]
    for tenth in range(0, 11, 2):
        x, y = _LEFT + _SIDE * tenth / 10, _TOP + _SIDE * (1 - tenth / 10)
        parts.append(f'<line x1="{_LEFT}" x2="{_LEFT + _SIDE}" y1="{y:g}" y2="{y:g}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:g}" text-anchor="end">{tenth / 10:.1f}</text>')
        parts.append(f'<text x="{x:g}" y="{_TOP + _SIDE + 14}" text-anchor="middle">{tenth / 10:.1f}</text>')
    for group in bins:
        parts += _bar(group, most)
    bottom = _TOP + _SIDE
    middle = _TOP + _SIDE // 2
    parts += [
        f'<line x1="{_LEFT}" y1="{bottom}" x2="{_LEFT + _SIDE}" y2="{_TOP}" stroke="#333" stroke-dasharray="4 4"/>',
        f'<text x="{_LEFT + _SIDE / 2:g}" y="{height - 6}" text-anchor="middle">confidence (below: lines)</text>',
        f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">right lines</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _bar(group: Bin, most: int) -> list[str]:
    if group.right_rate is None:
        return []
    left, width = _LEFT + _SIDE * group.low, _SIDE * (group.high - group.low)
    high = _SIDE * group.right_rate
    count_high = _COUNTS_HEIGHT * group.lines / most
    counts_top = _TOP + _SIDE + 20
    return [
        f'<rect x="{left + 1:.1f}" y="{_TOP + _SIDE - high:.1f}" width="{width - 2:.1f}" height="{high:.1f}" '
        f'fill="#4c78a8"><title>{group.right_rate:.3f} of {group.lines} lines are right</title></rect>',
        f'<rect x="{left + 1:.1f}" y="{counts_top}" width="{width - 2:.1f}" height="{count_high:.1f}" fill="#bbb"/>',
        f'<text x="{left + width / 2:.1f}" y="{counts_top + count_high + 10:.1f}" text-anchor="middle" '
        f'font-size="9">{group.lines}</text>',
    ]
