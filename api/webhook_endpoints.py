"""/v1/webhook-endpoints: who is told of events."""

import uuid

import structlog
from flask import Response
from sqlalchemy.orm import Session

from api.answers import json_response
from api.cursors import read_cursor, write_cursor
from api.json_bodies import read_json
from api.operations import Answer, Call, Content, NoQuery, Operations
from api.pages import page_size
from api.webhook_schemas import (
    DeliveryView,
    EndpointChanges,
    EndpointPage,
    EndpointsQuery,
    EndpointView,
    EndpointWithSecret,
    NewEndpoint,
    NewSecret,
    ReplayRequest,
    ReplayView,
)
from api.webhook_secret import BODY_ERRORS, read_secret
from api.webhook_views import delivery_value, endpoint_value
from core import errors
from core.errors import Fault, InvalidRequest, NotFound
from core.ids import parse_public_id
from core.representation import timestamp
from core.tables import WebhookEndpoint
from core.webhooks import endpoints
from core.webhooks.endpoints import ENDPOINT_PREFIX, count_deliveries, find_endpoint, list_endpoints
from core.webhooks.history import find_delivery, replay, send_test
from core.webhooks.signing import secret_text
from core.words import EventType, Include, Scope

operations = Operations("Webhooks")
log = structlog.get_logger(__name__)
_ENDPOINT = Content("application/json", EndpointView)
_WITH_SECRET = Content("application/json", EndpointWithSecret)


@operations.add(
    "POST",
    "/v1/webhook-endpoints",
    summary="Register an endpoint",
    scope=Scope.WEBHOOKS,
    bodies=(Content("application/json", NewEndpoint),),
    answers={201: Answer("The endpoint, with its secret this once.", _WITH_SECRET, {"Location": "The endpoint."})},
    errors=BODY_ERRORS,
)
def register_endpoint(call: Call[NoQuery]) -> Response:
    """Have events POSTed to a URL, signed as Standard Webhooks 1.0.0 says, from the next event on."""
    new = read_json(NewEndpoint)
    secret = read_secret(new.secret)
    call.services.webhook_urls.check(new.url, "/url")
    with call.services.transaction() as session:
        endpoint = endpoints.register(
            session,
            call.caller.client_id,
            url=new.url,
            events=[EventType(event) for event in new.events],
            include=Include(new.include),
            description=new.description,
            secret=secret,
            policy=call.services.settings.webhooks,
        )
        session.refresh(endpoint)
        answer = {**_value(session, endpoint), "secret": secret_text(endpoint.secret or b"")}
    log.info("endpoint.registered", endpoint_id=answer["id"])
    response = json_response(answer, 201)
    response.headers["Location"] = f"/v1/webhook-endpoints/{answer['id']}"
    return response


@operations.add(
    "GET",
    "/v1/webhook-endpoints",
    summary="List endpoints",
    scope=Scope.WEBHOOKS,
    query=EndpointsQuery,
    answers={200: Answer("A page of endpoints, newest first.", Content("application/json", EndpointPage))},
)
def list_webhook_endpoints(call: Call[EndpointsQuery]) -> Response:
    """List the client's endpoints, those included that jobs have named. Follow `next_cursor` until it is null."""
    query, client_id = call.query, call.caller.client_id
    limit = page_size(query.limit, call.services.settings.limits)
    before = uuid.UUID(hex=read_cursor(client_id, "endpoints", query.cursor)) if query.cursor is not None else None
    with call.services.statements() as session:
        found = list_endpoints(session, client_id, limit=limit + 1, before=before)
        page = found[:limit]
        counts = count_deliveries(session, [endpoint.id for endpoint in page])
    more = write_cursor(client_id, "endpoints", page[-1].id.hex) if len(found) > limit else None
    return json_response(
        {"data": [endpoint_value(endpoint, counts[endpoint.id]) for endpoint in page], "next_cursor": more}
    )


@operations.add(
    "GET",
    "/v1/webhook-endpoints/<endpoint_id>",
    summary="Look at an endpoint",
    scope=Scope.WEBHOOKS,
    answers={200: Answer("The endpoint.", _ENDPOINT)},
    errors=(errors.NotFound,),
)
def show_endpoint(call: Call[NoQuery], endpoint_id: str) -> Response:
    """Return the endpoint with its deliveries counted by status."""
    with call.services.statements() as session:
        return json_response(_value(session, _find(session, call, endpoint_id)))


@operations.add(
    "PATCH",
    "/v1/webhook-endpoints/<endpoint_id>",
    summary="Change an endpoint",
    scope=Scope.WEBHOOKS,
    bodies=(Content("application/json", EndpointChanges),),
    answers={200: Answer("The endpoint as it is now.", _ENDPOINT)},
    errors=(*BODY_ERRORS, errors.NotFound),
)
def change_endpoint(call: Call[NoQuery], endpoint_id: str) -> Response:
    """Change what is given. What is planned already goes to the new URL, with the body that it was planned with."""
    changes = read_json(EndpointChanges)
    if changes.url is not None:
        call.services.webhook_urls.check(changes.url, "/url")
    with call.services.transaction() as session:
        endpoint = _find(session, call, endpoint_id, lock=True)
        given = changes.model_dump(exclude_none=True)
        if not endpoint.is_registered and given.keys() - {"description"}:
            faults = [Fault(f"/{name}", "The jobs that name this URL decide it.", "invalid_value") for name in given]
            raise InvalidRequest(faults)
        for name, value in given.items():
            setattr(endpoint, name, value)
        session.flush()
        return json_response(_value(session, endpoint))


