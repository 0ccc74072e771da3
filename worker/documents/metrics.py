"""What a documents worker counts, for Prometheus: served on its own port, when a port is set."""

from prometheus_client import Counter, Histogram

DOCUMENTS = Counter("inkpost_documents_total", "Documents finished by this worker.", ["outcome"])
CUT_SECONDS = Histogram(
    "inkpost_cut_seconds",
    "Time to cut one document, in the sandbox child.",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
)
CUT_LINES = Histogram(
    "inkpost_cut_lines", "Lines of one document.", buckets=(1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000)
)
QUEUED_SECONDS = Histogram(
    "inkpost_document_queued_seconds",
    "Time from submission of a document to its claim.",
    buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 1000, 10000),
)
RENDITIONS = Counter("inkpost_renditions_total", "Renditions finished by this worker.", ["format", "outcome"])
WRITE_SECONDS = Histogram(
    "inkpost_write_seconds",
    "Time to write one rendition, in the sandbox child.",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
)
