"""The fonts of the training lines: which ones, which stay unseen, and how the npm packages become TrueType files.

The packages are pinned in package.json (`npm install` puts them under node_modules/); nothing of them is committed.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from fontTools.ttLib import TTFont

HERE = Path(__file__).resolve().parent
PACKAGES = HERE / "node_modules" / "@fontsource"
FONTS = HERE / "fonts"

# Ordinary, legible hands that training never renders: they measure how the model reads a writer it has not met.
UNSEEN = (
    "architects-daughter",
    "handlee",
    "indie-flower",
    "kalam",
    "marck-script",
    "patrick-hand",
    "the-girl-next-door",
)
CHARACTERS = "".join(chr(code) for code in range(32, 127))


@dataclass(frozen=True, slots=True)
class FontFace:
    """One handwriting font: its file, the characters it can draw and its licence."""

    name: str
    path: Path
    characters: frozenset[str]
    license: str
    family: str

    @property
    def is_unseen(self) -> bool:
        """Say whether training must never render this font."""
        return self.name in UNSEEN


def convert(package: Path, target: Path) -> None:
    """Write the regular Latin face of one package as an uncompressed TrueType or OpenType file."""
    source = package / "files" / f"{package.name}-latin-400-normal.woff"
    font = TTFont(source)
    font.flavor = None
    font.save(target)


def convert_all() -> None:
    """Convert every installed package that has not been converted yet."""
    FONTS.mkdir(exist_ok=True)
    for package in sorted(PACKAGES.iterdir()):
        target = FONTS / f"{package.name}.ttf"
        if not target.exists():
            convert(package, target)


def load_fonts() -> list[FontFace]:
    """Return every pinned font, sorted by name, with the characters that it covers."""
    faces = []
    for package in sorted(json.loads((HERE / "package.json").read_text())["dependencies"]):
        name = package.removeprefix("@fontsource/")
        metadata = json.loads((PACKAGES / name / "metadata.json").read_text())
        path = FONTS / f"{name}.ttf"
        covered = TTFont(path, lazy=True).getBestCmap()
        characters = frozenset(character for character in CHARACTERS if ord(character) in covered)
        faces.append(FontFace(name, path, characters, metadata["license"]["type"], metadata["family"]))
    return faces


def main() -> None:
    """Convert the fonts, and list them with their licences when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="print a Markdown table of the fonts and licences")
    arguments = parser.parse_args()
    convert_all()
    if arguments.table:
        print("| font | licence | in training |\n|---|---|---|")
        for face in load_fonts():
            print(f"| {face.family} | {face.license} | {'no' if face.is_unseen else 'yes'} |")


if __name__ == "__main__":
    main()
