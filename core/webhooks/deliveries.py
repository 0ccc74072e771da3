"""Claims on deliveries: take what is due, put back what was lost, cancel what nobody will send.

As with lines a claim is a lease with a fencing number, on the database's clock. At most so many deliveries to one
endpoint are on the way at once, over all processes: a claim locks the endpoints that it takes from, and counts.
"""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, text, update
from sqlalchemy.orm import Session

from core.settings import Webhooks
from core.tables import Delivery
from core.words import DeliveryStatus


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that this process may send, with everything it needs.

    `secrets` starts with the newest; the moments are by the database's clock.
    """

    id: uuid.UUID
    claim: int
    attempt: int
    endpoint_id: uuid.UUID
    event_id: uuid.UUID
    event_type: str
    url: str
    secrets: tuple[bytes, ...]
    body: bytes
    due_at: dt.datetime
    started_at: dt.datetime


# One hop over ix_deliveries_due for each endpoint that has something queued, however much that is.
_WAITING = """
WITH RECURSIVE waiting(endpoint_id) AS (
    (SELECT endpoint_id FROM deliveries WHERE status = 'queued' ORDER BY endpoint_id LIMIT 1)
    UNION ALL
    SELECT (SELECT next.endpoint_id FROM deliveries AS next
            WHERE next.status = 'queued' AND next.endpoint_id > waiting.endpoint_id
            ORDER BY next.endpoint_id LIMIT 1)
    FROM waiting WHERE waiting.endpoint_id IS NOT NULL
), first_due AS MATERIALIZED (
    SELECT waiting.endpoint_id,
           (SELECT min(due_at) FROM deliveries
            WHERE deliveries.endpoint_id = waiting.endpoint_id AND deliveries.status = 'queued') AS due_at
    FROM waiting WHERE waiting.endpoint_id IS NOT NULL
)"""

_LOCK_DUE_ENDPOINTS = text(f"""
{_WAITING}
SELECT id FROM webhook_endpoints
WHERE disabled_at IS NULL AND id IN (SELECT endpoint_id FROM first_due WHERE due_at <= clock_timestamp())
  AND (SELECT count(*) FROM deliveries WHERE endpoint_id = webhook_endpoints.id AND status = 'running')
      < CASE WHEN failing_since IS NULL THEN :per_endpoint ELSE 1 END
FOR NO KEY UPDATE SKIP LOCKED
""")  # noqa: S608 - our own words

# A statement of its own, so that it counts what an earlier holder of the endpoints' locks has committed. The count
# above only spares full endpoints the lock.
_CLAIM = text("""
WITH room AS MATERIALIZED (
    SELECT endpoints.id, endpoints.client_id, endpoints.is_registered, endpoints.url,
           CASE WHEN endpoints.failing_since IS NULL THEN :per_endpoint ELSE 1 END
           - (SELECT count(*) FROM deliveries WHERE endpoint_id = endpoints.id AND status = 'running') AS places,
           CASE WHEN endpoints.is_registered THEN endpoints.secret ELSE clients.webhook_secret END AS secret,
           CASE WHEN endpoints.is_registered AND endpoints.previous_secret_expires_at > now()
                THEN endpoints.previous_secret
                WHEN NOT endpoints.is_registered AND clients.webhook_previous_secret_expires_at > now()
                THEN clients.webhook_previous_secret END AS previous_secret
    FROM webhook_endpoints AS endpoints JOIN clients ON clients.id = endpoints.client_id
    WHERE endpoints.id = ANY(:endpoint_ids)
), busy AS MATERIALIZED (
    SELECT client_id, count(*) AS running FROM deliveries WHERE status = 'running' GROUP BY client_id
), ready AS MATERIALIZED (
    SELECT due.id, due.due_at, room.client_id FROM room CROSS JOIN LATERAL (
        SELECT id, due_at FROM deliveries
        WHERE endpoint_id = room.id AND status = 'queued' AND due_at <= clock_timestamp()
        ORDER BY due_at LIMIT greatest(room.places, 0) FOR UPDATE SKIP LOCKED
    ) AS due
), picked AS MATERIALIZED (
    SELECT ranked.id FROM (
        SELECT ready.*, row_number() OVER (PARTITION BY client_id ORDER BY due_at) AS place FROM ready
    ) AS ranked LEFT JOIN busy USING (client_id)
    WHERE ranked.place + coalesce(busy.running, 0) <= :per_client
    ORDER BY ranked.due_at LIMIT :limit
), claimed AS (
    UPDATE deliveries SET status = 'running', claim = deliveries.claim + 1, started_at = clock_timestamp(),
        lease_expires_at = clock_timestamp() + make_interval(secs => :lease_seconds)
    FROM picked WHERE deliveries.id = picked.id
    RETURNING deliveries.*
)
SELECT claimed.id, claimed.claim, claimed.attempt, claimed.endpoint_id, claimed.event_id, events.type AS event_type,
       CASE WHEN room.is_registered THEN room.url ELSE coalesce(jobs.webhook_url, room.url) END AS url,
       room.secret, room.previous_secret, claimed.due_at, claimed.started_at,
       CASE WHEN claimed.include = 'results' THEN coalesce(events.body_with_lines, events.body) ELSE events.body END
       AS body
