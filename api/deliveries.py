"""/v1/deliveries: what was sent, attempt by attempt, and sending it again."""

import uuid

import structlog
from flask import Response

from api.answers import json_response
from api.cursors import read_cursor, write_cursor
from api.operations import Answer, Call, Content, NoQuery, Operations
from api.pages import page_size
from api.webhook_schemas import DeliveriesQuery, DeliveryPage, DeliveryView
from api.webhook_views import delivery_value
from core import errors
from core.errors import Fault, InvalidRequest, NotFound
from core.ids import parse_public_id
from core.representation import JOB_PREFIX
from core.webhooks.endpoints import ENDPOINT_PREFIX
from core.webhooks.history import DELIVERY_PREFIX, EVENT_PREFIX, find_delivery, list_deliveries, redeliver
from core.words import DeliveryStatus, Scope

operations = Operations("Webhooks")
log = structlog.get_logger(__name__)
_DELIVERY = Content("application/json", DeliveryView)


@operations.add(
    "GET",
    "/v1/deliveries",
    summary="List deliveries",
    scope=Scope.WEBHOOKS,
    query=DeliveriesQuery,
    answers={200: Answer("A page of deliveries, newest first.", Content("application/json", DeliveryPage))},
)
def list_all_deliveries(call: Call[DeliveriesQuery]) -> Response:
    """List attempts, planned ones included; `status=exhausted` are the events that nobody will send by themselves."""
    query, client_id = call.query, call.caller.client_id
    limit = page_size(query.limit, call.services.settings.limits)
    before = uuid.UUID(hex=read_cursor(client_id, "deliveries", query.cursor)) if query.cursor is not None else None
    with call.services.statements() as session:
        found = list_deliveries(
            session,
            client_id,
            limit=limit + 1,
            before=before,
            endpoint_id=_filter("endpoint_id", ENDPOINT_PREFIX, query.endpoint_id),
            event_id=_filter("event_id", EVENT_PREFIX, query.event_id),
            job_id=_filter("job_id", JOB_PREFIX, query.job_id),
            status=DeliveryStatus(query.status) if query.status is not None else None,
        )
    page = found[:limit]
    more = write_cursor(client_id, "deliveries", page[-1].delivery.id.hex) if len(found) > limit else None
    return json_response({"data": [delivery_value(record) for record in page], "next_cursor": more})


@operations.add(
    "GET",
    "/v1/deliveries/<delivery_id>",
    summary="Look at a delivery",
    scope=Scope.WEBHOOKS,
    answers={200: Answer("The delivery.", _DELIVERY)},
    errors=(errors.NotFound,),
)
def show_delivery(call: Call[NoQuery], delivery_id: str) -> Response:
    """Return one attempt: when, how long, and what the receiver said."""
    with call.services.statements() as session:
        return json_response(delivery_value(find_delivery(session, call.caller.client_id, _uuid(delivery_id))))


@operations.add(
    "POST",
    "/v1/deliveries/<delivery_id>/redeliver",
    summary="Send an event again",
    scope=Scope.WEBHOOKS,
    answers={202: Answer("The new delivery.", _DELIVERY)},
    errors=(errors.NotFound, errors.EndpointDisabled),
)
def redeliver_event(call: Call[NoQuery], delivery_id: str) -> Response:
    """Send the delivery's event to its endpoint once more, with the id it had, and a whole schedule of attempts."""
    client_id = call.caller.client_id
    with call.services.transaction() as session:
        new_id = redeliver(session, client_id, _uuid(delivery_id))
        answer = delivery_value(find_delivery(session, client_id, new_id))
    log.info("delivery.requested", delivery_id=answer["id"])
    return json_response(answer, 202)


def _uuid(delivery_id: str) -> uuid.UUID:
    found = parse_public_id(DELIVERY_PREFIX, delivery_id)
    if found is None:
        raise NotFound
    return found


def _filter(name: str, prefix: str, text: str | None) -> uuid.UUID | None:
    if text is None:
        return None
    found = parse_public_id(prefix, text)
    if found is None:
        raise InvalidRequest([Fault(f"/{name}", "This is no such id.", "invalid_value")])
    return found
