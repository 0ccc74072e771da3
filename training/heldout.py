"""Write the held-out lines: 1,000 in seen fonts, 1,000 in unseen ones, the tests' small sample, and the ten examples.

Their seeds are their own, so training never renders them; the unseen fonts are never rendered by training at all.
"""

import argparse
from pathlib import Path

from PIL import Image, ImageOps

from training.fonts import FontFace, load_fonts
from training.lines import LineSource

HERE = Path(__file__).resolve().parent
FULL = HERE / "runs" / "heldout"
SAMPLE = HERE.parent / "tests" / "data" / "starter_lines"
EXAMPLES = HERE.parent / "examples" / "lines"
SEEDS = {"seen": 101, "unseen": 102}
SAMPLE_SEEDS = {"seen": 211, "unseen": 212}
EXAMPLE_SEED = 301
BLUE_INK = {"black": (24, 38, 122), "white": (253, 251, 245)}

# Ordinary entries of a form, one unseen font each in turn; chosen before any model had read them.
EXAMPLE_LINES = (
    ("surname", "Okafor", "kalam"),
    ("name", "Margaret Hollis", "handlee"),
    ("address", "17 Mill Lane", "patrick-hand"),
    ("city", "Springfield, IL 62704", "architects-daughter"),
    ("date", "23/04/1987", "indie-flower"),
    ("amount", "$1,250.00", "the-girl-next-door"),
    ("phone", "(555) 204-8316", "kalam"),
    ("email", "m.hollis@example.com", "patrick-hand"),
    ("reference", "4071 8826 3595", "handlee"),
    ("remark", "Please call after six.", "marck-script"),
)


def write_lines(fonts: list[FontFace], seed: int, count: int, folder: Path, name: str) -> None:
    """Render lines into folder/name/ and list them, path and text, in folder/name.tsv."""
    source = LineSource(fonts, seed)
    (folder / name).mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(count):
        line = source.line()
        path = f"{name}/{i:04}.png"
        Image.fromarray(line.pixels).save(folder / path, optimize=True)
        rows.append(f"{path}\t{line.text}\n")
    (folder / f"{name}.tsv").write_text("".join(rows), encoding="utf-8")


def write_examples(fonts: list[FontFace]) -> None:
    """Render the ten example lines, mildly bent, half of them in blue ink."""
    by_name = {face.name: face for face in fonts}
    source = LineSource(fonts, EXAMPLE_SEED, strength=0.5)
    EXAMPLES.mkdir(parents=True, exist_ok=True)
    rows = []
    for i, (field, text, font) in enumerate(EXAMPLE_LINES):
        image = Image.fromarray(source.render(text, by_name[font]).pixels)
        if i % 2:
            image = ImageOps.colorize(image, **BLUE_INK)
        name = f"{i + 1:02}-{field}.png"
        image.save(EXAMPLES / name, optimize=True)
        rows.append(f"{name}\t{text}\n")
    (EXAMPLES / "references.tsv").write_text("".join(rows), encoding="utf-8")


def main() -> None:
    """Write what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--committed", action="store_true", help="also rewrite the tests' sample and the examples")
    arguments = parser.parse_args()
    fonts = load_fonts()
    groups = {
        "seen": [face for face in fonts if not face.is_unseen],
        "unseen": [face for face in fonts if face.is_unseen],
    }
    for name, group in groups.items():
        write_lines(group, SEEDS[name], 1000, FULL, name)
        if arguments.committed:
            write_lines(group, SAMPLE_SEEDS[name], 60, SAMPLE, name)
    if arguments.committed:
        write_examples(fonts)


if __name__ == "__main__":
    main()
