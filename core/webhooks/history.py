"""What was sent, and sending it again: list, find, redeliver, replay, test."""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, insert, select
from sqlalchemy.orm import Session

from core.bells import WEBHOOKS_QUEUE, ring_after_commit
from core.errors import EndpointDisabled, NotFound
from core.ids import new_uuid, public_id
from core.tables import Delivery, Event, Job, WebhookEndpoint
from core.webhooks.bodies import test_body
from core.webhooks.endpoints import ENDPOINT_PREFIX, find_endpoint
from core.words import DeliveryStatus, EventType, Include

DELIVERY_PREFIX = "dlv"
EVENT_PREFIX = "evt"
MOST_REPLAYED = 10_000
_UNDER_WAY = (DeliveryStatus.QUEUED, DeliveryStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery with its event's type and job."""

    delivery: Delivery
    event_type: str
    job_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many deliveries a replay planned; `resume_at` is where the next replay starts when there are more."""

    planned: int
    resume_at: dt.datetime | None = None


def find_delivery(session: Session, client_id: uuid.UUID, delivery_id: uuid.UUID) -> DeliveryRecord:
    """Return a delivery of the client.

    Raises:
        NotFound: there is none, or it is another client's: the two must look the same.
    """
    found = _records(session, 1, Delivery.client_id == client_id, Delivery.id == delivery_id)
    if not found:
        raise NotFound
    return found[0]


def list_deliveries(
    session: Session,
    client_id: uuid.UUID,
    *,
    limit: int,
    before: uuid.UUID | None = None,
    endpoint_id: uuid.UUID | None = None,
    event_id: uuid.UUID | None = None,
    job_id: uuid.UUID | None = None,
    status: DeliveryStatus | None = None,
) -> Sequence[DeliveryRecord]:
    """Return the client's deliveries, newest first, starting after the one with id `before`."""
    conditions = [Delivery.client_id == client_id]
    if before is not None:
        conditions.append(Delivery.id < before)
    if endpoint_id is not None:
        conditions.append(Delivery.endpoint_id == endpoint_id)
    if event_id is not None:
        conditions.append(Delivery.event_id == event_id)
    if job_id is not None:
        conditions.append(Event.job_id == job_id)
    if status is not None:
        conditions.append(Delivery.status == status)
    return _records(session, limit, *conditions)


def _records(session: Session, limit: int, *conditions: ColumnElement[bool]) -> list[DeliveryRecord]:
    query = select(Delivery, Event.type, Event.job_id).join(Event, Event.id == Delivery.event_id).where(*conditions)
    rows = session.execute(query.order_by(Delivery.id.desc()).limit(limit))
    return [DeliveryRecord(delivery, event_type, job_id) for delivery, event_type, job_id in rows]


def redeliver(session: Session, client_id: uuid.UUID, delivery_id: uuid.UUID) -> uuid.UUID:
    """Plan to send the delivery's event to its endpoint once more, at once and with a whole schedule before it.

    Raises:
        NotFound: there is no such delivery of this client.
        EndpointDisabled: its endpoint must be enabled first.
    """
    delivery = find_delivery(session, client_id, delivery_id).delivery
    endpoint = find_endpoint(session, client_id, delivery.endpoint_id, keep=True)
    _check_enabled(endpoint)
    return _plan(session, endpoint, [delivery.event_id], Include(delivery.include))[0]


def replay(
    session: Session,
    endpoint: WebhookEndpoint,
    *,
    since: dt.datetime,
    until: dt.datetime | None = None,
    is_missed_only: bool = True,
) -> Replayed:
    """Plan to send again what happened from `since` up to `until` or else now, in the order in which it happened.

    Events that are on their way to this endpoint anyway are left out; so are, by default, those that arrived.

    Raises:
        EndpointDisabled: it must be enabled first.
    """
    _check_enabled(endpoint)
    until = until or session.scalars(select(func.clock_timestamp())).one()
    known = [*_UNDER_WAY, *([DeliveryStatus.SUCCEEDED] if is_missed_only else [])]
    arrived = select(Delivery.id).where(
        Delivery.event_id == Event.id, Delivery.endpoint_id == endpoint.id, Delivery.status.in_(known)
    )
    query = select(Event.id, Event.created_at).where(
        Event.client_id == endpoint.client_id, Event.created_at >= since, Event.created_at < until, ~arrived.exists()
    )
    include = Include(endpoint.include)
    if endpoint.is_registered:
        query = query.where(Event.type.in_(endpoint.events))
    else:
        query = query.join(Job, Job.id == Event.job_id)
        query = query.where(Job.webhook_endpoint_id == endpoint.id, Event.type == func.any(Job.webhook_events))
    events = session.execute(query.order_by(Event.created_at, Event.id).limit(MOST_REPLAYED + 1)).all()
    _plan(session, endpoint, [row.id for row in events[:MOST_REPLAYED]], include)
    if len(events) > MOST_REPLAYED:
        return Replayed(MOST_REPLAYED, events[MOST_REPLAYED].created_at)
    return Replayed(len(events))


def send_test(session: Session, endpoint: WebhookEndpoint) -> uuid.UUID:
    """Plan to send an event that tells of nothing.

    Raises:
        EndpointDisabled: it must be enabled first.
    """
    _check_enabled(endpoint)
    event_id = new_uuid()
    body = test_body(session.scalars(select(func.now())).one(), public_id(ENDPOINT_PREFIX, endpoint.id))
    session.add(Event(id=event_id, client_id=endpoint.client_id, type=EventType.WEBHOOK_TEST, body=body))
    session.flush()
    return _plan(session, endpoint, [event_id], Include.SUMMARY)[0]


def _check_enabled(endpoint: WebhookEndpoint) -> None:
    if endpoint.disabled_at is not None:
        raise EndpointDisabled


def _plan(
    session: Session, endpoint: WebhookEndpoint, event_ids: Sequence[uuid.UUID], include: Include
) -> list[uuid.UUID]:
    rows = [
        {
            "id": new_uuid(),
            "client_id": endpoint.client_id,
            "endpoint_id": endpoint.id,
            "event_id": event_id,
            "include": include,
        }
        for event_id in event_ids
    ]
    if rows:
        session.execute(insert(Delivery), rows)
        ring_after_commit(session, WEBHOOKS_QUEUE)
    return [row["id"] for row in rows if isinstance(row["id"], uuid.UUID)]
