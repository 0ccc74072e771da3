"""The rules of endpoints: register, find, list, rotate, enable, disable. The caller owns the transaction."""

import datetime as dt
import uuid
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.errors import Fault, InvalidRequest, NotFound
from core.ids import new_uuid
from core.settings import Webhooks
from core.tables import Client, Delivery, WebhookEndpoint
from core.webhooks.deliveries import cancel_queued
from core.webhooks.signing import new_secret
from core.words import DeliveryStatus, EventType, Include

ENDPOINT_PREFIX = "whe"


def register(
    session: Session,
    client_id: uuid.UUID,
    *,
    url: str,
    events: Sequence[EventType],
    include: Include,
    description: str,
    secret: bytes | None,
    policy: Webhooks,
) -> WebhookEndpoint:
    """Store an endpoint for a URL that was checked, with its own secret, new unless one is given.

    Raises:
        InvalidRequest: the client has as many endpoints as it may.
    """
    owned = select(func.count()).where(WebhookEndpoint.client_id == client_id, WebhookEndpoint.is_registered)
    if session.scalars(owned).one() >= policy.max_endpoints:
        raise InvalidRequest([Fault("", f"A client has at most {policy.max_endpoints} endpoints.", "too_many")])
    endpoint = WebhookEndpoint(
        id=new_uuid(),
        client_id=client_id,
        url=url,
        is_registered=True,
        description=description,
        events=[event.value for event in events],
        include=include.value,
        secret=secret or new_secret(),
    )
    session.add(endpoint)
    session.flush()
    return endpoint


def named_by_job(session: Session, client_id: uuid.UUID, url: str) -> uuid.UUID:
    """Return the endpoint of a checked URL that a job names, made now if it is new and enabled if it was disabled.

    URLs that differ in their query only share an endpoint, or a query with the job's number in it would make as many
    endpoints as jobs, and none of them would ever be known to hang.

    Raises:
        InvalidRequest: the client has no secret yet, so it could not verify what it is sent.
    """
    if session.scalars(select(Client.webhook_secret).where(Client.id == client_id)).one() is None:
        detail = "Make your signing secret first: POST /v1/webhook-secret/rotate."
        raise InvalidRequest([Fault("/webhook", detail, "webhook_secret_required")])
    url = url.partition("?")[0]
    named = (WebhookEndpoint.client_id == client_id, WebhookEndpoint.url == url, ~WebhookEndpoint.is_registered)
    query = select(WebhookEndpoint).where(*named).with_for_update(read=True, key_share=True)  # it is not deleted now
    endpoint = session.scalars(query).one_or_none()
    if endpoint is None:
        values = {"id": new_uuid(), "client_id": client_id, "url": url, "is_registered": False, "events": []}
        session.execute(insert(WebhookEndpoint).values(**values).on_conflict_do_nothing())
        endpoint = session.scalars(query).one()
    if endpoint.disabled_at is not None:
        enable(endpoint)
    return endpoint.id


def find_endpoint(
    session: Session, client_id: uuid.UUID, endpoint_id: uuid.UUID, *, lock: bool = False, keep: bool = False
) -> WebhookEndpoint:
    """Return the client's endpoint; `lock` it to change it, `keep` it from being deleted to refer to it.

    Raises:
        NotFound: there is none, or it is another client's: the two must look the same.
    """
    query = select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.client_id == client_id)
    if lock or keep:
        query = query.with_for_update(read=keep, key_share=True)
    endpoint = session.scalars(query).one_or_none()
    if endpoint is None:
        raise NotFound
    return endpoint


def list_endpoints(
    session: Session, client_id: uuid.UUID, *, limit: int, before: uuid.UUID | None = None
) -> Sequence[WebhookEndpoint]:
    """Return the client's endpoints, newest first, starting after the one with id `before`."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.client_id == client_id)
    if before is not None:
        query = query.where(WebhookEndpoint.id < before)
    return session.scalars(query.order_by(WebhookEndpoint.id.desc()).limit(limit)).all()


def count_deliveries(session: Session, endpoint_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, dict[DeliveryStatus, int]]:
    """Return how many deliveries of each endpoint stand where."""
    query = select(Delivery.endpoint_id, Delivery.status, func.count()).where(Delivery.endpoint_id.in_(endpoint_ids))
    counts: dict[uuid.UUID, dict[DeliveryStatus, int]] = {
        endpoint_id: dict.fromkeys(DeliveryStatus, 0) for endpoint_id in endpoint_ids
    }
    for endpoint_id, status, count in session.execute(query.group_by(Delivery.endpoint_id, Delivery.status)):
        counts[endpoint_id][DeliveryStatus(status)] = count
    return counts


def rotate_secret(session: Session, endpoint: WebhookEndpoint, secret: bytes | None, policy: Webhooks) -> bytes:
    """Give a registered endpoint a new secret and return it; for a while the replaced one signs too.

    Raises:
        InvalidRequest: the endpoint has no secret of its own.
    """
    if not endpoint.is_registered:
        detail = "Your own secret signs for a URL that a job named: POST /v1/webhook-secret/rotate."
        raise InvalidRequest([Fault("", detail, "invalid_value")])
    endpoint.previous_secret = endpoint.secret
    endpoint.previous_secret_expires_at = _overlap_end(session, policy)
    endpoint.secret = secret or new_secret()
    return endpoint.secret


def rotate_client_secret(session: Session, client_id: uuid.UUID, secret: bytes | None, policy: Webhooks) -> Client:
    """Give the client a new secret, or its first; for a while the replaced one signs too."""
    client = session.get_one(Client, client_id, with_for_update={"key_share": True})
    client.webhook_previous_secret = client.webhook_secret
    client.webhook_previous_secret_expires_at = _overlap_end(session, policy) if client.webhook_secret else None
    client.webhook_secret = secret or new_secret()
    return client


def _overlap_end(session: Session, policy: Webhooks) -> dt.datetime:
    """Return when a replaced secret ends, by the database's clock, as all that is compared with it."""
    return session.scalars(select(func.now())).one() + dt.timedelta(seconds=policy.secret_overlap_seconds)


def enable(endpoint: WebhookEndpoint) -> None:
    """Send to the endpoint again, from now on; what it missed is brought by a replay."""
    endpoint.disabled_at = None
    endpoint.disabled_reason = None
    endpoint.failing_since = None


def disable(session: Session, endpoint: WebhookEndpoint) -> None:
    """Send nothing more to the endpoint; what was planned is canceled. A second call changes nothing."""
    if endpoint.disabled_at is None:
        endpoint.disabled_at = session.scalars(select(func.now())).one()
        endpoint.disabled_reason = "client"
        session.flush()
        cancel_queued(session, [endpoint.id])
