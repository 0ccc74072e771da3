"""What a worker counts, for Prometheus: served by each process on its own port, when a port is set."""

from prometheus_client import Counter, Gauge, Histogram

LINES = Counter("inkpost_lines_total", "Lines finished by this worker.", ["model", "outcome"])
STALE_WRITES = Counter(
    "inkpost_stale_write_rejected_total", "Outcomes dropped because the lease was lost before they were recorded."
)
BATCH_LINES = Histogram(
    "inkpost_batch_lines",
    "Lines in one forward pass (a decoder step).",
    ["model"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
PHASE_SECONDS = Histogram(
    "inkpost_phase_seconds",
    "Time by phase: claim; and for lines recorded together: decode, preprocess, encode, generate, record.",
    ["phase"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
)
QUEUED_SECONDS = Histogram(
    "inkpost_queued_seconds",
    "Time from submission of a line's job to the claim of the line.",
    buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 1000, 10000),
)
RECOVERED = Counter("inkpost_lines_recovered_total", "Lines whose worker had died.", ["outcome"])
HELD_LINES = Gauge("inkpost_held_lines", "Lines that this worker holds a lease on.")
