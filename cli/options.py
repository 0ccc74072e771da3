"""Options that several commands have in common."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def service_options(command: Command) -> Command:
    """Add the options that say which service to talk to, and with which key."""
    key = click.option("--api-key", envvar="INKPOST_API_KEY", required=True, show_envvar=True, help="A key of it.")
    url = click.option(
        "--url",
        envvar="INKPOST_URL",
        default="http://127.0.0.1:8000",
        show_default=True,
        show_envvar=True,
        help="The service.",
    )
    return url(key(command))
