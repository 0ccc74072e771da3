"""A database of one's own, whose transitions are watched, and somebody to submit jobs."""

import uuid
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from core.database import create_database_engine, create_session_factory
from core.settings import Leases, Settings
from core.tables import Base
from tests.integration.core.scenario import Scenario
from tests.invariants import check_finished_stays_finished, watch_transitions
from tests.servers import TemplatedPostgres


@pytest.fixture(scope="package")
def core_database_url(postgres: TemplatedPostgres) -> Iterator[str]:
    """Give a database that the tests of this folder share and empty: it costs less than one for each of them."""
    with postgres.fresh_database() as url:
        yield url


@pytest.fixture(scope="package")
def database_settings(core_database_url: str) -> Settings:
    """Give settings that need no Redis."""
    return Settings(
        database_url=SecretStr(core_database_url), database_pool_size=24, leases=Leases(seconds=3.0, sweep_seconds=0.5)
    )


@pytest.fixture(scope="package")
def engine(database_settings: Settings) -> Iterator[Engine]:
    engine = create_database_engine(database_settings, "inkpost-test")
    watch_transitions(create_session_factory(engine))
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: Engine) -> Iterator[sessionmaker[Session]]:
    """Give sessions on an empty, watched database; no test may leave a finished line or job changed."""
    with engine.begin() as connection:
        names = ", ".join([*(table.name for table in Base.metadata.sorted_tables), "status_transitions"])
        connection.execute(text(f"TRUNCATE {names}"))
    sessions = create_session_factory(engine)
    yield sessions
    check_finished_stays_finished(sessions)


@pytest.fixture
def scenario(sessions: sessionmaker[Session]) -> Scenario:
    return Scenario(sessions)


@pytest.fixture
def client_id(scenario: Scenario) -> uuid.UUID:
    return scenario.client("somebody")
