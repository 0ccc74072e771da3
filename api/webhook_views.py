"""Endpoints and deliveries as JSON values."""

from collections.abc import Mapping

from core.ids import public_id
from core.representation import JOB_PREFIX, timestamp
from core.tables import WebhookEndpoint
from core.webhooks.endpoints import ENDPOINT_PREFIX
from core.webhooks.history import DELIVERY_PREFIX, EVENT_PREFIX, DeliveryRecord
from core.words import DeliveryStatus


def endpoint_value(endpoint: WebhookEndpoint, counts: Mapping[DeliveryStatus, int]) -> dict[str, object]:
    """Return an endpoint, without its secret."""
    return {
        "object": "webhook_endpoint",
        "id": public_id(ENDPOINT_PREFIX, endpoint.id),
        "kind": "registered" if endpoint.is_registered else "job",
        "url": endpoint.url,
        "description": endpoint.description,
        "events": endpoint.events,
        "include": endpoint.include,
        "status": "enabled" if endpoint.disabled_at is None else "disabled",
        "disabled_at": timestamp(endpoint.disabled_at),
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": timestamp(endpoint.failing_since),
        "previous_secret_expires_at": timestamp(endpoint.previous_secret_expires_at),
        "deliveries": {status.value: count for status, count in counts.items()},
        "created_at": timestamp(endpoint.created_at),
    }


def delivery_value(record: DeliveryRecord) -> dict[str, object]:
    """Return a delivery."""
    delivery = record.delivery
    return {
        "object": "delivery",
        "id": public_id(DELIVERY_PREFIX, delivery.id),
        "endpoint_id": public_id(ENDPOINT_PREFIX, delivery.endpoint_id),
        "event_id": public_id(EVENT_PREFIX, delivery.event_id),
        "event_type": record.event_type,
        "job_id": public_id(JOB_PREFIX, record.job_id) if record.job_id is not None else None,
        "attempt": delivery.attempt,
        "status": delivery.status,
        "due_at": timestamp(delivery.due_at),
        "started_at": timestamp(delivery.started_at),
        "finished_at": timestamp(delivery.finished_at),
        "duration_ms": delivery.duration_ms,
        "response_status": delivery.response_status,
        "response_start": delivery.response_start,
        "error": delivery.error_code,
    }