FROM claimed
JOIN events ON events.id = claimed.event_id
JOIN room ON room.id = claimed.endpoint_id
LEFT JOIN jobs ON jobs.id = events.job_id
""")


def claim_deliveries(session: Session, policy: Webhooks, *, limit: int) -> list[ClaimedDelivery]:
    """Claim up to `limit` due deliveries over all endpoints, those longest due first.

    Endpoints that another process is claiming from at this moment are passed over. An endpoint that is failing gets
    one delivery at a time, so that it holds one thread and not four; and no client, however many endpoints it lets
    hang, gets more than half of what a process can have on the way.
    """
    if limit < 1:
        return []
    endpoint_ids = session.scalars(_LOCK_DUE_ENDPOINTS, {"per_endpoint": policy.max_in_flight_per_endpoint}).all()
    if not endpoint_ids:
        return []
    rows = session.execute(
        _CLAIM,
        {
            "endpoint_ids": list(endpoint_ids),
            "per_endpoint": policy.max_in_flight_per_endpoint,
            "per_client": max(1, policy.max_in_flight // 2),
            "lease_seconds": policy.lease_seconds,
            "limit": limit,
        },
    ).mappings()
    return [
        ClaimedDelivery(
            secrets=tuple(secret for secret in (row["secret"], row["previous_secret"]) if secret is not None),
            **{name: row[name] for name in row if name not in {"secret", "previous_secret"}},
        )
        for row in rows
    ]


_NEXT_DUE = text(f"""
{_WAITING}
SELECT extract(epoch FROM min(first_due.due_at) - clock_timestamp())
FROM first_due JOIN webhook_endpoints ON webhook_endpoints.id = first_due.endpoint_id
WHERE webhook_endpoints.disabled_at IS NULL
""")  # noqa: S608 - our own words


def seconds_until_due(session: Session) -> float | None:
    """Return how soon the next queued delivery is due, by the database's clock; None when nothing is queued."""
    seconds = session.scalars(_NEXT_DUE).one()
    return None if seconds is None else float(seconds)


def cancel_queued(session: Session, endpoint_ids: Sequence[uuid.UUID]) -> None:
    """Cancel what is planned for endpoints that are disabled now; a replay brings it back."""
    if endpoint_ids:
        queued = (Delivery.endpoint_id.in_(endpoint_ids), Delivery.status == DeliveryStatus.QUEUED)
        session.execute(update(Delivery).where(*queued).values(status=DeliveryStatus.CANCELED, finished_at=func.now()))


def requeue_expired(session: Session) -> int:
    """Put back deliveries whose process died; they are sent again at once, with the same event id."""
    expired = (Delivery.status == DeliveryStatus.RUNNING, Delivery.lease_expires_at < func.clock_timestamp())
    requeued = session.execute(
        update(Delivery)
        .where(*expired)
        .values(status=DeliveryStatus.QUEUED, lease_expires_at=None, due_at=func.now())
        .returning(Delivery.id)
    )
    return len(requeued.all())
