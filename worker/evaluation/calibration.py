"""Is a confidence of 0.9 right nine times in ten? Reliability bins, calibration error, temperature, thresholds.

A line counts as right when its text equals the reference. Confidence is exp(mean log-probability of the tokens);
a temperature T divides that mean, which makes it confidence ** (1 / T). It never changes a text or an order.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from worker.evaluation.metrics import Counts, total

BINS = 10
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
MIN_LINES_TO_FIT = 50

_GOLDEN = (math.sqrt(5) - 1) / 2
_LOG_TEMPERATURE_LIMIT = math.log(100)
_EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Judged:
    """One line's counts and the confidence its reader had in it."""

    name: str
    confidence: float
    counts: Counts

    @property
    def is_right(self) -> bool:
        """Whether the text equals the reference."""
        return bool(self.counts.exact)


@dataclass(frozen=True, slots=True)
class Bin:
    """Lines whose confidence is above `low` (or equal to 0 in the first bin) and at most `high`."""

    low: float
    high: float
    lines: int
    mean_confidence: float | None
    right_rate: float | None


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """What happens when lines below `threshold` go to a person who reads them without error.

    `reviewed` is the share of lines sent to review, `caught` the share of all wrong lines among them, `wrong_accepted`
    the share of wrong lines among those accepted, `cer_accepted` their character error rate.
    """

    threshold: float
    reviewed: float
    caught: float | None
    wrong_accepted: float | None
    cer_accepted: float | None


@dataclass(frozen=True, slots=True)
class Fit:
    """A temperature fitted on one half of the lines, and what it does to the other half (`..._after`)."""

    temperature: float
    fitted_on: int
    held_out: int
    ece_before: float | None
    ece_after: float | None
    log_loss_before: float
    log_loss_after: float

    @property
    def helps(self) -> bool:
        """Whether the held-out half is predicted better with it than without."""
        return self.log_loss_after < self.log_loss_before


def reliability_bins(lines: Sequence[Judged], bins: int = BINS) -> list[Bin]:
    """Group the lines by confidence into bins of equal width."""
    groups: list[list[Judged]] = [[] for _ in range(bins)]
    for line in lines:
        groups[min(max(math.ceil(line.confidence * bins) - 1, 0), bins - 1)].append(line)
    return [
        Bin(
            low=index / bins,
            high=(index + 1) / bins,
            lines=len(group),
            mean_confidence=math.fsum(line.confidence for line in group) / len(group) if group else None,
            right_rate=sum(line.is_right for line in group) / len(group) if group else None,
        )
        for index, group in enumerate(groups)
    ]


def expected_calibration_error(lines: Sequence[Judged], bins: int = BINS) -> float | None:
    """Return the mean gap between confidence and share of right lines, over bins weighted by their lines.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.
    """
    if not lines:
        return None
    gaps = [
        group.lines * abs(group.mean_confidence - group.right_rate)
        for group in reliability_bins(lines, bins)
        if group.mean_confidence is not None and group.right_rate is not None
    ]
    return math.fsum(gaps) / len(lines)


def threshold_table(lines: Sequence[Judged], thresholds: Sequence[float] = THRESHOLDS) -> list[ThresholdRow]:
    """Say for each threshold how many lines go to review and how many errors that catches."""
    wrong = sum(not line.is_right for line in lines)
    rows = []
    for threshold in thresholds:
        accepted = [line for line in lines if line.confidence >= threshold]
        wrong_accepted = sum(not line.is_right for line in accepted)
        rows.append(
            ThresholdRow(
                threshold=threshold,
                reviewed=1 - len(accepted) / len(lines) if lines else 0.0,
                caught=(wrong - wrong_accepted) / wrong if wrong else None,
                wrong_accepted=wrong_accepted / len(accepted) if accepted else None,
                cer_accepted=total(line.counts for line in accepted).cer,
            )
        )
    return rows


def tempered(confidence: float, temperature: float) -> float:
    """Return the confidence that dividing the mean log-probability by `temperature` gives."""
    return float(confidence ** (1 / temperature))


def temper(lines: Sequence[Judged], temperature: float) -> list[Judged]:
    """Return the lines with tempered confidences."""
    return [Judged(line.name, tempered(line.confidence, temperature), line.counts) for line in lines]


def split_for_fitting(lines: Sequence[Judged]) -> tuple[list[Judged], list[Judged]]:
    """Split into (fitting, held-out) halves by a digest of the names: the same at every run and in every order."""
    halves: tuple[list[Judged], list[Judged]] = ([], [])
    for line in lines:
        halves[hashlib.sha256(line.name.encode()).digest()[0] % 2].append(line)
    return halves


def fit_temperature(lines: Sequence[Judged]) -> float | None:
    """Fit the temperature that makes the lines' being right or wrong most likely.

    The negative log-likelihood is convex in 1 / T, so a golden-section search over log T finds its only minimum.

    Returns:
        The temperature, or None when there are too few lines, or only right ones or only wrong ones.
    """
    right = sum(line.is_right for line in lines)
    if len(lines) < MIN_LINES_TO_FIT or right in {0, len(lines)}:
        return None
    low, high = -_LOG_TEMPERATURE_LIMIT, _LOG_TEMPERATURE_LIMIT
    while high - low > 1e-4:
        left, right_end = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if negative_log_likelihood(lines, math.exp(left)) < negative_log_likelihood(lines, math.exp(right_end)):
            high = right_end
        else:
            low = left
    return math.exp((low + high) / 2)


def fit_and_check(lines: Sequence[Judged]) -> Fit | None:
    """Fit a temperature on one half of the lines and check it on the other; None when there is too little to fit."""
    fitting, held_out = split_for_fitting(lines)
    temperature = fit_temperature(fitting)
    if temperature is None or len(held_out) < MIN_LINES_TO_FIT:
        return None
    after = temper(held_out, temperature)
    return Fit(
        temperature=temperature,
        fitted_on=len(fitting),
        held_out=len(held_out),
        ece_before=expected_calibration_error(held_out),
        ece_after=expected_calibration_error(after),
        log_loss_before=negative_log_likelihood(held_out),
        log_loss_after=negative_log_likelihood(after),
    )


def negative_log_likelihood(lines: Sequence[Judged], temperature: float = 1.0) -> float:
    """Return the mean negative log-likelihood of the lines' being right or wrong, given their confidences."""
    total = 0.0
    for line in lines:
        probability = min(max(tempered(line.confidence, temperature), _EPSILON), 1 - _EPSILON)
        total -= math.log(probability if line.is_right else 1 - probability)
    return total / len(lines)
