"""Read lines with references from what people have: a TSV, a folder of images and texts, IAM, SROIE, PAGE or ALTO.

What a folder holds decides how it is read, in this order: `references.tsv`, IAM's `lines.txt`, receipts as SROIE's
task 2 ships them, PAGE or ALTO files, images with a `.gt.txt` or `.txt` of the same name beside them.
"""

from collections.abc import Collection
from pathlib import Path

from core.errors import LinesUnusable
from worker.evaluation import iam, layout, sroie
from worker.evaluation.reference import IMAGE_SUFFIXES, ReferenceLine

REFERENCES_FILE = "references.tsv"


def read_lines(path: Path, *, split: Path | None = None) -> list[ReferenceLine]:
    """Read all lines of a data set, in a stable order.

    Args:
        path: a folder, a TSV of `path<TAB>text`, or one PAGE or ALTO file.
        split: a file of names, one per line; only lines with such a name, or a name that starts with one and a hyphen
            (an IAM form holds many lines), are kept.

    Raises:
        LinesUnusable: the data set is missing, empty or not as its format says.
    """
    lines = _read(path)
    if split is not None:
        lines = _keep(lines, split)
    if not any(line.reference.strip() for line in lines):
        raise LinesUnusable(f"{path} holds no line with a reference.")
    return lines


def _read(path: Path) -> list[ReferenceLine]:
    if path.is_file():
        return layout.read_files([path]) if path.suffix.lower() == ".xml" else read_tsv(path)
    if not path.is_dir():
        raise LinesUnusable(f"{path} does not exist.")
    if (path / REFERENCES_FILE).is_file():
        return read_tsv(path / REFERENCES_FILE)
    if (index := iam.find_index(path)) is not None:
        return iam.read_index(index, path)
    if receipts := sroie.find_receipts(path):
        return sroie.read_receipts(receipts)
    if files := layout.find_files(path):
        return layout.read_files(files)
    return read_folder(path)


def read_tsv(path: Path) -> list[ReferenceLine]:
    """Read `path<TAB>text` lines.

    A path is relative to the TSV's folder, or to its sub-folder `image`, as in the data sets that TrOCR published.
    """
    lines = []
    for number, row in enumerate(read_rows(path), start=1):
        if not row:
            continue
        name, tab, text = row.partition("\t")
        if not tab:
            raise LinesUnusable(f"{path}, line {number}: expected a path, a tab and the text.")
        image = next((i for i in (path.parent / name, path.parent / "image" / name) if i.is_file()), None)
        if image is None:
            raise LinesUnusable(f"{path}, line {number}: there is no image {name}.")
        lines.append(ReferenceLine(name, image, text))
    _refuse_twins(path, [line.name for line in lines])
    return lines


def read_folder(folder: Path) -> list[ReferenceLine]:
    """Read images with their text in a `.gt.txt` or `.txt` of the same name beside them."""
    images = sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise LinesUnusable(f"{folder} holds no line images and no known list of them.")
    lines = []
    for image in images:
        texts = [image.with_name(image.stem + suffix) for suffix in (".gt.txt", ".txt")]
        text = next((text for text in texts if text.is_file()), None)
        if text is None:
            raise LinesUnusable(f"{image} has no {texts[0].name} or {texts[1].name} beside it.")
        lines.append(ReferenceLine(image.name, image, " ".join(read_rows(text)).strip()))
    return lines


def read_rows(path: Path) -> list[str]:
    r"""Read a UTF-8 text file as rows that end in \n or \r\n, and in nothing else that Unicode calls a line end."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LinesUnusable(f"{path} is not UTF-8 text.") from error
    return [row.removesuffix("\r") for row in text.split("\n")]


def _keep(lines: list[ReferenceLine], split: Path) -> list[ReferenceLine]:
    if not split.is_file():
        raise LinesUnusable(f"{split} does not exist.")
    names = {row.strip() for row in read_rows(split)} - {""}
    kept = [line for line in lines if _is_named(line.name, names)]
    if not kept:
        raise LinesUnusable(f"{split} names none of the lines.")
    return kept


def _is_named(name: str, names: Collection[str]) -> bool:
    parts = name.split("-")
    return any("-".join(parts[:count]) in names for count in range(1, len(parts) + 1))


def _refuse_twins(path: Path, names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise LinesUnusable(f"{path} names {name} twice.")
        seen.add(name)
