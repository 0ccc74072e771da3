"""The backlogs of a moment ago, so that many who ask cost one look a second."""

import threading
import time
from collections.abc import Callable

from core.backlog import Backlogs

_FRESH_SECONDS = 1.0


class BacklogGauge:
    """Remembers the last measurement for a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken_at = float("-inf")
        self._backlogs: Backlogs | None = None

    def read(self, measure: Callable[[], Backlogs]) -> Backlogs:
        """Return backlogs that are at most a second old."""
        with self._lock:
            if self._backlogs is None or time.monotonic() > self._taken_at + _FRESH_SECONDS:
                self._backlogs = measure()
                self._taken_at = time.monotonic()
            return self._backlogs
