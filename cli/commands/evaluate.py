"""`inkpost evaluate`: error rates of a model."""

import os
import sys

import click

from cli.failure import require_package


@click.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def evaluate(arguments: tuple[str, ...]) -> None:
    """Measure a model over lines with references: CER, WER and exact matches.

    \b
    Examples:
      inkpost evaluate --model inkpost-starter --lines examples/lines/references.tsv
      inkpost evaluate --help
    """
    require_package("torch", "worker")
    # A process of its own, because this command must not load torch when it only forwards words.
    os.execv(sys.executable, [sys.executable, "-m", "worker.evaluation", *arguments])  # noqa: S606
