"""`inkpost worker`: one worker, for one kind of work."""

import os

import click

from cli.failure import require_package
from cli.roles import recogniser_command, webhooks_command


@click.command()
@click.option(
    "--queue",
    type=click.Choice(["lines", "webhooks"]),
    default="lines",
    show_default=True,
    help="lines: recognise, with one model; webhooks: deliver events, without any.",
)
@click.option(
    "--model",
    metavar="NAME_OR_FOLDER",
    help="Hub id or folder of a TrOCR checkpoint; else INKPOST_WORKER__MODEL, else INKPOST_DEFAULT_MODEL.",
)
def worker(queue: str, model: str | None) -> None:
    """Run one worker, in this process. A recogniser loads one model once and reads lines in batches.

    Start as many recognisers as there are GPUs, and one webhooks worker. Needs DATABASE_URL and REDIS_URL. SIGTERM lets
    it finish what it has in hand.

    \b
    Examples:
      inkpost worker
      CUDA_VISIBLE_DEVICES=1 inkpost worker --model microsoft/trocr-large-handwritten
      inkpost worker --queue webhooks
    """
    if queue == "webhooks":
        if model:
            raise click.UsageError("A webhooks worker has no --model.")
        command = webhooks_command()
    else:
        require_package("torch", "worker")
        command = recogniser_command(model)
    os.execv(command[0], command)  # noqa: S606 - signals reach the worker itself
