"""A post office: jobs that end, endpoints that are told of it, and a clock that the test moves."""

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session, sessionmaker

from core.bells import Bells
from core.database import create_database_engine, create_session_factory
from core.jobs import JobWebhook
from core.settings import Settings, Webhooks
from core.tables import Delivery, Event, WebhookEndpoint
from core.webhooks.deliveries import claim_deliveries
from core.webhooks.endpoints import named_by_job, register, rotate_client_secret
from core.webhooks.receipts import Receipt, record_receipts
from core.webhooks.resolving import Resolver, create_resolver
from core.words import ENDED_EVENTS, DeliveryStatus, EventType, Include
from tests.integration.core.scenario import Scenario
from tests.invariants import check_finished_stays_finished, watch_transitions
from worker.webhooks.sender import Sender

_CLOCKS = {
    "deliveries": ("due_at", "lease_expires_at", "started_at", "finished_at"),
    "webhook_endpoints": ("failing_since", "disabled_at", "previous_secret_expires_at", "created_at"),
    "clients": ("webhook_previous_secret_expires_at",),
    "events": ("created_at",),
}


@dataclass
class PostOffice:
    """What a client, a recogniser and a webhooks worker do, step by step."""

    settings: Settings
    sessions: sessionmaker[Session]
    scenario: Scenario
    client_id: uuid.UUID
    resolve: Resolver

    @property
    def policy(self) -> Webhooks:
        return self.settings.webhooks

    def register(
        self,
        url: str,
        *,
        events: Sequence[EventType] = ENDED_EVENTS,
        include: Include = Include.SUMMARY,
        secret: bytes | None = None,
        client_id: uuid.UUID | None = None,
    ) -> WebhookEndpoint:
        with self.sessions.begin() as session:
            return register(
                session,
                client_id or self.client_id,
                url=url,
                events=events,
                include=include,
                description="",
                secret=secret,
                policy=self.policy,
            )

    def webhook(self, url: str, **options: Any) -> JobWebhook:
        """Name a URL for a job, as POST /v1/jobs does; the client's secret is made with the first."""
        with self.sessions.begin() as session:
            if self.client_secret() is None:
                rotate_client_secret(session, self.client_id, None, self.policy)
        with self.sessions.begin() as session:
            return JobWebhook(named_by_job(session, self.client_id, url), url, **options)

    def client_secret(self) -> bytes | None:
        query = "SELECT webhook_secret FROM clients WHERE id = :id"
        secret: bytes | None = self.scenario.scalar(query, id=self.client_id)
        return secret

    def job(self, lines: int | Sequence[bytes] = 1, **options: Any) -> uuid.UUID:
        """Submit a job and read all that is queued."""
        job_id = self.scenario.submit(self.client_id, lines, **options)
        self.scenario.drain()
        return job_id

    def send_due(self, limit: int = 100) -> list[DeliveryStatus]:
        """Claim what is due, send it and record it, and return what became of each."""
        with self.sessions.begin() as session:
            claimed = claim_deliveries(session, self.policy, limit=limit)
        sender = Sender(self.policy, self.resolve)
        receipts = [sender.send(delivery) for delivery in claimed]
        return self.record(receipts)

    def record(self, receipts: Sequence[Receipt]) -> list[DeliveryStatus]:
        with self.sessions.begin() as session:
            recorded = record_receipts(session, receipts, self.policy)
        return [
            recorded.statuses[receipt.delivery.id] for receipt in receipts if receipt.delivery.id in recorded.statuses
        ]

    def travel(self, seconds: float) -> None:
        """Let time pass: every moment that counts moves into the past."""
        with self.sessions.begin() as session:
            for table, columns in _CLOCKS.items():
                moved = ", ".join(f"{column} = {column} - make_interval(secs => :seconds)" for column in columns)
                session.execute(text(f"UPDATE {table} SET {moved}"), {"seconds": seconds})

    def seconds_to_next(self) -> float:
        """Return how long until the next queued delivery is due."""
        query = "SELECT extract(epoch FROM min(due_at) - now()) FROM deliveries WHERE status = 'queued'"
        return float(self.scenario.scalar(query))

    def deliveries(self, **conditions: Any) -> list[Delivery]:
        with self.sessions() as session:
            return list(session.scalars(select(Delivery).filter_by(**conditions).order_by(Delivery.id)))

    def events(self) -> list[Event]:
        with self.sessions() as session:
            return list(session.scalars(select(Event).order_by(Event.created_at, Event.id)))

    def endpoint(self, endpoint_id: uuid.UUID) -> WebhookEndpoint:
        with self.sessions() as session:
            return session.get_one(WebhookEndpoint, endpoint_id)

    def with_policy(self, **changes: Any) -> "PostOffice":
        policy = self.policy.model_copy(update=changes)
        settings = self.settings.model_copy(update={"webhooks": policy})
        return replace(self, settings=settings, resolve=create_resolver(policy))


@pytest.fixture
def local_settings(settings: Settings) -> Settings:
    """Give settings that allow a receiver on this machine."""
    policy = Webhooks(allow_http=True, allowed_ports=(), allowed_networks=["127.0.0.0/8"])  # type: ignore[arg-type]
    # A bell that a busy machine cannot ring in time is made good by a sweep, and nothing sweeps here.
    return settings.model_copy(update={"webhooks": policy, "bell_timeout_seconds": 10.0})


@contextmanager
def open_office(settings: Settings) -> Iterator[PostOffice]:
    engine = create_database_engine(settings, "test-office")
    sessions = create_session_factory(engine)
    watch_transitions(sessions)
    bells = Bells(settings)
    bells.attach(sessions)
    scenario = Scenario(sessions)
    client_id = scenario.client("somebody")
    yield PostOffice(settings, sessions, scenario, client_id, create_resolver(settings.webhooks))
    check_finished_stays_finished(sessions)
    bells.close()
    engine.dispose()


@pytest.fixture
def office(local_settings: Settings) -> Iterator[PostOffice]:
    with open_office(local_settings) as office:
        yield office


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
