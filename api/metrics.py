"""What the API counts. Under gunicorn the counts of all processes are added up through files; see api.server."""

import os
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from core.backlog import Backlogs

_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0, 60.0)


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "inkpost_requests", "Requests answered.", ["method", "operation", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "inkpost_request_seconds",
            "Time from a request's arrival in a thread to its answer; long-polls wait in it.",
            ["operation"],
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def count(self, *, method: str, operation: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(method, operation, status).inc()
        self._seconds.labels(operation).observe(seconds)

    def exposition(self, backlogs: Backlogs) -> bytes:
        """Return everything in Prometheus' text format, with the queue as it is now."""
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        queue = CollectorRegistry()
        queue.register(_Queue(backlogs))
        return generate_latest(registry) + generate_latest(queue)


class _Queue(Collector):
    def __init__(self, backlogs: Backlogs) -> None:
        self._backlogs = backlogs

    def collect(self) -> Iterable[Metric]:
        depth = GaugeMetricFamily("inkpost_queued_lines", "Lines that wait.", labels=["model", "priority"])
        age = GaugeMetricFamily("inkpost_oldest_queued_seconds", "Age of the oldest waiting line.", labels=["model"])
        workers = GaugeMetricFamily("inkpost_live_workers", "Workers that are alive.", labels=["model"])
        for backlog in self._backlogs.models:
            for priority, count in backlog.queued_lines.items():
                depth.add_metric([backlog.model, priority.word], count)
            age.add_metric([backlog.model], backlog.oldest_queued_seconds or 0.0)
            workers.add_metric([backlog.model], backlog.live_workers)
        documents = self._backlogs.documents
        waiting = GaugeMetricFamily("inkpost_queued_documents", "Documents that wait to be cut.")
        waiting.add_metric([], documents.queued_documents)
        renditions = GaugeMetricFamily("inkpost_queued_renditions", "PDFs that wait to be written.")
        renditions.add_metric([], documents.queued_renditions)
        document_age = GaugeMetricFamily(
            "inkpost_oldest_queued_document_seconds", "Age of the oldest document or PDF that waits."
        )
        document_age.add_metric([], documents.oldest_queued_seconds or 0.0)
        return [depth, age, workers, waiting, renditions, document_age]
