"""The lines that this process holds a lease on, and when it last made progress with them."""

import threading
import time
from collections.abc import Sequence

from core.claims import ClaimedLine
from worker.metrics import HELD_LINES


class HeldLines:
    """Shared by the thread that reads lines and the one that renews their leases."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: tuple[ClaimedLine, ...] = ()
        self._progress_at = time.monotonic()

    def hold(self, lines: Sequence[ClaimedLine]) -> None:
        """Take lines into hand: their leases are renewed from now on."""
        with self._lock:
            self._lines = (*self._lines, *lines)
            self._progress_at = time.monotonic()
        HELD_LINES.set(len(self._lines))

    def let_go(self, lines: Sequence[ClaimedLine]) -> None:
        """Stop renewing the leases of lines that are recorded or given back."""
        gone = {line.key for line in lines}
        with self._lock:
            self._lines = tuple(line for line in self._lines if line.key not in gone)
            self._progress_at = time.monotonic()
        HELD_LINES.set(len(self._lines))

    def progress(self) -> None:
        """Say that something moved; without it leases stop being renewed."""
        self._progress_at = time.monotonic()

    def snapshot(self) -> tuple[tuple[ClaimedLine, ...], float]:
        """Return the lines in hand and the seconds since something last moved."""
        with self._lock:
            return self._lines, time.monotonic() - self._progress_at
