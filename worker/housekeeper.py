"""The thread in every worker process that keeps leases alive, says that the process lives, and sweeps."""

import os
import signal
import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy.orm import Session, sessionmaker

from core.bells import Bells
from core.claims import renew_leases
from core.database import translated_errors
from core.errors import InkpostError, RecognitionTimeout
from core.presence import say_alive
from core.recovery import give_up
from core.settings import Settings
from core.tables import WorkerPresence
from worker.held_lines import HeldLines
from worker.sweeping import sweep_and_ring

log = structlog.get_logger(__name__)


class Housekeeper:
    """Runs three duties at their own pace; a failure of one is logged and tried again at its next turn."""

    def __init__(
        self,
        *,
        settings: Settings,
        sessions: sessionmaker[Session],
        bells: Bells,
        held: HeldLines,
        presence: Callable[[], WorkerPresence],
        settle_doubt: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._bells = bells
        self._held = held
        self._presence = presence
        self._settle_doubt = settle_doubt
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the duty in hand."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        leases = self._settings.leases
        duties: dict[Callable[[], None], float] = {
            self._renew: leases.seconds / 3,
            self._sweep: leases.sweep_seconds,
        }
        due = dict.fromkeys(duties, 0.0)
        while True:
            for duty, period_seconds in duties.items():
                if time.monotonic() >= due[duty]:
                    self._do(duty)
                    due[duty] = time.monotonic() + period_seconds
            if self._stop.wait(max(0.01, min(due.values()) - time.monotonic())):
                return

    def _do(self, duty: Callable[[], None]) -> None:
        try:
            with translated_errors():
                duty()
        except InkpostError as error:
            log.warning("housekeeping.postponed", duty=duty.__name__.strip("_"), error=error.code)
        except Exception:  # the edge of this thread: it must live as long as the process
            log.exception("housekeeping.failed", duty=duty.__name__.strip("_"))

    def _renew(self) -> None:
        lines, idle_seconds = self._held.snapshot()
        if not lines:
            return
        if idle_seconds > self._settings.leases.stall_seconds:
            self._end_stalled_process()
            return
        with self._sessions.begin() as session:
            renew_leases(session, lines, self._settings.leases.seconds)

    def _end_stalled_process(self) -> None:
        """Charge the lines in hand with a timeout and die: nothing inside this process can interrupt its model."""
        lines, idle_seconds = self._held.snapshot()
        log.error("worker.stalled", lines=len(lines), idle_seconds=round(idle_seconds, 1))
        try:
            with self._sessions.begin() as session:
                give_up(
                    session,
                    lines,
                    error=RecognitionTimeout,
                    max_crashes=self._settings.leases.max_crashes,
                    keep_images=self._settings.keep_images,
                )
        finally:
            os.kill(os.getpid(), signal.SIGKILL)

    def _sweep(self) -> None:
        with self._sessions.begin() as session:
            say_alive(session, self._presence())
        self._settle_doubt()
        sweep_and_ring(self._sessions, self._settings, self._bells)
