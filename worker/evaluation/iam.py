"""The IAM Handwriting Database: `lines.txt` and the line images of `lines.tgz`."""

from pathlib import Path

from core.errors import LinesUnusable
from worker.evaluation.reference import ReferenceLine, find_image

_FIELDS_BEFORE_TEXT = 8


def find_index(folder: Path) -> Path | None:
    """Return IAM's list of lines in `folder` or in its sub-folder `ascii`."""
    return next((file for file in (folder / "lines.txt", folder / "ascii" / "lines.txt") if file.is_file()), None)


def read_index(index: Path, folder: Path) -> list[ReferenceLine]:
    """Read every line of `lines.txt`, also those whose word segmentation IAM marks as doubtful (`err`).

    A row is `a01-000u-00 ok 154 19 408 746 1661 89 A|MOVE|to|stop`: id, segmentation, grey level, components, box
    (four numbers), and the words, which are joined with spaces. Images lie as IAM ships them
    (`a01/a01-000u/a01-000u-00.png`, with or without a folder `lines` above) or side by side.
    """
    lines = []
    for number, row in enumerate(index.read_text(encoding="utf-8").splitlines(), start=1):
        if not row.strip() or row.startswith("#"):
            continue
        fields = row.split(" ", _FIELDS_BEFORE_TEXT)
        if len(fields) <= _FIELDS_BEFORE_TEXT:
            raise LinesUnusable(f"{index}, line {number}: expected {_FIELDS_BEFORE_TEXT} fields and the words.")
        image = _find_image(folder, fields[0])
        if image is None:
            raise LinesUnusable(f"{index}, line {number}: there is no image of {fields[0]} in {folder}.")
        lines.append(ReferenceLine(fields[0], image, fields[-1].replace("|", " ")))
    return lines


def _find_image(folder: Path, name: str) -> Path | None:
    writer, _, rest = name.partition("-")
    nested = Path(writer, f"{writer}-{rest.partition('-')[0]}", name)
    stems = (folder / nested, folder / "lines" / nested, folder / "lines" / name, folder / name)
    return next((image for stem in stems if (image := find_image(stem)) is not None), None)
