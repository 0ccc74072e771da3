"""`inkpost demo`: the whole service for a moment, on ten sample lines and a form of twelve fields."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

import core
from cli.commands.read import ReadLine, as_read, read_images
from cli.commands.up import DEFAULT_MODEL, checked_model, stop_signals, tell
from cli.failure import CommandFailed
from cli.forms import read_form
from cli.local.process import LocalServerError
from cli.local.service import LocalService, Plan, StartInterrupted
from cli.service_client import ServiceClient

REFERENCES = "references.tsv"


@dataclass(frozen=True, slots=True)
class Sample:
    """A line image and what is written on it."""

    image: Path
    reference: str


@click.command()
@click.option("--model", default=DEFAULT_MODEL, show_default=True, metavar="NAME_OR_FOLDER")
@click.option(
    "--lines",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help=f"Folder with line images and {REFERENCES} (name, tab, text); default: the samples of this repository.",
)
@click.option(
    "--form",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Form PDF beside a file .tsv of the same name (field, tab, text); default, unless --lines is given: as above.",
)
def demo(model: str, folder: Path | None, form: Path | None) -> None:
    """Start the whole service in a temporary folder, read sample lines and a form through its API, show them, stop.

    Nothing is left behind. The exit status is 0 when the service worked, whatever the model made of the lines.

    \b
    Examples:
      inkpost demo
      inkpost demo --model microsoft/trocr-base-handwritten --lines my-lines/
    """
    examples = Path(core.__file__).parent.parent / "examples"
    samples = load_samples(folder or examples / "lines")
    form = form or (examples / "forms" / "intake.pdf" if folder is None else None)
    written = load_references(form.with_suffix(".tsv")) if form is not None else {}
    images = [sample.image for sample in samples]
    model = checked_model(model)
    with tempfile.TemporaryDirectory(prefix="inkpost-demo-") as temporary, stop_signals() as stop:
        plan = Plan(Path(temporary) / "data", model, port=0)
        try:
            with LocalService(plan, tell=tell, should_stop=stop.is_set) as service:
                tell(f"Reading {len(samples)} lines through {service.url}/v1/jobs")
                started_at = time.monotonic()
                with ServiceClient(service.url, service.key.secret or "") as client:
                    lines = read_images(client, images, at_each_look=service.keep_running)
                    seconds = time.monotonic() - started_at
                    fields = _read_fields(client, form, service) if form is not None else []
                tell("Stopping")
        except (LocalServerError, StartInterrupted) as error:
            raise CommandFailed(str(error)) from error
    right = show("line image", [(sample.image.name, sample.reference) for sample in samples], lines)
    click.echo(f"{right} of {len(samples)} lines read as written, in {seconds:.1f} s with {model}.")
    if form is not None:
        right = show("form field", [(field.file, written.get(field.file, "")) for field in fields], fields)
        click.echo(f"{right} of {len(fields)} fields of {form.name} read as written.")
    if failed := [line for line in (*lines, *fields) if line.error]:
        raise CommandFailed(f"{len(failed)} lines were not read: {failed[0].error}")


def load_samples(folder: Path) -> list[Sample]:
    """Return the samples that a folder's references name.

    Raises:
        CommandFailed: there are none.
    """
    references = folder / REFERENCES
    if not references.exists():
        raise CommandFailed(f"There are no sample lines here: {references} is missing. Name a folder with --lines.")
    return [Sample(folder / name, text) for name, text in load_references(references).items()]


def load_references(references: Path) -> dict[str, str]:
    """Return what is written, by the name of the line.

    Raises:
        CommandFailed: the file says nothing, or is missing.
    """
    if not references.exists():
        raise CommandFailed(f"{references} is missing: it says what is written.")
    rows = [row.split("\t", 1) for row in references.read_text(encoding="utf-8").splitlines() if row.strip()]
    if not rows or any(len(row) != 2 for row in rows):
        raise CommandFailed(f"{references} must hold lines of the form NAME<tab>TEXT.")
    return {row[0]: row[1] for row in rows}


def _read_fields(client: ServiceClient, form: Path, service: LocalService) -> list[ReadLine]:
    tell(f"Reading {form.name}")
    job = read_form(client, form, {}, at_each_look=service.keep_running)
    if not job.lines:
        raise CommandFailed(f"{form.name} was not cut: {job.error.code if job.error else job.status}")
    return [as_read(Path(line.custom_id or f"line {line.index + 1}"), line) for line in job.lines]


def show(kind: str, written: Sequence[tuple[str, str]], lines: Sequence[ReadLine]) -> int:
    """Print the table of names and what is written there; return how many lines were read exactly so."""
    table = Table(Column(kind), Column("written", overflow="fold"), Column("read", overflow="fold"), "confidence", "")
    right = 0
    for (name, reference), line in zip(written, lines, strict=True):
        is_right = line.text == reference
        right += is_right
        confidence = "" if line.confidence is None else f"{line.confidence:.3f}"
        mark = Text("right", "green") if is_right else Text("wrong", "red")
        table.add_row(name, Text(reference), Text(line.text or line.error or ""), confidence, mark)
    Console().print(table)
    return right
