"""`inkpost read`: submit images or forms to a running service, watch, print the text."""

import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import click

from cli.failure import CommandFailed
from cli.forms import CUTS, FORMATS, LOOK_SECONDS, complain, finish, progress_bar, read_form, read_password, write
from cli.options import service_options
from cli.service_client import JobAnswer, LineAnswer, NamedImage, ServiceClient

MAX_LINES_PER_JOB = 500
MAX_BYTES_PER_JOB = 16 * 1024 * 1024


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
@service_options
@click.option("--model", help="A model that the service serves; else its default.")
@click.option("--cut", type=click.Choice(CUTS), help="How a form becomes lines; else as the form allows.")
@click.option("--pages", metavar="RANGES", help="Pages of a form to look at, such as 1-3,7.")
@click.option("--template", metavar="NAME", help="Cut a form as this template says; see `inkpost template`.")
@click.option(
    "--password-file", type=click.File(), help="File whose first line opens an encrypted form; - is standard input."
)
@click.option("--password-prompt", is_flag=True, help="Ask for the password of an encrypted form.")
@click.option("--format", "wanted", type=click.Choice(FORMATS), help="As what the texts are written.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write to, as --format says.")
@click.option("--json", "style", flag_value="json", help="Print one JSON array; of a form, its job.")
@click.option("--csv", "style", flag_value="csv", help="Print CSV with a header; of a form, as --format csv.")
def read(
    *,
    files: Sequence[Path],
    url: str,
    api_key: str,
    model: str | None,
    cut: str | None,
    pages: str | None,
    template: str | None,
    password_file: TextIO | None,
    password_prompt: bool,
    wanted: str | None,
    output: Path | None,
    style: str | None,
) -> None:
    """Read line images or form PDFs with a running service and print their text, in the order given.

    The text goes to standard output, one line a file, or a line of a form; progress and complaints go to standard
    error. With --format the service writes all that was read as one file: pdf is the form with an invisible layer of
    text, form the form with its fields filled in. The exit status is 1 when any line could not be read. Ctrl-C cancels
    what has not been read yet.

    \b
    Examples:
      export INKPOST_API_KEY=$(cat inkpost-data/api-key)
      inkpost read surname.png first-name.png
      inkpost read --csv scans/*.png > scans.csv
      inkpost read form.pdf --format csv
      inkpost read form.pdf --template intake --format form --output filled.pdf
    """
    document = {
        name: value for name, value in {"cut": cut, "pages": pages, "template": template}.items() if value is not None
    }
    forms = [file for file in files if file.suffix.lower() == ".pdf"]
    if forms and len(forms) < len(files):
        raise click.UsageError("PDFs and images are read in calls of their own.")
    if not forms and (document or password_file or password_prompt):
        raise click.UsageError(f"--{next(iter(document), 'password')} is for PDFs.")
    if len(forms) > 1 and output is not None:
        raise click.UsageError("--output takes one form.")
    password = read_password(password_file, prompt=password_prompt)
    if password is not None:
        document["password"] = password
    with ServiceClient(url, api_key) as client:
        if forms:
            is_complete = True
            for form in forms:
                job = read_form(client, form, document, model=model)
                is_complete = not complain(form, job) and is_complete
                if job.lines:
                    write(client.transcript(job.id, wanted or style or "txt"), output)
        elif wanted is not None or output is not None:
            job = read_together(client, files, model=model)
            write(client.transcript(job.id, wanted or style or "txt"), output)
            is_complete = not complain(None, job)
        else:
            lines = read_images(client, files, model=model)
            show(lines, style)
            is_complete = not any(line.error for line in lines)
    if not is_complete:
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
    with progress_bar() as progress:
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


def read_together(client: ServiceClient, files: Sequence[Path], *, model: str | None = None) -> JobAnswer:
    """Read the files as one job, each line named after its file.

    Raises:
        CommandFailed: they are too many for that.
    """
    (_, images), *more = batches(files)
    if more:
        raise CommandFailed(
            f"--format writes one job, of at most {MAX_LINES_PER_JOB} images and {MAX_BYTES_PER_JOB} bytes."
        )
    return finish(client, client.submit(images, model=model, with_names=True))


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
