"""/v1/webhook-secret: the client's own secret, which signs for the URLs that its jobs name."""

import structlog
from flask import Response

from api.answers import json_response
from api.json_bodies import read_json
from api.operations import Answer, Call, Content, NoQuery, Operations
from api.webhook_schemas import NewSecret, SecretView
from core import errors
from core.errors import Fault, InvalidRequest
from core.representation import timestamp
from core.webhooks.endpoints import rotate_client_secret
from core.webhooks.signing import BadSecret, parse_secret, secret_text
from core.words import Scope

operations = Operations("Webhooks")
log = structlog.get_logger(__name__)
BODY_ERRORS = (
    errors.InvalidJson, errors.JsonTooDeep, errors.DuplicateKey, errors.UnsupportedMediaType,
    errors.UnsupportedEncoding, errors.LengthRequired, errors.BodyTooLarge, errors.RequestTimeout,
)  # fmt: skip


@operations.add(
    "POST",
    "/v1/webhook-secret/rotate",
    summary="Make or replace your own secret",
    scope=Scope.WEBHOOKS,
    bodies=(Content("application/json", NewSecret),),
    answers={200: Answer("The secret, this once.", Content("application/json", SecretView))},
    errors=BODY_ERRORS,
)
def rotate_own_secret(call: Call[NoQuery]) -> Response:
    """Make the secret that signs for the URLs that jobs name. One that is replaced signs along for 24 hours."""
    secret = read_secret(read_json(NewSecret, is_optional=True).secret)
    with call.services.transaction() as session:
        client = rotate_client_secret(session, call.caller.client_id, secret, call.services.settings.webhooks)
        answer = {
            "object": "webhook_secret",
            "secret": secret_text(client.webhook_secret or b""),
            "previous_secret_expires_at": timestamp(client.webhook_previous_secret_expires_at),
        }
    log.info("webhook_secret.rotated")
    return json_response(answer)


def read_secret(text: str | None) -> bytes | None:
    """Return the secret in a body, or None when there is none.

    Raises:
        InvalidRequest: it is no secret.
    """
    if text is None:
        return None
    try:
        return parse_secret(text)
    except BadSecret as error:
        raise InvalidRequest([Fault("/secret", str(error), "invalid_secret")]) from error
