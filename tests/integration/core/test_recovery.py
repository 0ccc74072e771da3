"""Recovery: what a dead worker held is read by another, and a line that kills workers is given up."""

import threading
import uuid

import pytest
from sqlalchemy import text

from core.claims import record_outcomes
from core.errors import DeviceLost, RecognitionTimeout
from core.recovery import recover_expired
from tests.integration.core.scenario import MAX_CRASHES, Scenario, at_once, outcome_of
from tests.invariants import check_invariants
from tests.waiting import eventually


def test_an_expired_lease_puts_the_line_back_and_charges_it(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 2)
    scenario.claim()
    scenario.expire_leases()

    assert scenario.recover().requeued == 2

    assert [(line.status, line.crash_attempts) for line in scenario.lines(job_id)] == [("queued", 1)] * 2
    assert scenario.job(job_id).status == "running"


def test_a_lease_that_runs_is_left_alone(scenario: Scenario, client_id: uuid.UUID) -> None:
    scenario.submit(client_id, 1)
    lines = scenario.claim()

    assert scenario.recover().requeued == 0
    assert scenario.record(lines) == 0


def test_a_lease_expires_by_the_clock_of_the_database(scenario: Scenario, client_id: uuid.UUID) -> None:
    scenario.submit(client_id, 1)
    scenario.claim(lease_seconds=0.05)

    eventually(lambda: scenario.recover().requeued == 1)


def test_a_line_that_killed_its_worker_too_often_fails(scenario: Scenario, client_id: uuid.UUID) -> None:
    """A8, in core terms."""
    job_id = scenario.submit(client_id, 16)
    deaths = 0

    while lines := scenario.claim(16):
        if any(line.index == 7 for line in lines):
            deaths += 1
            scenario.expire_leases()
            scenario.recover()
        else:
            scenario.record(lines)

    expected = [None if index == 7 else f"reading of line {index}" for index in range(16)]
    assert deaths == MAX_CRASHES
    assert scenario.lines(job_id)[7].error_code == "worker_crash"
    assert scenario.job(job_id).status == "partial"
    check_invariants(scenario.sessions, {job_id: expected})


def test_a_new_process_takes_over_what_its_predecessor_held_at_once(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 4)
    slot, neighbour = uuid.uuid4(), uuid.uuid4()
    scenario.claim(2, slot=slot)
    others = scenario.claim(2, slot=neighbour)

    assert scenario.take_over(slot).requeued == 2

    assert [line.status for line in scenario.lines(job_id)] == ["queued", "queued", "running", "running"]
    assert scenario.record(others) == 0


def test_taking_over_an_empty_slot_is_harmless(scenario: Scenario) -> None:
    assert scenario.take_over(uuid.uuid4()).requeued == 0


def test_a_line_that_moved_on_is_not_taken_over_from_its_new_worker(scenario: Scenario, client_id: uuid.UUID) -> None:
    scenario.submit(client_id, 1)
    dead, alive = uuid.uuid4(), uuid.uuid4()
    scenario.claim(slot=dead)
    scenario.expire_leases()
    scenario.recover()
    lines = scenario.claim(slot=alive)

    assert scenario.take_over(dead).requeued == 0
    assert scenario.record(lines) == 0


def test_giving_up_charges_only_what_is_still_held(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 2)
    lines = scenario.claim()
    scenario.record(lines[:1])

    assert scenario.give_up(lines).requeued == 1
    assert scenario.give_up(lines).requeued == 0

    assert [line.crash_attempts for line in scenario.lines(job_id)] == [0, 1]


def test_a_line_given_up_for_the_last_time_says_why(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 1)
    for _ in range(MAX_CRASHES):
        recovered = scenario.give_up(scenario.claim(), RecognitionTimeout)

    assert (recovered.requeued, recovered.failed) == (0, 1)
    (line,) = scenario.lines(job_id)
    assert (line.status, line.error_code) == ("failed", "timeout")
    job = scenario.job(job_id)
    assert (job.status, job.error_code) == ("failed", "all_lines_failed")


def test_a_line_that_fails_in_recovery_loses_its_image_when_images_are_not_kept(
    scenario: Scenario, client_id: uuid.UUID
) -> None:
    scenario.submit(client_id, 1)
    for _ in range(MAX_CRASHES):
        scenario.claim()
        scenario.expire_leases()
        scenario.recover(keep_images=False)

    assert scenario.scalar("SELECT count(*) FROM line_images") == 0


def test_nothing_is_recovered_from_a_canceled_job(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 1)
    lines = scenario.claim()
    scenario.cancel(client_id, job_id)

    assert scenario.give_up(lines, DeviceLost).requeued == 0
    assert scenario.job(job_id).status == "canceled"


def test_two_sweeps_at_once_charge_each_line_once(scenario: Scenario, client_id: uuid.UUID) -> None:
    """A37: the advisory lock is not taken here."""
    job_id = scenario.submit(client_id, 300)
    while scenario.claim(100):
        pass
    scenario.expire_leases()
    both = threading.Barrier(2)

    def sweep() -> int:
        with scenario.sessions.begin() as session:
            both.wait()
            return recover_expired(session, max_crashes=MAX_CRASHES, keep_images=True).requeued

    assert sum(at_once(sweep, sweep)) == 300
    assert {line.crash_attempts for line in scenario.lines(job_id)} == {1}


@pytest.mark.parametrize("what", ["records", "renews"])
def test_a_worker_that_comes_between_the_sweepers_look_and_write_keeps_its_line(
    scenario: Scenario, client_id: uuid.UUID, what: str
) -> None:
    """A38. The sweeper has seen the expired line and waits for its job, which the worker holds."""
    job_id = scenario.submit(client_id, 1)
    lines = scenario.claim()
    scenario.expire_leases()
    swept = []
    with scenario.sessions() as worker:
        worker.execute(text("SELECT FROM jobs WHERE id = :id FOR UPDATE"), {"id": job_id})
        sweeper = threading.Thread(target=lambda: swept.append(scenario.recover()))
        sweeper.start()
        eventually(lambda: scenario.count_waiting() == 1, message="the sweeper never waited")

        if what == "records":
            assert record_outcomes(worker, [outcome_of(lines[0])], keep_images=True) == 0
        else:
            scenario.renew(lines)
        worker.commit()
    sweeper.join()

    assert (swept[0].requeued, swept[0].failed) == (0, 0)
    if what == "renews":
        assert scenario.record(lines) == 0
    check_invariants(scenario.sessions, {job_id: ["reading of line 0"]})


def test_a_worker_that_comes_while_the_sweeper_writes_is_too_late(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 1)
    lines = scenario.claim()
    scenario.expire_leases()
    dropped = []
    with scenario.sessions() as sweeper:
        assert recover_expired(sweeper, max_crashes=MAX_CRASHES, keep_images=True).requeued == 1
        worker = threading.Thread(target=lambda: dropped.append(scenario.record(lines)))
        worker.start()
        eventually(lambda: scenario.count_waiting() == 1, message="the worker never waited")
        sweeper.commit()
    worker.join()

    assert dropped == [1]
    assert scenario.drain() == 1
    check_invariants(scenario.sessions, {job_id: ["reading of line 0"]})
