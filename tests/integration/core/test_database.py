"""The database's failures, told apart: what passes by itself, and what is a bug."""

import secrets
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from psycopg import errors
from pydantic import SecretStr
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.database import create_database_engine, create_session_factory, is_passing, translated_errors
from core.errors import DatabaseUnavailable, Overloaded
from core.settings import Settings
from tests.integration.core.scenario import Scenario
from tests.proxy import TcpProxy
from tests.waiting import eventually


@contextmanager
def _engine(settings: Settings, **changes: object) -> Iterator[Engine]:
    engine = create_database_engine(settings.model_copy(update=changes), "inkpost-test")
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _translated_to(error: type[Exception]) -> Iterator[None]:
    with pytest.raises(error), translated_errors():
        yield


def test_a_session_works_in_utc_and_waits_for_no_lock_for_ever(engine: Engine) -> None:
    with engine.connect() as connection:
        zone, lock, name = (
            connection.execute(text(f"SHOW {setting}")).scalar_one()
            for setting in ("TimeZone", "lock_timeout", "application_name")
        )
    assert (zone, lock, name) == ("UTC", "2500ms", "inkpost-test")


def test_a_terminated_backend_is_unavailability_once_and_then_forgotten(database_settings: Settings) -> None:
    """A28."""
    with _engine(database_settings, database_pool_size=1) as engine, _engine(database_settings) as other:
        sessions = create_session_factory(engine)
        with _translated_to(DatabaseUnavailable), sessions.begin() as session:
            process_id = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
            with other.connect() as killer:
                killer.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": process_id})
            session.execute(text("SELECT 1"))

        with translated_errors(), sessions.begin() as session:
            assert session.execute(text("SELECT 1")).scalar_one() == 1


def test_an_error_quotes_no_row(engine: Engine) -> None:
    planted = secrets.token_hex()
    with engine.connect() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE notes (words text CHECK (words = ''))"))
        with pytest.raises(DBAPIError) as refused:
            connection.execute(text("INSERT INTO notes VALUES (:words)"), {"words": planted})

    assert "violates check constraint" in str(refused.value)
    assert planted not in "".join(traceback.format_exception(refused.value))


def test_a_backend_terminated_while_idle_costs_no_error(database_settings: Settings) -> None:
    with _engine(database_settings, database_pool_size=1) as engine, _engine(database_settings) as other:
        with engine.connect() as connection:
            process_id = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with other.connect() as killer:
            killer.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": process_id})

        with translated_errors(), engine.connect() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_a_backend_cut_off_for_idling_in_a_transaction_is_unavailability(database_settings: Settings) -> None:
    with (
        _engine(database_settings) as engine,
        _engine(database_settings) as other,
        other.connect().execution_options(isolation_level="AUTOCOMMIT") as witness,
        _translated_to(DatabaseUnavailable),
        engine.begin() as connection,
    ):
        process_id = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        connection.execute(text("SET idle_in_transaction_session_timeout = 1"))
        is_there = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
        eventually(lambda: witness.execute(is_there, {"pid": process_id}).scalar_one() == 0)
        connection.execute(text("SELECT 1"))


def test_a_lock_that_is_not_to_be_had_is_unavailability(database_settings: Settings, scenario: Scenario) -> None:
    """A32."""
    with _engine(database_settings, database_timeout_seconds=0.1) as engine, scenario.sessions() as holder:
        holder.execute(text("LOCK TABLE lines"))

        with _translated_to(DatabaseUnavailable), engine.begin() as connection:
            connection.execute(text("UPDATE lines SET page = 1"))


def test_an_empty_pool_is_overload(database_settings: Settings) -> None:
    """A31."""
    with (
        _engine(database_settings, database_pool_size=1, database_timeout_seconds=0.1) as engine,
        engine.connect(),
        _translated_to(Overloaded),
    ):
        engine.connect()


def test_a_server_that_is_down_is_unavailability(database_settings: Settings) -> None:
    """A27."""
    nowhere = SecretStr("postgresql://inkpost@127.0.0.1:9/inkpost")
    with _engine(database_settings, database_url=nowhere) as engine, _translated_to(DatabaseUnavailable):
        engine.connect()


