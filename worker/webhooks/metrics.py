"""What a webhooks worker counts, for Prometheus: served on its own port, when a port is set."""

from prometheus_client import Counter, Gauge, Histogram

DELIVERIES = Counter("inkpost_deliveries_total", "Attempts to send an event, by what became of them.", ["outcome"])
DELIVERY_SECONDS = Histogram(
    "inkpost_delivery_seconds",
    "Time of one attempt, from the look-up of the name to the receiver's answer.",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 5, 10, 15, 20),
)
DELAY_SECONDS = Histogram(
    "inkpost_delivery_delay_seconds",
    "Time from when an attempt was due to when it was begun.",
    buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 1000, 10000),
)
IN_FLIGHT = Gauge("inkpost_deliveries_in_flight", "Attempts on the way now.")
CLOCK_OFFSET = Gauge(
    "inkpost_clock_offset_seconds", "This machine's clock less the database's; receivers bear five minutes at most."
)
STALE_RECEIPTS = Counter("inkpost_stale_receipts_total", "Receipts dropped because the lease was lost.")
DISABLED = Counter("inkpost_endpoints_disabled_total", "Endpoints disabled by us.", ["reason"])
