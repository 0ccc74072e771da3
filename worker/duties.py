"""A thread that does several things, each at its own pace, for as long as its process lives."""

import threading
import time
from collections.abc import Callable, Mapping

import structlog

from core.database import translated_errors
from core.errors import InkpostError

log = structlog.get_logger(__name__)


class Duties:
    """Runs from `start` to `stop`; what fails is logged, by its name, and tried again at its next turn."""

    def __init__(self, thread_name: str, periods_seconds: Mapping[str, tuple[Callable[[], None], float]]) -> None:
        self._duties = dict(periods_seconds)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=thread_name, daemon=True)

    def start(self) -> None:
        """Begin, with every duty once."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the duty in hand."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        due = dict.fromkeys(self._duties, 0.0)
        while True:
            for name, (duty, period_seconds) in self._duties.items():
                if time.monotonic() >= due[name]:
                    _do(name, duty)
                    due[name] = time.monotonic() + period_seconds
            if self._stop.wait(max(0.01, min(due.values()) - time.monotonic())):
                return


def _do(name: str, duty: Callable[[], None]) -> None:
    try:
        with translated_errors():
            duty()
    except InkpostError as error:
        log.warning("housekeeping.postponed", duty=name, error=error.code)
    except Exception:  # the edge of this thread: it must live as long as the process
        log.exception("housekeeping.failed", duty=name)
