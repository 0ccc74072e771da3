"""/v1/usage: what this client has submitted, day by day."""

from collections.abc import Iterable

from flask import Response

from api.answers import json_response
from api.operations import Answer, Call, Content, Operations
from api.service_schemas import UsageQuery, UsageReport
from core.usage import DayOfUse, usage_by_day
from core.words import Scope

operations = Operations("Service")


@operations.add(
    "GET",
    "/v1/usage",
    summary="What this client has used",
    scope=Scope.READ,
    query=UsageQuery,
    answers={200: Answer("Jobs and lines, day by day, oldest first.", Content("application/json", UsageReport))},
)
def show_usage(call: Call[UsageQuery]) -> Response:
    """Return this client's jobs and lines. Deleted and expired jobs count until 30 days after they are gone."""
    first, last = call.query.days()
    with call.services.statements() as session:
        days = usage_by_day(session, call.caller.client_id, first, last)
    return json_response(
        {
            "since": first.isoformat(),
            "until": last.isoformat(),
            "jobs": sum(day.jobs for day in days),
            "lines": _lines(days),
            "days": [{"date": day.day.isoformat(), "jobs": day.jobs, "lines": _lines([day])} for day in days],
        }
    )


def _lines(days: Iterable[DayOfUse]) -> dict[str, int]:
    counts = {"total": 0, "succeeded": 0, "failed": 0, "canceled": 0}
    for day in days:
        counts["total"] += day.lines
        counts["succeeded"] += day.succeeded
        counts["failed"] += day.failed
        counts["canceled"] += day.canceled
    return counts
