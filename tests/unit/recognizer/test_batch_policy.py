import pytest

from worker.recognizer.policy import StepCosts, choose_ahead, choose_batch, seats_that_fit


def test_a_batch_grows_only_to_the_knee_of_the_throughput_curve():
    # given steps that cost nearly the same for 1 and for 8 lines, and grow in proportion from there on
    costs = StepCosts(encode=0.01, step={1: 0.010, 4: 0.011, 8: 0.012, 16: 0.024, 32: 0.048})

    assert choose_batch(costs, seats=32) == 8


def test_a_model_whose_steps_cost_nothing_reads_one_line_at_a_time():
    assert choose_batch(StepCosts(encode=1.0, step={1: 1e-6, 32: 1e-6}), seats=32) == 1


def test_a_slow_model_takes_few_lines_so_that_a_worker_can_end_soon():
    assert choose_batch(StepCosts(encode=4.0, step={1: 0.1, 16: 0.2}), seats=16) <= 3


def test_a_measurement_that_was_disturbed_does_not_make_a_small_batch_look_dear():
    costs = StepCosts.measured(0.2, {1: 0.03, 8: 0.9, 16: 0.08})

    assert costs.step == {1: 0.03, 8: 0.08, 16: 0.08}
    assert choose_batch(costs, seats=16) == 16


@pytest.mark.parametrize(("encode", "expected"), [(0.2, 3), (1.0, 2), (0.001, 16)])
def test_as_many_lines_are_ready_as_are_read_while_others_are_made_ready(encode, expected):
    assert choose_ahead(StepCosts(encode=encode, step={1: 1e-6, 16: 1e-6}), 16) == expected


def test_seats_stay_within_the_memory_budget_and_never_fall_to_none():
    assert seats_that_fit(bytes_per_line=10, budget=100, most=32) == 10
    assert seats_that_fit(bytes_per_line=10, budget=10_000, most=32) == 32
    assert seats_that_fit(bytes_per_line=1_000, budget=100, most=32) == 1
