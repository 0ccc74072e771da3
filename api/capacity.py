"""/v1/capacity and /metrics: how busy the service is, for clients and for Prometheus."""

from dataclasses import asdict

from flask import Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.answers import json_response
from api.operations import Answer, Call, Content, NoQuery, Operations
from api.service_schemas import CapacityView
from core.words import Scope

operations = Operations("Service")


@operations.add(
    "GET",
    "/v1/capacity",
    summary="How busy the service is",
    scope=Scope.READ,
    answers={
        200: Answer("Queues, workers, and how long a new line would wait.", Content("application/json", CapacityView))
    },
)
def show_capacity(call: Call[NoQuery]) -> Response:
    """Return what waits and how fast it goes, for each model and for documents; at most a second old."""
    backlogs = call.services.backlogs()
    models = [
        {
            "model": backlog.model,
            "live_workers": backlog.live_workers,
            "queued_lines": {priority.word: count for priority, count in backlog.queued_lines.items()},
            "is_count_capped": backlog.is_capped,
            "oldest_queued_seconds": backlog.oldest_queued_seconds,
            "recent_lines_per_second": backlog.recent_lines_per_second,
            "estimated_wait_seconds": backlog.estimated_wait_seconds(),
        }
        for backlog in backlogs.models
    ]
    return json_response({"models": models, "documents": asdict(backlogs.documents)})


@operations.add(
    "GET",
    "/metrics",
    summary="Metrics for Prometheus",
    scope=Scope.READ,
    answers={200: Answer("Prometheus' text format.", Content("text/plain"))},
)
def show_metrics(call: Call[NoQuery]) -> Response:
    """Return requests, latencies and queues, summed over the API's processes of this machine.

    It takes a key, as Prometheus can send one; `INKPOST_API__OPEN_METRICS` opens it to everybody.
    """
    backlogs = call.services.backlogs()
    return Response(call.services.metrics.exposition(backlogs), content_type=CONTENT_TYPE_LATEST)
