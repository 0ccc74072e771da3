"""Ground truth in PAGE XML and ALTO: the lines of page images, each with its outline and text.

The files may come from anybody: parsed without document types, entities or anything fetched, and the image is looked
for by its name only, beside the file or one folder up, never by a path that the file chose.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from core.errors import LinesUnusable
from worker.evaluation.reference import Point, ReferenceLine, find_image

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_ROOT = re.compile(rb"<(?:\w+:)?(PcGts|alto)[\s>]")
_HEAD_BYTES = 4096
_FOLDERS = ("", "page", "alto")


def find_files(folder: Path) -> list[Path]:
    """Return the PAGE and ALTO files of `folder` or of its sub-folders `page` and `alto`."""
    for name in _FOLDERS:
        files = [file for file in sorted((folder / name).glob("*.xml")) if _is_layout(file)]
        if files:
            return files
    return []


def read_files(files: list[Path]) -> list[ReferenceLine]:
    """Read the lines that have a text, in the order of the files; a line without one is not ground truth."""
    lines = []
    for file in files:
        root = _parse(file)
        kind = _tag(root)
        if kind not in {"PcGts", "alto"}:
            raise LinesUnusable(f"{file} is neither PAGE XML nor ALTO.")
        lines += list(_page_lines(file, root) if kind == "PcGts" else _alto_lines(file, root))
    return lines


def _page_lines(file: Path, root: "Element") -> Iterator[ReferenceLine]:
    page = _child(root, "Page")
    image = _image(file, "" if page is None else page.get("imageFilename", ""))
    for number, line in enumerate(_descendants(root, "TextLine"), start=1):
        text = _page_text(line)
        coords = _child(line, "Coords")
        if not text or coords is None:
            continue
        yield ReferenceLine(_name(file, line, "id", number), image, text, _points(file, coords.get("points", "")))


def _page_text(line: "Element") -> str:
    """Return the line's best text: PAGE orders alternatives by `index`, from 0; else its words' texts."""
    texts = [child for child in line if _tag(child) == "TextEquiv"]
    if texts:
        best = min(texts, key=_rank)
        unicode = _child(best, "Unicode")
        return "" if unicode is None or unicode.text is None else unicode.text.strip()
    return " ".join(filter(None, (_page_text(child) for child in line if _tag(child) == "Word")))


def _rank(text: "Element") -> int:
    index = text.get("index", "0")
    return int(index) if index.isdecimal() else 0


def _alto_lines(file: Path, root: "Element") -> Iterator[ReferenceLine]:
    name = next((element.text or "" for element in _descendants(root, "fileName")), "")
    unit = next((element.text or "" for element in _descendants(root, "MeasurementUnit")), "pixel").strip()
    if unit != "pixel":
        raise LinesUnusable(f"{file} measures in {unit}; only pixels are understood.")
    image = _image(file, name)
    for number, line in enumerate(_descendants(root, "TextLine"), start=1):
        text = " ".join(content for string in _descendants(line, "String") if (content := string.get("CONTENT", "")))
        if text.strip():
            yield ReferenceLine(_name(file, line, "ID", number), image, text.strip(), _alto_outline(file, line))


def _alto_outline(file: Path, line: "Element") -> tuple[Point, ...]:
    shape = _child(line, "Shape")
    polygon = None if shape is None else _child(shape, "Polygon")
    if polygon is not None:
        return _points(file, polygon.get("POINTS", ""))
    try:
        left, top, width, height = (float(line.get(key, "")) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT"))
    except ValueError as error:
        raise LinesUnusable(f"{file} has a text line without a polygon and without a box.") from error
    return ((left, top), (left + width, top), (left + width, top + height), (left, top + height))


def _points(file: Path, text: str) -> tuple[Point, ...]:
    """Parse `x,y x,y ...` (PAGE, ALTO 4) or `x y x y ...` (ALTO 2 and 3)."""
    try:
        numbers = [float(number) for number in re.split(r"[\s,]+", text.strip())]
    except ValueError as error:
        raise LinesUnusable(f"{file} has an outline that is no list of points.") from error
    points = tuple(zip(numbers[0::2], numbers[1::2], strict=False))
    if len(points) < 2 or len(numbers) % 2:
        raise LinesUnusable(f"{file} has an outline of fewer than two points.")
    return points


def _image(file: Path, name: str) -> Path:
    basename = PurePosixPath(name.replace("\\", "/")).name
    for folder in (file.parent, file.parent.parent):
        if basename and (folder / basename).is_file():
            return folder / basename
    same_name = find_image(file.with_suffix("")) or find_image(file.parent.parent / file.stem)
    if same_name is None:
        raise LinesUnusable(f"{file}: its image {basename or file.stem} is neither beside it nor one folder up.")
    return same_name


def _name(file: Path, line: "Element", attribute: str, number: int) -> str:
    return f"{file.stem}#{line.get(attribute) or number}"


def _parse(file: Path) -> "Element":
    try:
        return fromstring(file.read_bytes(), forbid_dtd=True)
    except (ParseError, DefusedXmlException) as error:
        raise LinesUnusable(f"{file} is not acceptable XML: {type(error).__name__}.") from error


def _is_layout(file: Path) -> bool:
    with file.open("rb") as stream:
        return _ROOT.search(stream.read(_HEAD_BYTES)) is not None


def _tag(element: "Element") -> str:
    return element.tag.rpartition("}")[2]


def _child(element: "Element", tag: str) -> "Element | None":
    return next((child for child in element if _tag(child) == tag), None)


def _descendants(element: "Element", tag: str) -> Iterator["Element"]:
    return (descendant for descendant in element.iter() if isinstance(descendant.tag, str) and _tag(descendant) == tag)
