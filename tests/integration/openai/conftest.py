"""A running API and a running fake recogniser, called by OpenAI's own clients."""

import base64
import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openai
import psycopg
import pytest
from pydantic import SecretStr

from cli.local.redis import LocalRedis
from core.clients import create_client, create_key
from core.database import create_database_engine, create_session_factory
from core.settings import Leases, Settings, Worker
from core.words import Scope
from tests.integration.worker.conftest import Picture, picture
from tests.processes import ApiProcess, WebhooksProcess, WorkerProcess
from tests.servers import TemplatedPostgres


def data_uri(image: bytes) -> str:
    """An image as OpenAI's clients send it."""
    return "data:image/png;base64," + base64.b64encode(image).decode()


def asking(*pictures: Picture, prompt: str = "What does it say?") -> list[dict[str, object]]:
    """The messages that ask for pictures."""
    parts = [{"type": "image_url", "image_url": {"url": data_uri(one.png)}} for one in pictures]
    return [{"role": "user", "content": [{"type": "text", "text": prompt}, *parts]}]


def make_key(settings: Settings, name: str, *scopes: Scope) -> str:
    """Make a client with a key."""
    engine = create_database_engine(settings, "tests")
    with create_session_factory(engine).begin() as session:
        key = create_key(session, create_client(session, name).id, scopes=scopes or tuple(Scope))
    engine.dispose()
    return key


@dataclass(frozen=True, slots=True)
class Place:
    """Where the service is, and how to look behind it."""

    url: str
    settings: Settings
    key: str

    def client(self, key: str | None = None, **options: object) -> openai.OpenAI:
        """OpenAI's own client; it repeats nothing by itself unless told to."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key or self.key, **{"max_retries": 0, **options})

    def scalar(self, query: str, *parameters: object) -> object:
        """The one value that a query gives."""
        with psycopg.connect(self.settings.database_url.get_secret_value()) as connection:
            row = connection.execute(query, parameters).fetchone()
        return None if row is None else row[0]


@contextlib.contextmanager
def serving(settings: Settings, folder: Path) -> Iterator[Place]:
    """Run an API over the settings."""
    with ApiProcess(settings, folder, threads=16) as api:
        yield Place(api.url, settings, make_key(settings, f"client-{uuid.uuid4().hex[:6]}"))


@pytest.fixture(scope="package")
def place(
    postgres: TemplatedPostgres, redis_server: LocalRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """Give a service with every worker it needs, to all tests that do not mind what others have left."""
    with postgres.fresh_database() as url:
        settings = Settings(
            database_url=SecretStr(url),
            redis_url=SecretStr(redis_server.url),
            default_model="fake",
            leases=Leases(seconds=3.0, sweep_seconds=0.5),
            worker=Worker(model="fake"),
        )
        folder = tmp_path_factory.mktemp("openai")
        with WorkerProcess(settings, folder), WebhooksProcess(settings, folder), serving(settings, folder) as service:
            yield service


@pytest.fixture
def client(place: Place) -> Iterator[openai.OpenAI]:
    with place.client() as client:
        yield client


__all__ = ["Picture", "picture"]
