"""Reading forms with a running service: submit, watch, fetch, write."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.failure import CommandFailed
from cli.service_client import JobAnswer, ServiceClient
from core.words import Cut, TranscriptFormat

CUTS = tuple(cut.value for cut in Cut if cut != Cut.REGIONS)  # regions come with a template
FORMATS = tuple(each.value for each in TranscriptFormat)
LOOK_SECONDS = 2  # how often the progress bar moves
_BINARY_STARTS = (b"%PDF-", b"PK\x03\x04")


def progress_bar() -> Progress:
    """Return a progress bar on standard error that is gone when all is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def read_form(
    client: ServiceClient,
    file: Path,
    document: Mapping[str, str],
    *,
    model: str | None = None,
    at_each_look: Callable[[], None] = lambda: None,
) -> JobAnswer:
    """Return the job of a form once all its lines are read, or once it has failed without any."""
    return finish(client, client.submit_form(file.read_bytes(), document, model=model), at_each_look=at_each_look)


def finish(client: ServiceClient, job: JobAnswer, *, at_each_look: Callable[[], None] = lambda: None) -> JobAnswer:
    """Wait with a progress bar until a job has finished, and return it with its lines."""
    with progress_bar() as progress:
        bar = progress.add_task("Reading", total=None)
        try:
            while not job.is_finished:
                at_each_look()
                job = client.wait(job.id, seconds=LOOK_SECONDS)
                progress.update(bar, total=job.counts.total or None, completed=job.counts.finished)
        except KeyboardInterrupt as error:
            client.cancel(job.id)
            raise CommandFailed("Stopped; what had not been read yet was canceled.") from error
    return job


def complain(file: Path | None, job: JobAnswer) -> bool:
    """Say on standard error which lines were not read, or why there are none, and return whether there was a reason."""
    if job.error is not None and not job.lines:
        click.echo(f"{file}: {job.error.detail or ''} [{job.error.code}]", err=True)
        return True
    failed = [line for line in job.lines if line.status != "succeeded"]
    for line in failed:
        name = line.custom_id or f"line {line.index + 1}"
        reason = f"{line.error.detail or ''} [{line.error.code}]" if line.error else line.status
        click.echo(f"{name if file is None else f'{file}, {name}'}: {reason}", err=True)
    return bool(failed)


def read_password(file: TextIO | None, *, prompt: bool) -> str | None:
    """Return a form's password: a file's first line, or what is typed. A command's options would show in `ps`."""
    if file is not None:
        return file.readline().rstrip("\r\n")
    if prompt:
        typed: str = click.prompt("Password", hide_input=True, err=True)
        return typed
    return None


def write(transcript: bytes, output: Path | None) -> None:
    """Write a transcript to a file or to standard output.

    Raises:
        CommandFailed: it is no text, and standard output is somebody's screen.
    """
    if output is not None:
        output.write_bytes(transcript)
    elif transcript.startswith(_BINARY_STARTS) and sys.stdout.isatty():
        raise CommandFailed("This is no text: name a file with --output.")
    else:
        click.echo(transcript, nl=False)
