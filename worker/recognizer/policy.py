"""How many lines to read in one call, decided by what steps were measured to cost on this machine."""

from dataclasses import dataclass
from itertools import pairwise

# tokens of handwritten lines such as IAM's: most have about 20, the longest of a batch about 45
_TYPICAL_TOKENS = 20
_LONGEST_TOKENS = 45
# past the knee of the throughput curve more lines only wait for each other
_KNEE = 1.03
# an urgent line waits for the call before it
_LONGEST_CALL_SECONDS = 15.0
_CANDIDATES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


@dataclass(frozen=True, slots=True)
class StepCosts:
    """Seconds to encode one line, and to take one decoder step by the number of lines in the batch."""

    encode: float
    step: dict[int, float]

    @classmethod
    def measured(cls, encode: float, step: dict[int, float]) -> "StepCosts":
        """Return costs without the noise that shows: a step never takes longer than one for more lines."""
        return cls(encode, {size: min(step[other] for other in step if other >= size) for size in step})

    def step_seconds(self, lines: float) -> float:
        """Return what a step costs for so many lines, between those that were measured."""
        sizes = sorted(self.step)
        for smaller, larger in pairwise(sizes):
            if smaller <= lines <= larger:
                share = (lines - smaller) / (larger - smaller)
                return self.step[smaller] + share * (self.step[larger] - self.step[smaller])
        return self.step[sizes[0]] if lines < sizes[0] else self.step[sizes[-1]] * lines / sizes[-1]

    def seconds_per_line(self, lines: int, seats: int) -> float:
        """Return what a line costs in a call of so many.

        While lines wait, every seat is taken; the last ones leave one after the other, the longest last.
        """
        seated = min(lines, seats)
        full = _TYPICAL_TOKENS * self.step_seconds(seated) * (lines - seated) / seated
        emptying = _LONGEST_TOKENS * self.step_seconds(seated * _TYPICAL_TOKENS / _LONGEST_TOKENS)
        return self.encode + (full + emptying) / lines


def choose_batch(costs: StepCosts, *, seats: int) -> int:
    """Return the smallest call within 3 % of the cheapest line, among calls that end soon enough."""
    seconds = {size: costs.seconds_per_line(size, seats) for size in _CANDIDATES if size <= 2 * seats}
    allowed = [size for size in seconds if size * seconds[size] <= _LONGEST_CALL_SECONDS] or [1]
    cheapest = min(seconds[size] for size in allowed)
    return next(size for size in allowed if seconds[size] <= _KNEE * cheapest)


def seats_that_fit(*, bytes_per_line: int, budget: int, most: int) -> int:
    """Return how many lines' caches fit into a memory budget, at least one."""
    return max(1, min(most, budget // max(1, bytes_per_line)))
