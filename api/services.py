"""What the views of one process share: settings, database, doorbells, long-polls, metrics."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flask import current_app
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from api.backlog_gauge import BacklogGauge
from api.key_cache import KeyCache
from api.metrics import Metrics
from api.openai.image_urls import ImageUrls
from api.waiting_room import WaitingRoom
from api.webhook_urls import WebhookUrls
from core.backlog import Backlogs, measure_backlogs, measure_document_backlog
from core.bells import Bells
from core.database import create_database_engine, create_session_factory, translated_errors
from core.failpoints import Failpoints
from core.settings import Settings, served_name

EXTENSION = "inkpost"


@dataclass(frozen=True, slots=True)
class Services:
    """One process's services; safe to share between its threads."""

    settings: Settings
    default_model: str
    engine: Engine
    sessions: sessionmaker[Session]
    autocommitting: sessionmaker[Session]
    bells: Bells
    waiting_room: WaitingRoom
    key_cache: KeyCache
    webhook_urls: WebhookUrls
    image_urls: ImageUrls
    failpoints: Failpoints
    metrics: Metrics = field(default_factory=Metrics)
    backlog_gauge: BacklogGauge = field(default_factory=BacklogGauge)

    @classmethod
    def create(cls, settings: Settings) -> "Services":
        """Build them, after any fork. Nothing connects yet."""
        engine = create_database_engine(settings, "inkpost-api")
        sessions, bells = create_session_factory(engine), Bells(settings)
        bells.attach(sessions)
        return cls(
            settings=settings,
            default_model=served_name(settings.default_model),
            engine=engine,
            sessions=sessions,
            autocommitting=create_session_factory(engine.execution_options(isolation_level="AUTOCOMMIT")),
            bells=bells,
            waiting_room=WaitingRoom(settings),
            key_cache=KeyCache(settings.api.key_cache_seconds),
            webhook_urls=WebhookUrls(settings.webhooks),
            image_urls=ImageUrls(settings),
            failpoints=Failpoints(settings),
        )

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Give a session whose work is committed at the end, or rolled back when anything is raised.

        Raises:
            DatabaseUnavailable, Overloaded: as `core.database.translated_errors` says.
        """
        with translated_errors(), self.sessions.begin() as session:
            yield session

    @contextmanager
    def statements(self) -> Iterator[Session]:
        """Give a session in which each statement is a transaction of its own, which saves two round trips.

        Raises:
            DatabaseUnavailable, Overloaded: as `core.database.translated_errors` says.
        """
        with translated_errors(), self.autocommitting() as session:
            yield session

    def backlogs(self) -> Backlogs:
        """Return what waits for each model and for the documents worker, at most a second old."""

        def measure() -> Backlogs:
            with self.statements() as session:
                models = measure_backlogs(session, sweep_seconds=self.settings.leases.sweep_seconds)
                return Backlogs(models, measure_document_backlog(session))

        return self.backlog_gauge.read(measure)

    def close(self) -> None:
        """Close every connection."""
        self.waiting_room.close()
        self.bells.close()
        self.engine.dispose()


def services() -> Services:
    """Return the services of the running application."""
    found: Services = current_app.extensions[EXTENSION]
    return found
