"""/v1/models: the models that a job may name, in OpenAI's shape."""

from flask import Response

from api.answers import json_response
from api.operations import Answer, Call, Content, NoQuery, Operations
from api.service_schemas import ModelList, ModelView
from api.services import Services
from core import errors
from core.presence import served_models
from core.words import Scope

operations = Operations("Service")


@operations.add(
    "GET",
    "/v1/models",
    summary="List models",
    scope=Scope.READ,
    answers={200: Answer("The models.", Content("application/json", ModelList))},
)
def list_models(call: Call[NoQuery]) -> Response:
    """List the models that workers serve or have served lately, and the default model even before any worker has."""
    return json_response({"object": "list", "data": _models(call.services)})


@operations.add(
    "GET",
    "/v1/models/<model_id>",
    summary="Look at a model",
    scope=Scope.READ,
    answers={200: Answer("The model.", Content("application/json", ModelView))},
    errors=(errors.ModelNotFound,),
)
def show_model(call: Call[NoQuery], model_id: str) -> Response:
    """Return the model, if a job may name it."""
    for model in _models(call.services):
        if model["id"] == model_id:
            return json_response(model)
    raise errors.ModelNotFound(f"The model {model_id[:255]!r} is not served here.")


def _models(own: Services) -> list[dict[str, object]]:
    default = own.default_model
    with own.statements() as session:
        served = served_models(session, sweep_seconds=own.settings.leases.sweep_seconds)
    data = [
        _view(model.name, int(model.first_seen_at.timestamp()), model.revision, model.live_workers, default)
        for model in served
    ]
    if default not in {model.name for model in served}:
        data.append(_view(default, 0, None, 0, default))
    return data


def _view(name: str, created: int, revision: str | None, live_workers: int, default: str) -> dict[str, object]:
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "inkpost",
        "revision": revision,
        "live_workers": live_workers,
        "is_default": name == default,
    }
