"""`inkpost api`: the REST API."""

import os

import click

from cli.failure import require_package
from cli.roles import api_command


@click.command()
@click.option("--host", metavar="ADDRESS", help="Address to listen on; else INKPOST_API__HOST, else 127.0.0.1.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Port to listen on; else INKPOST_API__PORT, else 8000.")
@click.option("--processes", type=click.IntRange(1, 256), help="Processes; else INKPOST_API__PROCESSES.")
@click.option("--threads", type=click.IntRange(4, 1024), help="Requests a process answers at once; else by setting.")
def api(host: str | None, port: int | None, processes: int | None, threads: int | None) -> None:
    """Run the REST API under gunicorn, in this process.

    Needs DATABASE_URL and REDIS_URL, and a database that `inkpost migrate` has been run on.

    \b
    Example:
      DATABASE_URL=postgresql://... REDIS_URL=redis://... inkpost api --host 0.0.0.0
    """
    require_package("gunicorn", "api")
    command = api_command(host=host, port=port, processes=processes, threads=threads)
    os.execv(command[0], command)  # noqa: S606 - signals reach the server itself
