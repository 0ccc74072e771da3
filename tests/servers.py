"""Fixtures of a real PostgreSQL and a real Redis on free ports.

They come from the wheels of the `embedded` extra; nothing needs to be running beforehand. Without them a test that
needs a server skips at a desk and fails where CI=true.
"""

import contextlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest
import redis
from psycopg import sql
from pydantic import SecretStr

from cli.local.postgres import LocalPostgres
from cli.local.process import LocalServerError
from cli.local.redis import LocalRedis
from cli.migrations import migrate_database
from core.settings import Leases, Settings, Worker

TEMPLATE = "inkpost_template"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class TemplatedPostgres:
    """The session's server, with an empty and migrated database to clone."""

    server: LocalPostgres

    @contextlib.contextmanager
    def fresh_database(self) -> Iterator[str]:
        """Give the URL of a database of one's own, gone afterwards."""
        name = f"test_{next(_numbers)}"
        self._administer(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(TEMPLATE))
        )
        try:
            yield self.server.url_of(name)
        finally:
            self._administer(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _administer(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.server.url_of("postgres"), autocommit=True) as connection:
            connection.execute(statement)


def unavailable(reason: str) -> NoReturn:
    """Skip the test at a desk; fail it in CI, where nothing may be missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgres]:
    """Give a PostgreSQL of this test run. Its settings trade durability for speed."""
    server = LocalPostgres(tmp_path_factory.mktemp("servers") / "postgres", durable=False)
    try:
        server.start()
    except LocalServerError as error:
        unavailable(str(error))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres(postgres_server: LocalPostgres) -> TemplatedPostgres:
    """Give the server with its migrated template."""
    with psycopg.connect(postgres_server.url_of("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    migrate_database(Settings(database_url=SecretStr(postgres_server.url_of(TEMPLATE))))
    return TemplatedPostgres(postgres_server)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRedis]:
    """Give a Redis of this test run."""
    server = LocalRedis(tmp_path_factory.mktemp("servers") / "redis")
    try:
        server.start()
    except LocalServerError as error:
        unavailable(str(error))
    yield server
    server.stop()


@pytest.fixture
def database_url(postgres: TemplatedPostgres) -> Iterator[str]:
    """Give the URL of a fresh, migrated database."""
    with postgres.fresh_database() as url:
        yield url


@pytest.fixture
def redis_url(redis_server: LocalRedis) -> str:
    """Give the URL of an empty Redis."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    """Give settings for one test: real servers, the fake recogniser, leases and sweeps short enough to wait for."""
    return Settings(
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
        default_model="fake",
        leases=Leases(seconds=3.0, sweep_seconds=0.5),
        worker=Worker(model="fake"),
    )


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[LocalPostgres]:
    """Give a PostgreSQL of one test, durable, to be killed and restarted at will."""
    server = LocalPostgres(tmp_path / "postgres")
    try:
        server.start()
    except LocalServerError as error:
        unavailable(str(error))
    migrate_database(Settings(database_url=SecretStr(server.url)))
    yield server
    server.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[LocalRedis]:
    """Give a Redis of one test, to be killed, wiped and restarted at will."""
    server = LocalRedis(tmp_path / "redis")
    try:
        server.start()
    except LocalServerError as error:
        unavailable(str(error))
    yield server
    server.stop()
