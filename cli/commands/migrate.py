"""`inkpost migrate`: the schema."""

import click
from sqlalchemy.exc import OperationalError

from cli.database import shown
from cli.failure import CommandFailed
from cli.migrations import is_current, migrate_database
from core.settings import load_settings


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit status 1 when a migration is missing.")
def migrate(check: bool) -> None:
    """Bring the database of DATABASE_URL to this version's schema. Running it again does nothing.

    \b
    Examples:
      DATABASE_URL=postgresql://... inkpost migrate
      inkpost migrate --check
    """
    settings = load_settings()
    try:
        if not check:
            migrate_database(settings)
        if not is_current(settings):
            raise CommandFailed(
                f"The database {shown(settings)} is not at this version's schema: run `inkpost migrate`."
            )
    except OperationalError as error:
        raise CommandFailed(f"The database {shown(settings)} does not answer. Is it running?") from error
    click.echo(f"The database {shown(settings)} is at this version's schema.")
