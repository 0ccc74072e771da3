"""When a failed delivery is tried again: Standard Webhooks' own example, about three days in all."""

import random

MINUTE, HOUR = 60.0, 3_600.0
# After each failed attempt, the pause before the next.
PAUSES_SECONDS = (5.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
MOST_ATTEMPTS = len(PAUSES_SECONDS) + 1
JITTER = 0.2
MOST_RETRY_AFTER_SECONDS = 24 * HOUR


def pause_after(attempt: int, retry_after_seconds: float | None, *, chance: float | None = None) -> float | None:
    """Return the seconds between the failure of an attempt (1 is the first) and the next; None when it was the last.

    Jitter keeps the events that failed together from coming back together. A receiver's Retry-After can only
    lengthen the pause, to a day at most. `chance`, 0 to 1, replaces the draw.
    """
    if attempt >= MOST_ATTEMPTS:
        return None
    drawn = random.random() if chance is None else chance  # noqa: S311 - nothing to guess
    pause = PAUSES_SECONDS[attempt - 1] * (1 + JITTER * (2 * drawn - 1))
    return max(pause, min(retry_after_seconds or 0.0, MOST_RETRY_AFTER_SECONDS))
