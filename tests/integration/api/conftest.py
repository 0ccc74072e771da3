"""The facade's application in this process, on a real database and broker, and two clients that call it."""

import base64
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.test import TestResponse

from api.app import create_app
from cli.local.redis import LocalRedis
from core.claims import Outcome, claim_lines, record_outcomes
from core.clients import create_client, create_key
from core.database import create_database_engine, create_session_factory
from core.documents.claims import claim_document, record_cut
from core.documents.cutting import CutDocument
from core.documents.endings import record_failure
from core.documents.renditions import claim_rendition, record_rendition, record_rendition_failure
from core.errors import CorruptImage, DocumentError
from core.ids import new_uuid
from core.settings import Settings
from core.tables import StoredImage
from core.transcription import Transcription
from core.words import Scope
from tests.servers import TemplatedPostgres
from tests.unit.api.pictures import png


def line(custom_id: str | None = None, image: bytes | None = None) -> dict[str, Any]:
    """One acceptable line of a JSON body."""
    encoded = base64.b64encode(image or png()).decode()
    return {"image": encoded} if custom_id is None else {"image": encoded, "custom_id": custom_id}


@dataclass(frozen=True, slots=True)
class Caller:
    """A client with a key, calling the application."""

    http: FlaskClient
    key: str

    def __call__(self, method: str, path: str, **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        return self.http.open(path, method=method, headers=headers, **options)

    def submit(self, *lines: dict[str, Any], headers: dict[str, str] | None = None, **options: Any) -> TestResponse:
        body = {"lines": list(lines) or [line()], **options}
        return self("POST", "/v1/jobs", json=body, headers=headers or {})

    def submitted(self, *lines: dict[str, Any], **options: Any) -> str:
        answer = self.submit(*lines, **options)
        assert answer.status_code == 202, answer.text
        return str(answer.json["id"])


@dataclass(frozen=True, slots=True)
class Bench:
    """What a test needs beside HTTP: the database behind it, and a worker's hand."""

    sessions: sessionmaker[Session]

    def key_of(self, name: str, *scopes: Scope) -> str:
        with self.sessions.begin() as session:
            return create_key(session, create_client(session, name).id, scopes=scopes or tuple(Scope))

    def read_lines(self, limit: int = 1_000, *, damaged: tuple[int, ...] = (), confidence: float = 0.9) -> int:
        """Do a worker's work on what is queued: line i of a job reads `text i`; `damaged` ones fail."""
        with self.sessions.begin() as session:
            lines = claim_lines(session, model="fake", revision="1", slot=new_uuid(), limit=limit, lease_seconds=30)
        outcomes = [
            Outcome(
                claimed,
                CorruptImage()
                if claimed.index in damaged
                else Transcription(f"text {claimed.index}", confidence, confidence),
            )
            for claimed in lines
        ]
        with self.sessions.begin() as session:
            record_outcomes(session, outcomes, keep_images=True)
        return len(lines)

    def cut_documents(self, cut: CutDocument, *, keep_images: bool = True) -> None:
        """Do a documents worker's work on what is queued: every document yields the same."""
        while True:
            with self.sessions.begin() as session:
                claimed = claim_document(session, slot=new_uuid(), lease_seconds=30)
            if claimed is None:
                return
            with self.sessions.begin() as session:
                record_cut(session, claimed.lease, cut, keep_images=keep_images)

    def forget_images(self) -> None:
        """Forget every picture, as a service does that keeps none."""
        with self.sessions.begin() as session:
            session.query(StoredImage).delete()

    def fail_documents(self, error: DocumentError) -> None:
        """Do a documents worker's work on documents that it cannot cut."""
        with self.sessions.begin() as session:
            claimed = claim_document(session, slot=new_uuid(), lease_seconds=30)
            assert claimed is not None
            record_failure(session, claimed.lease, error)

    def write_renditions(self, outcome: bytes | DocumentError) -> int:
        """Do a documents worker's work on the PDFs that somebody has asked for."""
        count = 0
        while True:
            with self.sessions.begin() as session:
                claimed = claim_rendition(session, slot=new_uuid(), lease_seconds=30)
            if claimed is None:
                return count
            count += 1
            with self.sessions.begin() as session:
                if isinstance(outcome, bytes):
                    record_rendition(session, claimed.lease, outcome)
                else:
                    record_rendition_failure(session, claimed.lease, outcome)


@dataclass(frozen=True, slots=True)
class Facade:
    """An application, what is behind it, and two clients before it."""

    app: Flask
    bench: Bench
    caller: Caller
    stranger: Caller


@contextlib.contextmanager
def open_facade(settings: Settings) -> Iterator[Facade]:
    engine = create_database_engine(settings, "tests")
    bench = Bench(create_session_factory(engine))
    app = create_app(settings)
    callers = [Caller(app.test_client(), bench.key_of(name)) for name in ("forms", "others")]
    yield Facade(app, bench, *callers)
    app.extensions["inkpost"].close()
    engine.dispose()


@pytest.fixture(scope="module")
def shared_facade(postgres: TemplatedPostgres, redis_server: LocalRedis) -> Iterator[Facade]:
    """Give one facade to the tests of a module that do not mind what others have left."""
    with postgres.fresh_database() as url:
        settings = Settings(
            database_url=SecretStr(url),
            redis_url=SecretStr(redis_server.url),
            default_model="fake",
            log_level="WARNING",
        )
        with open_facade(settings) as facade:
            yield facade


@pytest.fixture
def facade(settings: Settings) -> Iterator[Facade]:
    """Give a facade on an empty database. Modules whose tests may share one override this."""
    with open_facade(settings) as facade:
        yield facade


@pytest.fixture
def bench(facade: Facade) -> Bench:
    return facade.bench


@pytest.fixture
def app(facade: Facade) -> Flask:
    return facade.app


@pytest.fixture
def caller(facade: Facade) -> Caller:
    return facade.caller


@pytest.fixture
def stranger(facade: Facade) -> Caller:
    return facade.stranger
