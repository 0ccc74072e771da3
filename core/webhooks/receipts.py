"""What became of claimed deliveries: recorded once, with the next attempt planned and the endpoint judged by it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text, update
from sqlalchemy.orm import Session

from core.ids import new_uuid
from core.settings import Webhooks
from core.tables import Delivery
from core.webhooks.deliveries import ClaimedDelivery, cancel_queued
from core.webhooks.schedule import pause_after
from core.words import DeliveryStatus

GONE = 410


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of an attempt. `error_code` is None when the receiver answered 2xx."""

    delivery: ClaimedDelivery
    duration_seconds: float
    error_code: str | None
    response_status: int | None = None
    response_start: str | None = None
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What recording came to: each delivery's status, and the endpoints that were disabled, each with the reason."""

    statuses: dict[uuid.UUID, DeliveryStatus]
    disabled: dict[uuid.UUID, str]


_RECORD = text("""
UPDATE deliveries SET
    status = receipt.status, lease_expires_at = NULL, finished_at = clock_timestamp(),
    duration_ms = receipt.duration_ms, response_status = receipt.response_status,
    response_start = receipt.response_start, error_code = receipt.error_code
FROM unnest(
    CAST(:ids AS uuid[]), CAST(:claims AS int[]), CAST(:statuses AS text[]), CAST(:durations AS int[]),
    CAST(:response_statuses AS int[]), CAST(:response_starts AS text[]), CAST(:error_codes AS text[])
) AS receipt(id, claim, status, duration_ms, response_status, response_start, error_code)
WHERE deliveries.id = receipt.id AND deliveries.claim = receipt.claim AND deliveries.status = 'running'
RETURNING deliveries.id
""")

# The rows are locked in one order before any is written, because two processes may record for the same endpoints.
_JUDGE = text("""
WITH news AS (
    SELECT * FROM unnest(CAST(:endpoint_ids AS uuid[]), CAST(:are_well AS bool[]), CAST(:are_gone AS bool[]))
        AS news(id, is_well, is_gone)
), held AS MATERIALIZED (
    SELECT endpoints.id FROM webhook_endpoints AS endpoints JOIN news USING (id)
    WHERE news.is_gone OR news.is_well = (endpoints.failing_since IS NOT NULL)
       OR endpoints.failing_since < now() - make_interval(secs => :give_up_seconds)
    ORDER BY endpoints.id FOR NO KEY UPDATE OF endpoints
)
UPDATE webhook_endpoints AS endpoints SET
    failing_since = CASE WHEN NOT news.is_well THEN coalesce(endpoints.failing_since, now()) END,
    disabled_at = CASE
        WHEN endpoints.disabled_at IS NOT NULL THEN endpoints.disabled_at
        WHEN news.is_gone THEN now()
        WHEN NOT news.is_well AND endpoints.failing_since < now() - make_interval(secs => :give_up_seconds) THEN now()
        END,
    disabled_reason = CASE
        WHEN endpoints.disabled_at IS NOT NULL THEN endpoints.disabled_reason
        WHEN news.is_gone THEN 'gone'
        WHEN NOT news.is_well AND endpoints.failing_since < now() - make_interval(secs => :give_up_seconds)
        THEN 'failing' END
FROM held JOIN news USING (id)
WHERE endpoints.id = held.id
RETURNING endpoints.id, endpoints.disabled_reason, endpoints.disabled_at = now() AS is_newly_disabled
""")

_PLAN = text("""
INSERT INTO deliveries (id, client_id, endpoint_id, event_id, attempt, include, due_at)
SELECT next.id, failed.client_id, failed.endpoint_id, failed.event_id, failed.attempt + 1, failed.include,
       clock_timestamp() + make_interval(secs => next.pause)
FROM unnest(CAST(:ids AS uuid[]), CAST(:failed_ids AS uuid[]), CAST(:pauses AS float8[])) AS next(id, failed_id, pause)
JOIN deliveries AS failed ON failed.id = next.failed_id
JOIN webhook_endpoints AS endpoints ON endpoints.id = failed.endpoint_id AND endpoints.disabled_at IS NULL
RETURNING deliveries.id
""")