def test_a_connection_that_is_reset_is_unavailability(database_settings: Settings) -> None:
    url = database_settings.database_url.get_secret_value()
    with TcpProxy.before(url) as proxy, _engine(database_settings, database_url=SecretStr(proxy.url(url))) as engine:
        with _translated_to(DatabaseUnavailable), engine.connect() as connection:
            proxy.reset_connections()
            connection.execute(text("SELECT 1"))

        with translated_errors(), engine.connect() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_a_commit_whose_answer_is_lost_is_unavailability_and_may_have_happened(
    database_settings: Settings, scenario: Scenario
) -> None:
    """A29: which is why a client sends an Idempotency-Key."""
    url = database_settings.database_url.get_secret_value()
    with TcpProxy.before(url) as proxy, _engine(database_settings, database_url=SecretStr(proxy.url(url))) as engine:
        proxied = Scenario(create_session_factory(engine))
        proxied.scalar("SELECT 1")
        proxy.cut_on(b"COMMIT", "to_server")
        with _translated_to(DatabaseUnavailable):
            proxied.client("somebody")

    assert scenario.scalar("SELECT count(*) FROM clients") in (0, 1)


@pytest.mark.parametrize(
    "sqlstate",
    [
        "08006",
        "53100",
        "53200",
        "53300",
        "57P01",
        "57P02",
        "57P03",
        "57014",
        "58030",
        "55P03",
        "40001",
        "40P01",
        "25006",
    ],
)
def test_what_passes_by_itself_is_unavailability(engine: Engine, sqlstate: str) -> None:
    """A30 (53100, disk full) and its like, raised by the server itself."""
    with _translated_to(DatabaseUnavailable), engine.begin() as connection:
        connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'simulated' USING ERRCODE = '{sqlstate}'; END $$"))


def test_a_full_disk_is_unavailability_and_the_next_write_works(engine: Engine, scenario: Scenario) -> None:
    """A30."""
    with _translated_to(DatabaseUnavailable), engine.begin() as connection:
        connection.execute(text("INSERT INTO clients (id, name) VALUES (gen_random_uuid(), 'half')"))
        connection.execute(text("DO $$ BEGIN RAISE disk_full; END $$"))

    assert scenario.client("whole")
    assert scenario.scalar("SELECT string_agg(name, ',') FROM clients") == "whole"


@pytest.mark.parametrize(
    "statement",
    [
        lambda connection: connection.execute(text("SELECT nonsense")),
        lambda connection: connection.execute(text("SELECT 1 / 0")),
        lambda connection: connection.execute(text("INSERT INTO clients (id) VALUES (gen_random_uuid())")),
        lambda connection: connection.execute(text("SELECT CAST(:word AS text)"), {"word": "NUL \0 inside"}),
        lambda connection: connection.execute(text("SELECT CAST(:word AS int)"), {"word": object()}),
    ],
)
def test_a_bug_is_not_taken_for_unavailability(engine: Engine, statement: Callable[..., object]) -> None:
    with _translated_to(DBAPIError), engine.begin() as connection:
        statement(connection)


def test_the_message_of_an_error_holds_nothing_that_was_sent(engine: Engine) -> None:
    """I7: it may end in a log."""
    with pytest.raises(DBAPIError) as caught, engine.begin() as connection:
        connection.execute(text("SELECT CAST(:word AS text) FROM nowhere"), {"word": "Okafor"})

    assert "Okafor" not in str(caught.value)


def test_an_error_of_the_driver_without_a_state_passes_only_when_the_connection_may_be_at_fault() -> None:
    def wrapped(error: Exception) -> DBAPIError:
        return DBAPIError.instance(None, None, error, errors.Error)  # type: ignore[return-value]

    assert is_passing(wrapped(errors.OperationalError("connection refused")))
    assert not is_passing(wrapped(errors.DataError("cannot contain NUL")))
    assert not is_passing(wrapped(errors.ProgrammingError("cannot adapt type")))


def test_other_errors_are_let_through() -> None:
    with _translated_to(ZeroDivisionError):
        _ = 1 / 0
