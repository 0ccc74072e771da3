"""Long-polls: requests that wait until a job has finished, without asking the database again and again.

One thread per process listens to the notices of finished jobs and wakes whoever waits for one. Notices are hints, so
every waiting request also looks at its job's row every five seconds.
"""

import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import structlog

from core.notices import CHANNEL, PROGRESS_CHANNEL, parse_notice
from core.settings import Settings

LOOK_SECONDS = 5.0
_LISTEN_SECONDS = 1.0
_RECONNECT_SECONDS = 1.0
log = structlog.get_logger(__name__)


class Seat:
    """One request's place; `wait` returns when its job may have finished."""

    def __init__(self) -> None:
        self._call = threading.Event()
        self._is_finished = False

    def wait(self, seconds: float) -> bool:
        """Wait for a call, at most so long, and return whether the job was announced as finished."""
        self._call.wait(seconds)
        self._call.clear()
        return self._is_finished

    def call(self, *, is_finished: bool = False) -> None:
        """Let the request look at its job now, or tell it that there is no need to."""
        self._is_finished = self._is_finished or is_finished
        self._call.set()


class WaitingRoom:
    """The seats of one process: at most half of its threads, so that waiting never keeps others from being served."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.database_url.get_secret_value()
        self._free_seats = settings.api.threads // 2
        self._seats: defaultdict[uuid.UUID, set[Seat]] = defaultdict(set)
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def is_closed(self) -> bool:
        """Tell whether the process is stopping: whoever waits should answer now."""
        return self._closed.is_set()

    @contextmanager
    def seat(self, job_id: uuid.UUID) -> Iterator[Seat | None]:
        """Give a seat for the job, or None when all are taken. Take it before looking at the row: calls are not kept.

        The listener is started by the first who waits.
        """
        seat = self._take(job_id)
        try:
            yield seat
        finally:
            if seat is not None:
                self._leave(job_id, seat)

    def close(self) -> None:
        """Call everybody; nobody waits from now on."""
        self._closed.set()
        self._call_all()

    def _take(self, job_id: uuid.UUID) -> Seat | None:
        with self._lock:
            if self._free_seats == 0 or self.is_closed:
                return None
            self._free_seats -= 1
            seat = Seat()
            self._seats[job_id].add(seat)
            if self._listener is None:
                self._listener = threading.Thread(target=self._listen, name="waiting-room", daemon=True)
                self._listener.start()
            return seat

    def _leave(self, job_id: uuid.UUID, seat: Seat) -> None:
        with self._lock:
            self._free_seats += 1
            self._seats[job_id].discard(seat)
            if not self._seats[job_id]:
                del self._seats[job_id]

    def _listen(self) -> None:
        while not self.is_closed:
            try:
                with psycopg.connect(self._url, autocommit=True, connect_timeout=2) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    connection.execute(f"LISTEN {PROGRESS_CHANNEL}")
                    self._call_all()  # a notice may have passed while nobody listened
                    while not self.is_closed:
                        for notice in connection.notifies(timeout=_LISTEN_SECONDS):
                            self._call(parse_notice(notice.payload), is_finished=notice.channel == CHANNEL)
            except psycopg.Error as error:
                log.warning("waiting_room.deaf", error=type(error).__name__)
                self._closed.wait(_RECONNECT_SECONDS)

    def _call(self, job_ids: list[uuid.UUID], *, is_finished: bool) -> None:
        with self._lock:
            for job_id in job_ids:
                for seat in self._seats.get(job_id, ()):
                    seat.call(is_finished=is_finished)

    def _call_all(self) -> None:
        with self._lock:
            for seats in self._seats.values():
                for seat in seats:
                    seat.call()


def remaining(deadline: float) -> float:
    """Return how long to wait before the next look at the row."""
    return min(LOOK_SECONDS, deadline - time.monotonic())
