"""SROIE task 2: receipts, each with a text file of `x1,y1,x2,y2,x3,y3,x4,y4,text` rows beside it."""

import re
from pathlib import Path

from core.errors import LinesUnusable
from worker.evaluation.reference import IMAGE_SUFFIXES, ReferenceLine

_ROW = re.compile(r"(-?\d+(?:,-?\d+){7}),(.*)")


def find_receipts(folder: Path) -> list[Path]:
    """Return the receipts of `folder`: images whose text files all start with a quadrangle."""
    images = sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    is_sroie = images and all(_starts_with_quadrangle(image.with_suffix(".txt")) for image in images)
    return images if is_sroie else []


def read_receipts(receipts: list[Path]) -> list[ReferenceLine]:
    """Read the lines of receipts; a line is the box around its quadrangle, as in TrOCR's own evaluation."""
    lines = []
    for image in receipts:
        rows = image.with_suffix(".txt").read_text(encoding="utf-8-sig").splitlines()
        for number, row in enumerate(rows, start=1):
            if not row.strip():
                continue
            match = _ROW.fullmatch(row.rstrip())
            if match is None:
                raise LinesUnusable(f"{image.with_suffix('.txt')}, line {number}: expected 8 numbers and the text.")
            numbers = [float(number) for number in match[1].split(",")]
            xs, ys = numbers[0::2], numbers[1::2]
            box = ((min(xs), min(ys)), (max(xs), min(ys)), (max(xs), max(ys)), (min(xs), max(ys)))
            lines.append(ReferenceLine(f"{image.name}#{number}", image, match[2], box))
    return lines


def _starts_with_quadrangle(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open(encoding="utf-8-sig", errors="replace") as rows:
        return _ROW.fullmatch(rows.readline().rstrip()) is not None
