"""Bring a database to the schema of this version of Inkpost."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import core
from core.database import create_database_engine
from core.settings import Settings


def migrations_folder() -> Path:
    """Return the folder of the migrations: beside `core` in a checkout, inside it when installed as a wheel."""
    package = Path(core.__file__).parent
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "alembic"


def migrate_database(settings: Settings) -> None:
    """Run every migration that the database has not seen; running it again does nothing."""
    command.upgrade(_configuration(settings), "head")


def is_current(settings: Settings) -> bool:
    """Tell whether the database has seen every migration of this version."""
    expected = ScriptDirectory.from_config(_configuration(settings)).get_current_head()
    engine = create_database_engine(settings, "inkpost-migrate")
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision() == expected
    finally:
        engine.dispose()


def _configuration(settings: Settings) -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(migrations_folder()))
    configuration.attributes["database_url"] = settings.database_url.get_secret_value()
    return configuration
