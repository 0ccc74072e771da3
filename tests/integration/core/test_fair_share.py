"""Fair share: nobody waits behind another client's pile."""

import uuid

from core.words import Priority
from tests.integration.core.scenario import Scenario


def test_a_single_line_is_claimed_next_although_five_thousand_of_another_client_wait(scenario: Scenario) -> None:
    """A54, in small."""
    flood, single = scenario.client("flood"), scenario.client("single")
    scenario.submit(flood, 5_000)
    assert len(scenario.claim(64)) == 64
    job_id = scenario.submit(single, 1)

    assert job_id in [line.job_id for line in scenario.claim(16)]


def test_two_piles_are_read_at_the_same_pace(scenario: Scenario) -> None:
    one, other = scenario.client("one"), scenario.client("other")
    first, second = scenario.submit(one, 100), scenario.submit(other, 100)

    batch = [line.job_id for line in scenario.claim(20)]

    assert batch.count(first) == batch.count(second) == 10


def test_a_client_that_comes_late_does_not_get_the_time_it_was_away(scenario: Scenario) -> None:
    early, late = scenario.client("early"), scenario.client("late")
    first = scenario.submit(early, 100)
    scenario.record(scenario.claim(50))
    second = scenario.submit(late, 100)

    batch = [line.job_id for line in scenario.claim(20)]

    assert batch.count(first) == batch.count(second) == 10


def test_a_client_is_not_faster_for_cutting_its_pile_into_jobs(scenario: Scenario) -> None:
    one, many = scenario.client("one"), scenario.client("many")
    first = scenario.submit(one, 40)
    for _ in range(40):
        scenario.submit(many, 1)

    batch = [line.job_id for line in scenario.claim(20)]

    assert batch.count(first) == 10


def test_shares_are_counted_apart_for_each_priority(scenario: Scenario, client_id: uuid.UUID) -> None:
    scenario.submit(client_id, 50, priority=Priority.BULK)
    scenario.submit(client_id, 1)

    assert scenario.scalar("SELECT fair_tag FROM lines WHERE priority = 1") == 0


def test_a_line_given_back_does_not_fall_behind_what_came_while_it_was_held(scenario: Scenario) -> None:
    one, other = scenario.client("one"), scenario.client("other")
    pile = scenario.submit(one, 1_000)
    for _ in range(62):
        scenario.record(scenario.claim(16))
    held = scenario.claim(16)
    assert len(held) == 8, "nothing is queued any more"
    scenario.submit(other, 500)

    scenario.release(held)

    assert [line.job_id for line in scenario.claim(16)].count(pile) == 8
