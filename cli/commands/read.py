"""`inkpost read`: submit images to a running service, watch, print the text."""

import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.failure import CommandFailed
from cli.service_client import JobAnswer, LineAnswer, NamedImage, ServiceClient

MAX_LINES_PER_JOB = 500
MAX_BYTES_PER_JOB = 16 * 1024 * 1024
LOOK_SECONDS = 2  # how often the progress bar moves


@dataclass(frozen=True, slots=True)
class ReadLine:
    """What was read in one file."""

    file: str
    text: str | None
    confidence: float | None
    needs_review: bool
    error: str | None


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--url", envvar="INKPOST_URL", default="http://127.0.0.1:8000", show_default=True, show_envvar=True)
@click.option("--api-key", envvar="INKPOST_API_KEY", required=True, show_envvar=True, help="A key of the service.")
@click.option("--model", help="A model that the service serves; else its default.")
@click.option("--json", "style", flag_value="json", help="Print one JSON array.")
@click.option("--csv", "style", flag_value="csv", help="Print CSV with a header.")
def read(*, files: Sequence[Path], url: str, api_key: str, model: str | None, style: str | None) -> None:
    """Read the line images FILE... with a running service and print their text, in the order given.

    The text goes to standard output, one line a file; progress and complaints go to standard error. The exit status is
    1 when any file could not be read. Ctrl-C cancels what has not been read yet.

    \b
    Examples:
      export INKPOST_API_KEY=$(cat inkpost-data/api-key)
      inkpost read surname.png first-name.png
      inkpost read --csv scans/*.png > scans.csv
    """
    for file in files:
        if file.suffix.lower() == ".pdf":
            raise click.BadParameter(f"{file} is a PDF; this version reads images of single lines", param_hint="FILE")
    with ServiceClient(url, api_key) as client:
        lines = read_images(client, files, model=model)
    show(lines, style)
    if any(line.error for line in lines):
        sys.exit(1)


def read_images(
    client: ServiceClient,
    files: Sequence[Path],
    *,
    model: str | None = None,
    at_each_look: Callable[[], None] = lambda: None,
) -> list[ReadLine]:
    """Read the files' lines with a progress bar; the answer has one entry a file, in the same order."""
    jobs: list[tuple[Sequence[Path], JobAnswer]] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("Reading", total=len(files))
        try:
            for batch, images in batches(files):
                jobs.append((batch, client.submit(images, model=model)))
            finished = 0
            for number, (batch, job) in enumerate(jobs):
                while not job.is_finished:
                    at_each_look()
                    job = client.wait(job.id, seconds=LOOK_SECONDS)  # noqa: PLW2901 - the same job, later
                    progress.update(bar, completed=finished + job.counts.finished)
                finished += job.counts.total
                jobs[number] = batch, job if job.lines else client.wait(job.id)
        except KeyboardInterrupt as error:
            for _, job in jobs:
                if not job.is_finished:
                    client.cancel(job.id)
            raise CommandFailed("Stopped; what had not been read yet was canceled.") from error
    return [
        as_read(file, line)
        for batch, job in jobs
        for file, line in zip(batch, sorted(job.lines, key=lambda line: line.index), strict=True)
    ]


def batches(files: Sequence[Path]) -> Iterator[tuple[Sequence[Path], Sequence[NamedImage]]]:
    """Divide the files into jobs of a bounded size, in their order."""
    batch: list[Path] = []
    images: list[NamedImage] = []
    byte_count = 0
    for file in files:
        image = NamedImage(str(file), file.read_bytes())
        if batch and (len(batch) == MAX_LINES_PER_JOB or byte_count + len(image.data) > MAX_BYTES_PER_JOB):
            yield batch, images
            batch, images, byte_count = [], [], 0
        batch.append(file)
        images.append(image)
        byte_count += len(image.data)
    yield batch, images


def as_read(file: Path, line: LineAnswer) -> ReadLine:
    """Put a file and the service's answer about its line together."""
    error = None
    if line.status != "succeeded":
        error = f"{line.error.detail or line.error.code} [{line.error.code}]" if line.error else line.status
    return ReadLine(str(file), line.text, line.confidence, line.needs_review, error)


def show(lines: Sequence[ReadLine], style: str | None) -> None:
    """Print the lines to standard output and, as plain text, the complaints to standard error."""
    if style == "json":
        click.echo(json.dumps([asdict(line) for line in lines], ensure_ascii=False, indent=2))
    elif style == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["file", "text", "confidence", "needs_review", "error"])
        for line in lines:
            writer.writerow([line.file, line.text, line.confidence, str(line.needs_review).lower(), line.error])
    else:
        for line in lines:
            click.echo(line.text or "")
            if line.error:
                click.echo(f"{line.file}: {line.error}", err=True)
