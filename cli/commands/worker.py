"""`inkpost worker`: one worker, for one kind of work."""

import os

import click

from cli.failure import require_package
from cli.roles import documents_command, recogniser_command, webhooks_command


@click.command()
@click.option(
    "--queue",
    type=click.Choice(["lines", "documents", "webhooks"]),
    default="lines",
    show_default=True,
    help="lines: recognise, with one model; documents: cut PDFs; webhooks: deliver events, both without any.",
)
@click.option(
    "--model",
    metavar="NAME_OR_FOLDER",
    help="Hub id or folder of a TrOCR checkpoint; else INKPOST_WORKER__MODEL, else INKPOST_DEFAULT_MODEL.",
)
def worker(queue: str, model: str | None) -> None:
    """Run one worker, in this process. A recogniser loads one model once and reads lines in batches.

    Start as many recognisers as there are GPUs, a documents worker if PDFs come in, and one webhooks worker. Needs
    DATABASE_URL and REDIS_URL. SIGTERM lets it finish what it has in hand.

    \b
    Examples:
      inkpost worker
      CUDA_VISIBLE_DEVICES=1 inkpost worker --model microsoft/trocr-large-handwritten
      inkpost worker --queue documents
      inkpost worker --queue webhooks
    """
    if queue != "lines" and model:
        raise click.UsageError(f"A {queue} worker has no --model.")
    if queue == "webhooks":
        command = webhooks_command()
    elif queue == "documents":
        require_package("pypdfium2_raw", "documents")
        command = documents_command()
    else:
        require_package("torch", "worker")
        command = recogniser_command(model)
    os.execv(command[0], command)  # noqa: S606 - signals reach the worker itself
