"""A session on the service's database, for the commands that manage it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from cli.failure import CommandFailed
from core.database import create_database_engine, create_session_factory, translated_errors
from core.errors import TransientError
from core.settings import Settings

_MISSING = {"42P01", "42703"}  # undefined table, undefined column


@contextmanager
def transaction(settings: Settings) -> Iterator[Session]:
    """Give a session whose transaction is committed at the end; a database that is not there ends the command."""
    engine = create_database_engine(settings, "inkpost-cli")
    try:
        with translated_errors(), create_session_factory(engine).begin() as session:
            yield session
    except TransientError as error:
        raise CommandFailed(f"The database {shown(settings)} does not answer. Is it running?") from error
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) not in _MISSING:
            raise
        raise CommandFailed(f"The database {shown(settings)} is not up to date: run `inkpost migrate`.") from error
    finally:
        engine.dispose()


def shown(settings: Settings) -> str:
    """Return the database's address without its password."""
    url = settings.database_url.get_secret_value()
    return url.rpartition("@")[2] or url