def record_receipts(session: Session, receipts: Sequence[Receipt], policy: Webhooks) -> Recorded:
    """Store what became of claimed deliveries, plan the next attempts and disable endpoints that had enough.

    A receipt whose claim was lost is dropped: the delivery is another process's now. Recording the same receipts
    again drops them all, so a second run is harmless.
    """
    if not receipts:
        return Recorded({}, {})
    pauses = {
        receipt.delivery.id: pause_after(receipt.delivery.attempt, receipt.retry_after_seconds)
        for receipt in receipts
        if receipt.error_code is not None and receipt.response_status != GONE
    }
    statuses = {receipt.delivery.id: _status(receipt, pauses.get(receipt.delivery.id)) for receipt in receipts}
    recorded = set(
        session.scalars(
            _RECORD,
            {
                "ids": [receipt.delivery.id for receipt in receipts],
                "claims": [receipt.delivery.claim for receipt in receipts],
                "statuses": [statuses[receipt.delivery.id].value for receipt in receipts],
                "durations": [round(receipt.duration_seconds * 1000) for receipt in receipts],
                "response_statuses": [receipt.response_status for receipt in receipts],
                "response_starts": [receipt.response_start for receipt in receipts],
                "error_codes": [receipt.error_code for receipt in receipts],
            },
        )
    )
    kept = [receipt for receipt in receipts if receipt.delivery.id in recorded]
    disabled = _judge(session, kept, policy)
    statuses = {receipt.delivery.id: statuses[receipt.delivery.id] for receipt in kept}
    _plan(session, kept, statuses, pauses)
    return Recorded(statuses, disabled)


def _status(receipt: Receipt, pause: float | None) -> DeliveryStatus:
    if receipt.error_code is None:
        return DeliveryStatus.SUCCEEDED
    return DeliveryStatus.EXHAUSTED if pause is None else DeliveryStatus.FAILED


def _judge(session: Session, receipts: Sequence[Receipt], policy: Webhooks) -> dict[uuid.UUID, str]:
    """Note which endpoints are well, by one success at least, and which fail; return those that are disabled now."""
    if not receipts:
        return {}
    endpoint_ids = sorted({receipt.delivery.endpoint_id for receipt in receipts})
    well = {receipt.delivery.endpoint_id for receipt in receipts if receipt.error_code is None}
    gone = {receipt.delivery.endpoint_id for receipt in receipts if receipt.response_status == GONE}
    rows = session.execute(
        _JUDGE,
        {
            "endpoint_ids": endpoint_ids,
            "are_well": [endpoint_id in well for endpoint_id in endpoint_ids],
            "are_gone": [endpoint_id in gone for endpoint_id in endpoint_ids],
            "give_up_seconds": policy.give_up_seconds,
        },
    ).all()
    disabled = {row.id: row.disabled_reason for row in rows if row.is_newly_disabled}
    cancel_queued(session, list(disabled))
    return disabled


def _plan(
    session: Session,
    receipts: Sequence[Receipt],
    statuses: dict[uuid.UUID, DeliveryStatus],
    pauses: dict[uuid.UUID, float | None],
) -> None:
    """Plan the next attempt of what failed. Without one, because its endpoint is disabled, it is exhausted."""
    failed = {
        new_uuid(): receipt.delivery.id
        for receipt in receipts
        if statuses[receipt.delivery.id] == DeliveryStatus.FAILED
    }
    if not failed:
        return
    planned = session.scalars(
        _PLAN,
        {
            "ids": list(failed),
            "failed_ids": list(failed.values()),
            "pauses": [pauses[delivery_id] for delivery_id in failed.values()],
        },
    ).all()
    left = [delivery_id for next_id, delivery_id in failed.items() if next_id not in set(planned)]
    if left:
        session.execute(update(Delivery).where(Delivery.id.in_(left)).values(status=DeliveryStatus.EXHAUSTED))
        statuses.update(dict.fromkeys(left, DeliveryStatus.EXHAUSTED))
