"""`inkpost clients` and `inkpost migrate` against a real database."""

import json

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from cli.main import main
from cli.migrations import is_current
from core.clients import authenticate
from core.database import create_database_engine, create_session_factory
from core.errors import KeyRevoked
from core.settings import Settings
from core.words import Scope
from tests.servers import TemplatedPostgres


@pytest.fixture
def runner(settings: Settings) -> CliRunner:
    """A runner whose commands see the test's database."""
    return CliRunner(env={"DATABASE_URL": settings.database_url.get_secret_value()})


def test_a_key_that_was_made_works_until_it_is_revoked(runner: CliRunner, settings: Settings) -> None:
    made = runner.invoke(main, ["clients", "create", "billing", "--label", "first", "--json"])
    assert made.exit_code == 0
    key = json.loads(made.stdout)["api_key"]
    sessions = create_session_factory(create_database_engine(settings, "test"))
    with sessions() as session:
        assert authenticate(session, key).scopes == frozenset(Scope)

    (row,) = json.loads(runner.invoke(main, ["clients", "list", "--json"]).stdout)
    assert (row["client"], row["label"], row["revoked_at"]) == ("billing", "first", None)
    assert key not in json.dumps(row)
    assert row["key_id"] in runner.invoke(main, ["clients", "list"]).stdout  # whole, on 80 columns too

    assert runner.invoke(main, ["clients", "revoke", row["key_id"]]).exit_code == 0
    with sessions() as session, pytest.raises(KeyRevoked):
        authenticate(session, key)


def test_two_keys_of_one_name_belong_to_one_client(runner: CliRunner, settings: Settings) -> None:
    keys = [runner.invoke(main, ["clients", "create", "billing"]).stdout.strip() for _ in range(2)]
    with create_session_factory(create_database_engine(settings, "test"))() as session:
        assert len({authenticate(session, key).client_id for key in keys}) == 1


def test_a_key_may_be_limited(runner: CliRunner, settings: Settings) -> None:
    key = runner.invoke(main, ["clients", "create", "auditor", "--scope", "jobs:read"]).stdout.strip()
    with create_session_factory(create_database_engine(settings, "test"))() as session:
        assert authenticate(session, key).scopes == {Scope.READ}


def test_revoking_an_unknown_key_is_one_clear_line(runner: CliRunner) -> None:
    shown = runner.invoke(main, ["clients", "revoke", "0000000000000000"])
    assert shown.exit_code == 1
    assert "No key has the id 0000000000000000." in shown.output


def test_an_empty_database_is_told_from_a_migrated_one(postgres: TemplatedPostgres) -> None:
    with postgres.fresh_database() as url:
        settings = Settings(database_url=SecretStr(url))
        engine = create_database_engine(settings, "test")
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        engine.dispose()
        runner = CliRunner(env={"DATABASE_URL": url})
        assert runner.invoke(main, ["migrate", "--check"]).exit_code == 1
        assert "run `inkpost migrate`" in runner.invoke(main, ["clients", "list"]).output
        assert runner.invoke(main, ["migrate"]).exit_code == 0
        assert runner.invoke(main, ["migrate"]).exit_code == 0
        assert runner.invoke(main, ["migrate", "--check"]).exit_code == 0
        assert is_current(settings)
