"""/v1/limits: the limits in force, so that a client can check before it sends."""

from flask import Response

from api.answers import json_response
from api.operations import Answer, Call, Content, NoQuery, Operations
from api.service_schemas import LimitsView
from core.image_headers import ACCEPTED_MEDIA_TYPES
from core.words import Scope

operations = Operations("Service")


@operations.add(
    "GET",
    "/v1/limits",
    summary="The limits in force",
    scope=Scope.READ,
    answers={200: Answer("The limits.", Content("application/json", LimitsView))},
)
def show_limits(call: Call[NoQuery]) -> Response:
    """Return what this operator accepts and how long things are kept."""
    settings = call.services.settings
    return json_response(
        {
            **settings.limits.model_dump(),
            "retention_seconds": settings.retention_seconds,
            "idempotency_seconds": settings.idempotency_seconds,
            "image_media_types": list(ACCEPTED_MEDIA_TYPES),
        }
    )
