import random

import pytest

from worker.evaluation.calibration import (
    Judged,
    expected_calibration_error,
    fit_and_check,
    fit_temperature,
    reliability_bins,
    split_for_fitting,
    temper,
    tempered,
    threshold_table,
)
from worker.evaluation.metrics import count


def judged(confidence: float, *, right: bool, name: str = "line") -> Judged:
    return Judged(name, confidence, count("word", "word" if right else "ward"))


def drawn(lines: int, *, temperature: float, seed: int = 7) -> list[Judged]:
    """Lines whose true chance of being right is the confidence tempered by `temperature`."""
    source = random.Random(seed)
    confidences = [source.uniform(0.3, 0.999) for _ in range(lines)]
    return [
        judged(confidence, right=source.random() < tempered(confidence, temperature), name=f"line-{number}")
        for number, confidence in enumerate(confidences)
    ]


def test_the_calibration_error_is_the_gap_weighted_by_the_lines_of_each_bin():
    lines = [judged(0.95, right=True), judged(0.95, right=True), judged(0.95, right=False), judged(0.55, right=True)]

    # |0.95 - 2/3| for three lines, |0.55 - 1| for one
    assert expected_calibration_error(lines) == pytest.approx((3 * (0.95 - 2 / 3) + 0.45) / 4)


def test_confidences_at_the_ends_and_on_the_borders_fall_into_one_bin_each():
    lines = [judged(confidence, right=True) for confidence in (0.0, 0.1, 0.1000001, 0.9, 1.0)]

    assert [group.lines for group in reliability_bins(lines)] == [2, 1, 0, 0, 0, 0, 0, 0, 1, 1]


def test_no_lines_have_no_calibration_error():
    assert expected_calibration_error([]) is None
    assert all(group.right_rate is None for group in reliability_bins([]))


def test_a_threshold_says_what_is_reviewed_and_what_is_caught():
    lines = [
        judged(0.99, right=True),
        judged(0.95, right=False),
        judged(0.90, right=True),
        judged(0.89, right=False),
        judged(0.50, right=False),
    ]

    row = threshold_table(lines, [0.9])[0]

    assert row.reviewed == pytest.approx(2 / 5)
    assert row.caught == pytest.approx(2 / 3)
    assert row.wrong_accepted == pytest.approx(1 / 3)
    assert row.cer_accepted == pytest.approx(1 / 12)


def test_a_threshold_above_everything_accepts_nothing():
    row = threshold_table([judged(0.5, right=False)], [0.9])[0]

    assert (row.reviewed, row.caught, row.wrong_accepted, row.cer_accepted) == (1.0, 1.0, None, None)


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_the_fit_finds_the_temperature_that_the_lines_were_drawn_with(temperature):
    assert fit_temperature(drawn(20_000, temperature=temperature)) == pytest.approx(temperature, rel=0.08)


def test_the_fitted_temperature_lowers_the_error_on_lines_it_has_not_seen():
    fit = fit_and_check(drawn(4_000, temperature=0.3))

    assert fit is not None
    assert fit.helps
    assert fit.ece_after < fit.ece_before
    assert fit.fitted_on + fit.held_out == 4_000


def test_a_temperature_never_changes_the_order_of_the_lines():
    lines = drawn(100, temperature=1.0)

    before = sorted(lines, key=lambda line: line.confidence)
    after = sorted(temper(lines, 0.2), key=lambda line: line.confidence)

    assert [line.name for line in after] == [line.name for line in before]


def test_lines_that_are_all_right_or_too_few_fit_nothing():
    assert fit_temperature([judged(0.9, right=True)] * 100) is None
    assert fit_temperature([judged(0.9, right=True), judged(0.9, right=False)]) is None
    assert fit_and_check([]) is None


def test_a_confidence_of_zero_or_one_can_be_fitted():
    lines = [judged(0.0, right=True), judged(1.0, right=False)] * 50

    assert fit_temperature(lines) is not None


def test_the_split_for_fitting_does_not_depend_on_the_order():
    lines = drawn(200, temperature=1.0)

    fitting, held_out = split_for_fitting(lines)
    fitting_again, _ = split_for_fitting(lines[::-1])

    assert {line.name for line in fitting} == {line.name for line in fitting_again}
    assert 60 < len(held_out) < 140
