"""How well a model reads, next to Tesseract 5 (`--psm 7`) on the same lines in the same run.

What the numbers mean: both readers get the same decoded pixels, line by line; Tesseract as a user without TrOCR would
run it (Debian's `tesseract-ocr` with its English model, one process per line). CER, WER and exact match are those of
`inkpost evaluate`. The times are wall time per line on this machine: the model's reading in batches, without loading
it; Tesseract's with the start of its process, on as many processes at once as there are processors. Tesseract was
made for print; that is the comparison's point, not its flaw.

Lines come from `--lines` (whatever `inkpost evaluate` reads; may be given several times) or are rendered by the
training's own synthesiser with `--synthesise N`: N lines in fonts seen in training and N in fonts that training never
rendered, from seeds that training never uses.

The last line of standard output is one JSON document.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
from PIL import Image
from rich.console import Console
from rich.table import Table

from core.errors import InkpostError, LineError
from core.transcription import Decoding
from worker.evaluation.datasets import read_lines
from worker.evaluation.evaluation import evaluate
from worker.evaluation.images import LineImages
from worker.evaluation.metrics import Counts, count, total
from worker.evaluation.reference import ReferenceLine
from worker.line_image import LineImage
from worker.recognizer.base import Recognizer
from worker.recognizer.loading import load_recognizer
from worker.sandbox.image_sandbox import ImageSandbox

INSTALL_TESSERACT = "Tesseract is not installed. On Debian or Ubuntu: apt-get install tesseract-ocr"
COMMITTED_LINES = Path(__file__).parents[1] / "tests" / "data" / "starter_lines"
HELD_OUT_SEEDS = {"seen fonts": 900_001, "unseen fonts": 900_002}  # training renders from seeds of 1,000,000 and more


def synthesise(folder: Path, lines: int) -> dict[str, Path]:
    """Render held-out lines as PNG files with a references.tsv, once in seen and once in unseen fonts."""
    from training.fonts import convert_all, load_fonts  # noqa: PLC0415  (needs the extra `training` and the fonts)
    from training.lines import LineSource  # noqa: PLC0415

    convert_all()
    sets = {}
    for name, seed in HELD_OUT_SEEDS.items():
        fonts = [font for font in load_fonts() if font.is_unseen == (name == "unseen fonts")]
        source, target, rows = LineSource(fonts, seed), folder / name.replace(" ", "-"), []
        target.mkdir(parents=True, exist_ok=True)
        for number in range(lines):
            line = source.line()
            Image.fromarray(line.pixels).save(target / f"{number:05}.png")
            rows.append(f"{number:05}.png\t{line.text}\n")
        (target / "references.tsv").write_text("".join(rows), encoding="utf-8")
        sets[name] = target
    return sets


def known_sets(sources: tuple[Path, ...]) -> dict[str, Path]:
    """Return the sets to read: those given, else the committed sample, which holds one folder per set or just one."""
    if sources:
        return {str(source): source for source in sources}
    folders = sorted(folder for folder in COMMITTED_LINES.glob("*") if folder.is_dir())
    return {folder.name: folder for folder in folders} or {COMMITTED_LINES.name: COMMITTED_LINES}


def read_with_model(lines: Sequence[ReferenceLine], recognizer: Recognizer, images: LineImages) -> dict[str, object]:
    evaluation = evaluate(lines, recognizer=recognizer, images=images, decoding=Decoding())
    return row(evaluation.counts, evaluation.seconds)


def read_with_tesseract(lines: Sequence[ReferenceLine], images: LineImages) -> dict[str, object]:
    pictures = images.load(lines)
    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        texts = list(pool.map(tesseract, pictures))
    seconds = time.perf_counter() - started
    return row(total(count(line.reference, text) for line, text in zip(lines, texts, strict=True)), seconds)


def tesseract(picture: LineImage | LineError) -> str:
    """Read one line; an image that cannot be decoded counts as read empty, as it does for the model."""
    if isinstance(picture, LineError):
        return ""
    file = io.BytesIO()
    Image.fromarray(picture.pixels).save(file, "PNG")
    done = subprocess.run(
        ["tesseract", "stdin", "stdout", "--psm", "7", "-l", "eng"],
        input=file.getvalue(),
        capture_output=True,
        check=True,
        env={**os.environ, "OMP_THREAD_LIMIT": "1"},  # one process per line is faster than threads in each
    )
    return " ".join(done.stdout.decode("utf-8", "replace").split())


def row(counts: Counts, seconds: float) -> dict[str, object]:
    return {
        "lines": counts.lines,
        "cer": counts.cer,
        "wer": counts.wer,
        "exact": counts.exact_rate,
        "milliseconds_per_line": round(1000 * seconds / max(counts.lines, 1), 2),
    }


@click.command(help=__doc__)
@click.option("--model", default="inkpost-starter", show_default=True)
@click.option("--lines", "sources", type=click.Path(exists=True, path_type=Path), multiple=True)
@click.option("--synthesise", "number", type=click.IntRange(min=1), help="Render N held-out lines per set of fonts.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Keep the rendered lines here.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N lines of each set.")
@click.option("--device", default="auto", show_default=True)
@click.option("--precision", default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(min=1))
def main(
    *,
    model: str,
    sources: tuple[Path, ...],
    number: int | None,
    keep: Path | None,
    limit: int | None,
    device: str,
    precision: str,
    threads: int | None,
) -> None:
    if shutil.which("tesseract") is None:
        raise click.ClickException(INSTALL_TESSERACT)
    with tempfile.TemporaryDirectory() as scratch, ImageSandbox() as sandbox:
        sets = known_sets(sources) if number is None else synthesise(keep or Path(scratch), number)
        try:
            data = {name: read_lines(path)[:limit] for name, path in sets.items()}
            recognizer = load_recognizer(model, device=device, precision=precision, threads=threads)
        except InkpostError as error:
            raise click.ClickException(error.detail) from error
        recognizer.warm_up()
        results = {}
        for name, lines in data.items():
            images = LineImages(sandbox)
            results[name] = {
                recognizer.name: read_with_model(lines, recognizer, images),
                "tesseract": read_with_tesseract(lines, images),
            }
    report = {
        "model": recognizer.name,
        "revision": recognizer.revision,
        "device": recognizer.device,
        "precision": recognizer.precision,
        "tesseract": tesseract_version(),
        "results": results,
    }
    show(results)
    print(json.dumps(report, ensure_ascii=False))


def tesseract_version() -> str:
    done = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=True)
    return (done.stdout or done.stderr).splitlines()[0]


def show(results: dict[str, dict[str, dict[str, object]]]) -> None:
    table = Table()
    for heading in ("lines", "reader", "CER", "WER", "lines without any error", "ms a line"):
        table.add_column(heading, justify="left" if heading in {"lines", "reader"} else "right")
    for name, readers in results.items():
        for reader, rates in readers.items():
            percents = [
                "-" if rates[key] is None else f"{100 * float(str(rates[key])):.2f} %"
                for key in ("cer", "wer", "exact")
            ]
            table.add_row(f"{name} ({rates['lines']})", reader, *percents, str(rates["milliseconds_per_line"]))
    Console(file=sys.stdout).print(table)


if __name__ == "__main__":
    main()
