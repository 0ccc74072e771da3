"""`inkpost evaluate`: how well a model reads lines whose text is known."""

import json
import logging
import os
import sys
from pathlib import Path

import click
import structlog
from rich.console import Console
from rich.progress import Progress

from core.errors import InkpostError
from core.transcription import Decoding
from worker.evaluation.calibration import fit_and_check, reliability_bins
from worker.evaluation.datasets import read_lines
from worker.evaluation.diagram import reliability_diagram
from worker.evaluation.evaluation import Evaluation, evaluate
from worker.evaluation.images import LineImages
from worker.evaluation.reference import ReferenceLine
from worker.evaluation.report import Reader, document, print_tables
from worker.evaluation.worst_page import worst_page
from worker.recognizer.base import Recognizer
from worker.recognizer.loading import PRECISIONS, load_recognizer
from worker.sandbox.image_sandbox import ImageSandbox
from worker.sandbox.limits import MIB, SandboxLimits

# A4 at 1200 dpi or A3 at 800 dpi: ground truth is whole pages, and the operator chose these files.
_PAGE_LIMITS = SandboxLimits(
    cpu_seconds=30.0,
    wall_seconds=90.0,
    memory_bytes=2048 * MIB,
    max_image_bytes=512 * MIB,
    max_image_side_pixels=20_000,
    max_image_pixels=140_000_000,
)


class OutputFile(click.Path):
    """A file to write at the end; asked for in vain, it is better refused before the reading than after it."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Refuse a file whose folder does not exist."""
        path = Path(os.fspath(value))
        if not path.parent.is_dir():
            self.fail(f"Folder {str(path.parent)!r} does not exist.", param, ctx)
        return Path(os.fsdecode(super().convert(value, param, ctx)))


@click.command("inkpost evaluate")
@click.option(
    "--model", required=True, help="inkpost-starter, a folder, or a hub id such as microsoft/trocr-base-handwritten."
)
@click.option(
    "--lines",
    "source",
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="A TSV of path and text, a folder of images with .txt or .gt.txt files, IAM, SROIE, PAGE or ALTO.",
)
@click.option(
    "--split",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Only the lines (or forms) named in this file.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N lines.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True)
@click.option("--num-beams", type=click.IntRange(1, 10), default=1, show_default=True, help="1 is greedy search.")
@click.option("--batch", type=click.IntRange(min=1), help="Lines per call; unset asks the recogniser.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads; unset leaves the choice to torch.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output instead of tables.")
@click.option("--html", type=OutputFile(), help="Write the worst lines as a page.")
@click.option("--worst", type=click.IntRange(min=1), default=50, show_default=True, help="Lines on that page.")
@click.option("--diagram", type=OutputFile(), help="Write the reliability diagram as an SVG.")
@click.option("--calibration", type=OutputFile(), help="Write the fitted temperature as JSON.")
def main(
    *,
    model: str,
    source: Path,
    split: Path | None,
    limit: int | None,
    precision: str,
    num_beams: int,
    batch: int | None,
    device: str,
    threads: int | None,
    as_json: bool,
    html: Path | None,
    worst: int,
    diagram: Path | None,
    calibration: Path | None,
) -> None:
    """Compare what a model reads with what is written: CER, WER, F1, and whether its confidence tells the truth."""
    _log_to_standard_error()
    try:
        lines = read_lines(source, split=split)[:limit]
        recognizer = load_recognizer(model, device=device, precision=precision, threads=threads)
        with ImageSandbox(_PAGE_LIMITS) as sandbox:
            images = LineImages(sandbox)
            evaluation = _evaluate(lines, recognizer, images, Decoding(num_beams=num_beams), batch)
            reader = Reader(recognizer.name, recognizer.revision, recognizer.device, recognizer.precision, num_beams)
            if html is not None:
                html.write_text(_page(reader, evaluation, images, worst), encoding="utf-8")
    except InkpostError as error:
        raise click.ClickException(error.detail) from error
    judged = evaluation.judged
    if diagram is not None:
        title = f"{reader.model}: {len(judged)} lines"
        diagram.write_text(reliability_diagram(title, reliability_bins(judged)), encoding="utf-8")
    if calibration is not None:
        fit = fit_and_check(judged)
        if fit is None:
            raise click.ClickException("Too few lines, right or wrong, to fit a temperature.")
        calibration.write_text(json.dumps({"temperature": round(fit.temperature, 4)}) + "\n", encoding="utf-8")
    if as_json:
        click.echo(json.dumps(document(reader, evaluation), ensure_ascii=False, allow_nan=False))
    else:
        print_tables(Console(), reader, evaluation)


def _log_to_standard_error() -> None:
    """Keep standard output for the report, and the log for what went wrong."""
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )


def _evaluate(
    lines: list[ReferenceLine], recognizer: Recognizer, images: LineImages, decoding: Decoding, batch: int | None
) -> Evaluation:
    recognizer.warm_up()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("reading", total=len(lines))
        return evaluate(
            lines,
            recognizer=recognizer,
            images=images,
            decoding=decoding,
            batch=batch,
            on_progress=lambda finished: progress.advance(bar, finished),
        )


def _page(reader: Reader, evaluation: Evaluation, images: LineImages, number: int) -> str:
    worst = evaluation.worst(number)
    counts = evaluation.counts
    summary = f"{len(worst)} of {counts.lines - counts.exact} lines with errors, of {counts.lines} lines in all."
    return worst_page(reader, summary, [(line, images.load([line.line])[0]) for line in worst])


if __name__ == "__main__":
    main(prog_name="inkpost evaluate")
