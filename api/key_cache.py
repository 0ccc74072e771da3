"""API keys that were good a moment ago, so that a busy client costs one look-up every two seconds.

Only good keys are remembered, by their digest; a revoked key therefore works for at most that long.
"""

import hashlib
import time

from core.clients import Principal

_MOST_KEYS = 10_000


class KeyCache:
    """Remembers principals by key. Threads may share it: every step is one atomic operation on a dict."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._known: dict[bytes, tuple[float, Principal]] = {}

    def recall(self, key: str) -> Principal | None:
        """Return who holds the key, if it was good lately."""
        found = self._known.get(_digest(key))
        return found[1] if found is not None and found[0] > time.monotonic() else None

    def remember(self, key: str, principal: Principal) -> None:
        """Note that the key is good now."""
        if len(self._known) >= _MOST_KEYS:
            self._known.clear()
        self._known[_digest(key)] = (time.monotonic() + self._seconds, principal)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
