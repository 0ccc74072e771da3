"""The migrations make exactly the tables that the code speaks of, and can be walked in both directions."""

import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy import create_engine, make_url

from cli.migrations import is_current, migrate_database, migrations_folder
from core.settings import Settings
from core.tables import Base

_PROGRAM = """
import core
from cli.migrations import migrate_database
from core.settings import load_settings

print(core.__file__)
migrate_database(load_settings())
"""
_CATALOG = {
    "columns": """
        SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "options": """
        SELECT relname, reloptions::text FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'""",
}


def _catalog(url: str) -> dict[str, set[tuple[object, ...]]]:
    """Return what PostgreSQL itself says of the tables; the column order does not count."""
    with psycopg.connect(url) as connection:
        found = {kind: set(connection.execute(query)) for kind, query in _CATALOG.items()}
    return {kind: {row for row in rows if "alembic_version" not in row} for kind, rows in found.items()}


@pytest.fixture
def empty_url(postgres_server) -> str:
    """Give the URL of a database without tables."""
    with psycopg.connect(postgres_server.url_of("postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS empty WITH (FORCE)")
        connection.execute("CREATE DATABASE empty")
    return postgres_server.url_of("empty")


def _settings(url: str) -> Settings:
    return Settings(database_url=SecretStr(url))


def _configuration(url: str) -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(migrations_folder()))
    configuration.attributes["database_url"] = url
    return configuration


def test_the_migrations_make_what_the_models_say(database_url: str, empty_url: str) -> None:
    engine = create_engine(make_url(empty_url).set(drivername="postgresql+psycopg"))
    Base.metadata.create_all(engine)
    engine.dispose()

    migrated, modelled = _catalog(database_url), _catalog(empty_url)

    assert all(migrated.values()), "the catalog was not read"
    for kind, rows in modelled.items():
        assert migrated[kind] == rows, kind


def test_alembic_itself_finds_nothing_to_add(database_url: str) -> None:
    engine = create_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_a_database_can_go_down_to_nothing_and_up_again(empty_url: str) -> None:
    migrate_database(_settings(empty_url))
    first = _catalog(empty_url)

    command.downgrade(_configuration(empty_url), "base")
    emptied = _catalog(empty_url)
    command.upgrade(_configuration(empty_url), "head")

    assert not any(emptied.values())
    assert _catalog(empty_url) == first


def test_a_database_is_current_only_after_its_migration(empty_url: str) -> None:
    before = is_current(_settings(empty_url))
    migrate_database(_settings(empty_url))
    migrate_database(_settings(empty_url))

    assert not before
    assert is_current(_settings(empty_url))


def test_two_migrators_at_once_take_turns(empty_url: str) -> None:
    environment = {"INKPOST_DATABASE_URL": empty_url, "PYTHONPATH": str(Path(__file__).parents[3])}

    both = [
        subprocess.Popen([sys.executable, "-c", _PROGRAM], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    errors = [process.communicate(timeout=60)[1] for process in both]

    assert [process.returncode for process in both] == [0, 0], errors
    assert is_current(_settings(empty_url))


def test_the_migrations_run_from_an_installed_package(empty_url: str, tmp_path: Path) -> None:
    checkout = Path(__file__).parents[3]
    installed = tmp_path / "site-packages"
    for package in ("core", "cli"):
        shutil.copytree(checkout / package, installed / package)
    shutil.copytree(checkout / "alembic", installed / "core" / "_migrations")

    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env={"INKPOST_DATABASE_URL": empty_url, "PYTHONPATH": str(installed)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert str(installed) in done.stdout
    assert is_current(_settings(empty_url))
