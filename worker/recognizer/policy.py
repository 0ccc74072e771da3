"""How many lines to have in hand, decided by what steps were measured to cost on this machine."""

import math
from dataclasses import dataclass

# tokens of handwritten lines such as IAM's: most have about 20
_TYPICAL_TOKENS = 20
# past the knee of the throughput curve more lines only wait for each other
_KNEE = 1.03
# what is in hand is finished before a worker ends
_LONGEST_FAREWELL_SECONDS = 20.0
# an urgent line waits for those that are ready before it
_AHEAD_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class StepCosts:
    """Seconds to encode one line, and to take one decoder step by the number of lines in the batch."""

    encode: float
    step: dict[int, float]

    @classmethod
    def measured(cls, encode: float, step: dict[int, float]) -> "StepCosts":
        """Return costs without the noise that shows: a step never takes longer than one for more lines."""
        return cls(encode, {size: min(step[other] for other in step if other >= size) for size in step})

    def seconds_per_line(self, lines: int) -> float:
        """Return what a line costs while so many (a number that was measured) are in hand."""
        return self.encode + _TYPICAL_TOKENS * self.step[lines] / lines


def choose_batch(costs: StepCosts, *, seats: int) -> int:
    """Return the smallest number of lines within 3 % of the cheapest, among those that are finished soon enough.

    Only numbers that were measured: between them a step may cost as much as for the next larger one.
    """
    seconds = {size: costs.seconds_per_line(size) for size in costs.step if size <= seats}
    allowed = [size for size in seconds if size * seconds[size] <= _LONGEST_FAREWELL_SECONDS] or [1]
    cheapest = min(seconds[size] for size in allowed)
    return next(size for size in allowed if seconds[size] <= _KNEE * cheapest)


def choose_ahead(costs: StepCosts, lines: int) -> int:
    """Return how many lines to have ready beside so many in hand: those that are read while others are made ready.

    Two at least, so that a claim tells whether more are queued than one.
    """
    return min(lines, max(2, math.ceil(_AHEAD_SECONDS / costs.seconds_per_line(lines))))


def seats_that_fit(*, bytes_per_line: int, budget: int, most: int) -> int:
    """Return how many lines' caches fit into a memory budget, at least one."""
    return max(1, min(most, budget // max(1, bytes_per_line)))
