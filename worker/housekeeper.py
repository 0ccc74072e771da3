"""The thread in every worker process that keeps leases alive, says that the process lives, and sweeps."""

import os
import signal
from collections.abc import Callable

import structlog
from sqlalchemy.orm import Session, sessionmaker

from core.bells import Bells
from core.claims import renew_leases
from core.errors import RecognitionTimeout
from core.presence import say_alive
from core.recovery import give_up
from core.settings import Settings
from core.tables import WorkerPresence
from worker.duties import Duties
from worker.held_lines import HeldLines
from worker.sweeping import sweep_and_ring

log = structlog.get_logger(__name__)


class Housekeeper:
    """Runs from `start` to `stop`; leases are renewed first, then comes the rest."""

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
        leases = settings.leases
        duties = {"renew": (self._renew, leases.seconds / 3), "sweep": (self._sweep, leases.sweep_seconds)}
        self._duties = Duties("housekeeper", duties)

    def start(self) -> None:
        """Begin."""
        self._duties.start()

    def stop(self) -> None:
        """End, after the duty in hand."""
        self._duties.stop()

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