@operations.add(
    "DELETE",
    "/v1/webhook-endpoints/<endpoint_id>",
    summary="Delete an endpoint",
    scope=Scope.WEBHOOKS,
    answers={204: Answer("The endpoint and its deliveries are gone.")},
    errors=(errors.NotFound,),
)
def delete_endpoint(call: Call[NoQuery], endpoint_id: str) -> Response:
    """Forget the endpoint and everything that was sent to it. To keep the history, disable it instead."""
    with call.services.transaction() as session:
        session.delete(_find(session, call, endpoint_id, lock=True))
    log.info("endpoint.deleted", endpoint_id=endpoint_id)
    return Response(status=204)


@operations.add(
    "POST",
    "/v1/webhook-endpoints/<endpoint_id>/rotate",
    summary="Replace an endpoint's secret",
    scope=Scope.WEBHOOKS,
    bodies=(Content("application/json", NewSecret),),
    answers={200: Answer("The endpoint, with its new secret this once.", _WITH_SECRET)},
    errors=(*BODY_ERRORS, errors.NotFound),
)
def rotate_endpoint_secret(call: Call[NoQuery], endpoint_id: str) -> Response:
    """Replace the secret. For 24 hours both sign, so that the receiver can change over without losing anything."""
    secret = read_secret(read_json(NewSecret, is_optional=True).secret)
    with call.services.transaction() as session:
        endpoint = _find(session, call, endpoint_id, lock=True)
        fresh = endpoints.rotate_secret(session, endpoint, secret, call.services.settings.webhooks)
        session.flush()
        answer = {**_value(session, endpoint), "secret": secret_text(fresh)}
    log.info("endpoint.secret_rotated", endpoint_id=endpoint_id)
    return json_response(answer)


@operations.add(
    "POST",
    "/v1/webhook-endpoints/<endpoint_id>/enable",
    summary="Enable an endpoint",
    scope=Scope.WEBHOOKS,
    answers={200: Answer("The endpoint as it is now.", _ENDPOINT)},
    errors=(errors.NotFound,),
)
def enable_endpoint(call: Call[NoQuery], endpoint_id: str) -> Response:
    """Send to the endpoint again, from the next event on; a replay brings what it missed."""
    with call.services.transaction() as session:
        endpoint = _find(session, call, endpoint_id, lock=True)
        endpoints.enable(endpoint)
        session.flush()
        return json_response(_value(session, endpoint))


@operations.add(
    "POST",
    "/v1/webhook-endpoints/<endpoint_id>/disable",
    summary="Disable an endpoint",
    scope=Scope.WEBHOOKS,
    answers={200: Answer("The endpoint as it is now.", _ENDPOINT)},
    errors=(errors.NotFound,),
)
def disable_endpoint(call: Call[NoQuery], endpoint_id: str) -> Response:
    """Send nothing more to the endpoint. What is planned is canceled; events are kept for a replay."""
    with call.services.transaction() as session:
        endpoint = _find(session, call, endpoint_id, lock=True)
        endpoints.disable(session, endpoint)
        return json_response(_value(session, endpoint))


@operations.add(
    "POST",
    "/v1/webhook-endpoints/<endpoint_id>/test",
    summary="Send a test",
    scope=Scope.WEBHOOKS,
    answers={202: Answer("The delivery that is planned.", Content("application/json", DeliveryView))},
    errors=(errors.NotFound, errors.EndpointDisabled),
)
def test_endpoint(call: Call[NoQuery], endpoint_id: str) -> Response:
    """Send an event of type `webhook.test`, whatever the endpoint's filter."""
    with call.services.transaction() as session:
        delivery_id = send_test(session, _find(session, call, endpoint_id, keep=True))
        answer = delivery_value(find_delivery(session, call.caller.client_id, delivery_id))
    return json_response(answer, 202)


@operations.add(
    "POST",
    "/v1/webhook-endpoints/<endpoint_id>/replay",
    summary="Send events again",
    scope=Scope.WEBHOOKS,
    bodies=(Content("application/json", ReplayRequest),),
    answers={202: Answer("How many deliveries are planned.", Content("application/json", ReplayView))},
    errors=(*BODY_ERRORS, errors.NotFound, errors.EndpointDisabled),
)
def replay_events(call: Call[NoQuery], endpoint_id: str) -> Response:
    """Send again what happened in a time range, with the ids it had, as far as the endpoint's filter asks for it."""
    wanted = read_json(ReplayRequest)
    if wanted.until is not None and wanted.until <= wanted.since:
        raise InvalidRequest([Fault("/until", "`until` is after `since`.", "out_of_range")])
    with call.services.transaction() as session:
        endpoint = _find(session, call, endpoint_id, keep=True)
        replayed = replay(
            session, endpoint, since=wanted.since, until=wanted.until, is_missed_only=wanted.scope == "missed"
        )
    log.info("endpoint.replayed", endpoint_id=endpoint_id, planned=replayed.planned)
    answer = {"object": "webhook_replay", "planned": replayed.planned, "resume_since": timestamp(replayed.resume_at)}
    return json_response(answer, 202)


def _find(
    session: Session, call: Call[NoQuery], endpoint_id: str, *, lock: bool = False, keep: bool = False
) -> WebhookEndpoint:
    found = parse_public_id(ENDPOINT_PREFIX, endpoint_id)
    if found is None:
        raise NotFound
    return find_endpoint(session, call.caller.client_id, found, lock=lock, keep=keep)


def _value(session: Session, endpoint: WebhookEndpoint) -> dict[str, object]:
    return endpoint_value(endpoint, count_deliveries(session, [endpoint.id])[endpoint.id])
