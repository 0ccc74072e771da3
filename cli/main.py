"""The `inkpost` command. Each subcommand is a file of `cli/commands`, imported only when it is called."""

import importlib
from typing import Any

import click
from pydantic import ValidationError

from cli.failure import CommandFailed
from core.errors import InkpostError

COMMANDS = ("up", "demo", "read", "template", "api", "worker", "migrate", "clients", "webhooks", "evaluate")
SUMMARIES = {
    "up": "Run everything on this machine.",
    "demo": "Run everything for a moment; read sample lines and a form.",
    "read": "Read line images or forms with a running service.",
    "template": "Say once how a kind of form is cut.",
    "api": "Run the REST API.",
    "worker": "Run one recognition worker.",
    "migrate": "Bring the database to this version's schema.",
    "clients": "Make, list and revoke API keys.",
    "webhooks": "Receive and verify webhooks on this machine.",
    "evaluate": "Measure a model's error rates over lines with references.",
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and imports a command when it is used, so that --help is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"cli.commands.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in COMMANDS])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what an operator can mend ends in one clear line, not in a traceback."""
        try:
            return super().invoke(ctx)
        except ValidationError as error:
            raise CommandFailed(_first_fault(error)) from error
        except InkpostError as error:
            raise CommandFailed(error.detail) from error


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    place = "__".join(str(part) for part in fault["loc"]).upper()
    name = place if place.startswith(("INKPOST_", "DATABASE_", "REDIS_")) else f"INKPOST_{place}"
    return f"The setting {name} is not acceptable: {fault['msg']}."


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="inkpost")
def main() -> None:
    """Inkpost: post ink, get text posted back.

    \b
    inkpost demo                 see it work
    inkpost up                   run it on this machine
    inkpost read surname.png     read with a running service
    """


if __name__ == "__main__":
    main()
