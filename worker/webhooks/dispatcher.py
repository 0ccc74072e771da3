"""The thread that claims what is due, hands it to sending threads, and records what they bring back.

Each turn is one transaction: record every receipt that has come in, then claim as much as there are free threads. So
the busier it gets the more is recorded at once, and a slow receiver holds its own few threads and nothing else.
"""

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import structlog
from sqlalchemy.orm import Session, sessionmaker

from core.database import translated_errors
from core.errors import InkpostError
from core.failpoints import Failpoints
from core.ids import public_id
from core.settings import Settings
from core.webhooks.deliveries import ClaimedDelivery, claim_deliveries, seconds_until_due
from core.webhooks.endpoints import ENDPOINT_PREFIX
from core.webhooks.history import DELIVERY_PREFIX, EVENT_PREFIX
from core.webhooks.receipts import Receipt, Recorded, record_receipts
from worker.webhooks.metrics import DELAY_SECONDS, DELIVERIES, DELIVERY_SECONDS, DISABLED, IN_FLIGHT, STALE_RECEIPTS
from worker.webhooks.sender import Sender

log = structlog.get_logger(__name__)

_BUSY_SECONDS = 0.25  # look again when what is due cannot be claimed: its endpoint is full or another process is at it
_TROUBLE_SECONDS = 0.5


class Dispatcher:
    """Runs from `start` to `stop`; `wake` says that something new may be due."""

    def __init__(self, settings: Settings, sessions: sessionmaker[Session], sender: Sender) -> None:
        self._settings = settings
        self._policy = settings.webhooks
        self._sessions = sessions
        self._sender = sender
        self._failpoints = Failpoints(settings)
        self._inbox: queue.SimpleQueue[Receipt | None] = queue.SimpleQueue()
        self._in_flight = 0
        self._is_stopping = threading.Event()
        self._pool = ThreadPoolExecutor(self._policy.max_in_flight, thread_name_prefix="sender")
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    def start(self) -> None:
        """Begin, with a look at what is due."""
        self._thread.start()

    def wake(self) -> None:
        """Look for what is due now."""
        self._inbox.put(None)

    def drain(self) -> None:
        """Claim nothing more; record what is on the way."""
        self._is_stopping.set()
        self.wake()

    def stop(self) -> None:
        """Drain and wait for it; an attempt ends within its time."""
        self.drain()
        self._thread.join(timeout=self._policy.attempt_seconds + 5)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        receipts: list[Receipt] = []
        wait_seconds = 0.0
        while not (self._is_stopping.is_set() and self._in_flight == 0 and not receipts):
            receipts += self._collect(wait_seconds)
            try:
                wait_seconds = self._turn(receipts)
                receipts = []
            except InkpostError as error:  # the receipts are kept; should it last, their leases expire
                log.warning("dispatch.postponed", receipts=len(receipts), error=error.code)
                wait_seconds = _TROUBLE_SECONDS
            except Exception:  # the edge of this thread: it must live as long as the process
                log.exception("dispatch.failed", receipts=len(receipts))
                receipts = []
                wait_seconds = _TROUBLE_SECONDS

    def _collect(self, wait_seconds: float) -> list[Receipt]:
        """Wait for a receipt or a wake, and return all receipts that are there."""
        receipts: list[Receipt] = []
        try:
            found = self._inbox.get(timeout=wait_seconds)
            while True:
                if found is not None:
                    receipts.append(found)
                found = self._inbox.get_nowait()
        except queue.Empty:
            self._in_flight -= len(receipts)
            IN_FLIGHT.set(self._in_flight)
            return receipts

    def _turn(self, receipts: Sequence[Receipt]) -> float:
        """Record, claim and send; return how long nothing needs to be looked at unless somebody wakes us."""
        room = 0 if self._is_stopping.is_set() else self._policy.max_in_flight - self._in_flight
        with translated_errors(), self._sessions.begin() as session:
            recorded = record_receipts(session, receipts, self._policy)
            claimed = claim_deliveries(session, self._policy, limit=room)
            due_seconds = None if claimed else seconds_until_due(session)
        self._tell(receipts, recorded)
        for delivery in claimed:
            self._in_flight += 1
            DELAY_SECONDS.observe((delivery.started_at - delivery.due_at).total_seconds())
            self._pool.submit(self._send, delivery)
        IN_FLIGHT.set(self._in_flight)
        if claimed:
            return _BUSY_SECONDS
        longest = self._settings.leases.sweep_seconds
        return longest if due_seconds is None else min(longest, max(due_seconds, _BUSY_SECONDS))

    def _send(self, delivery: ClaimedDelivery) -> None:
        receipt = self._sender.send(delivery)
        self._failpoints.reach("webhooks.after_send")
        self._inbox.put(receipt)

    def _tell(self, receipts: Sequence[Receipt], recorded: Recorded) -> None:
        for receipt in receipts:
            delivery = receipt.delivery
            status = recorded.statuses.get(delivery.id)
            if status is None:
                STALE_RECEIPTS.inc()
            else:
                DELIVERIES.labels(status.value).inc()
                DELIVERY_SECONDS.observe(receipt.duration_seconds)
            log.info(
                "delivery.dropped" if status is None else f"delivery.{status.value}",
                delivery_id=public_id(DELIVERY_PREFIX, delivery.id),
                event_id=public_id(EVENT_PREFIX, delivery.event_id),
                event_type=delivery.event_type,
                endpoint_id=public_id(ENDPOINT_PREFIX, delivery.endpoint_id),
                host=urlsplit(delivery.url).hostname,
                attempt=delivery.attempt,
                response_status=receipt.response_status,
                error=receipt.error_code,
                duration_ms=round(receipt.duration_seconds * 1000, 1),
            )
        for endpoint_id, reason in recorded.disabled.items():
            DISABLED.labels(reason).inc()
            log.warning("endpoint.disabled", endpoint_id=public_id(ENDPOINT_PREFIX, endpoint_id), reason=reason)
