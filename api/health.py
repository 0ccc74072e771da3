"""/livez and /readyz: for whoever restarts processes and whoever routes requests."""

from flask import Response
from sqlalchemy import text

from api.answers import json_response
from api.operations import Answer, Call, Content, NoQuery, Operations
from api.service_schemas import AliveView, CheckView
from core.errors import TransientError

operations = Operations("Health")


@operations.add(
    "GET",
    "/livez",
    summary="Is the process alive?",
    scope=None,
    answers={200: Answer("It answers.", Content("application/json", AliveView))},
)
def livez(call: Call[NoQuery]) -> Response:  # noqa: ARG001 - every view takes its call
    """Answer, whatever the state of database and broker: restarting this process would not mend them."""
    return json_response({"status": "ok"})


@operations.add(
    "GET",
    "/readyz",
    summary="Can it serve?",
    scope=None,
    answers={
        200: Answer("It can. `degraded`: jobs are accepted and will be read once the broker is back.",
                    Content("application/json", CheckView)),
        503: Answer("It cannot: the database does not answer.", Content("application/json", CheckView)),
    },
)  # fmt: skip
def readyz(call: Call[NoQuery]) -> Response:
    """Check database and broker. Without the broker nothing is lost and nothing is refused, only started later."""
    has_database = _has_database(call)
    has_broker = call.services.bells.is_reachable()
    status = "unavailable" if not has_database else "ok" if has_broker else "degraded"
    answer = {
        "status": status,
        "database": "ok" if has_database else "unreachable",
        "broker": "ok" if has_broker else "unreachable",
    }
    return json_response(answer, 200 if has_database else 503)


def _has_database(call: Call[NoQuery]) -> bool:
    try:
        with call.services.statements() as session:
            session.execute(text("SELECT 1"))
    except TransientError:
        return False
    return True
