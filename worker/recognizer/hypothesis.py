"""A reading of a line as tokens, and how sure the model was of each."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Tokens after the start token, the end token included, with the log-probability of each.

    `score` orders the hypotheses of one line: what `generate` calls the sequence score. `top` holds the most probable
    tokens at each place with their log-probabilities, when a greedy reading was asked for them.
    """

    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    score: float
    truncated: bool
    top: tuple[tuple[tuple[int, float], ...], ...] = ()

    @property
    def confidence(self) -> float:
        """exp(mean log-probability), 0 to 1."""
        return min(1.0, math.exp(math.fsum(self.log_probabilities) / len(self.log_probabilities)))

    @property
    def min_token_confidence(self) -> float:
        """The probability of the least certain token."""
        return min(1.0, math.exp(min(self.log_probabilities)))
