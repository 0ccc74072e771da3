"""Settlement: the last line ends its job, once, with the right word and the right counts."""

import threading
import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest

from core.claims import record_outcomes
from core.jobs import NewJob, NewLine, create_job
from core.notices import CHANNEL, parse_notice
from tests.integration.core.scenario import MODEL, Scenario, at_once, outcome_of
from tests.invariants import check_invariants, transitions


@pytest.mark.parametrize(
    ("images", "status", "error_code"),
    [
        ([b"a", b"b"], "succeeded", None),
        ([b"a", b"damaged"], "partial", None),
        ([b"damaged 1", b"damaged 2"], "failed", "all_lines_failed"),
    ],
)
def test_a_job_ends_as_its_lines_did(
    scenario: Scenario, client_id: uuid.UUID, images: list[bytes], status: str, error_code: str | None
) -> None:
    job_id = scenario.submit(client_id, images)

    scenario.drain()

    job = scenario.job(job_id)
    assert (job.status, job.error_code) == (status, error_code)
    assert (job.error_detail is None) == (error_code is None)


def test_a_job_with_one_bad_line_image_still_completes(scenario: Scenario, client_id: uuid.UUID) -> None:
    """B48."""
    job_id = scenario.submit(client_id, [b"a", b"damaged", b"c"])

    scenario.drain()

    assert scenario.lines(job_id)[1].error_code == "corrupt_image"
    check_invariants(scenario.sessions, {job_id: ["reading of a", None, "reading of c"]})


def test_a_job_is_not_finished_before_its_last_line(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 3)
    lines = scenario.claim()

    scenario.record(lines[:2])
    before = scenario.job(job_id)
    scenario.record(lines[2:])
    after = scenario.job(job_id)

    assert (before.status, before.lines_succeeded, before.finished_at) == ("running", 2, None)
    assert (after.status, after.lines_succeeded) == ("succeeded", 3)
    assert after.finished_at is not None


def test_a_result_is_kept_for_the_jobs_own_time_after_its_end(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 1, retention_seconds=120)
    assert scenario.job(job_id).expires_at is None

    scenario.drain()

    job = scenario.job(job_id)
    assert job.expires_at is not None
    assert job.finished_at is not None
    assert round((job.expires_at - job.finished_at).total_seconds()) == 120
    assert job.created_at <= job.started_at <= job.finished_at


def test_lines_to_review_are_counted(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 3, review_threshold=0.8)

    scenario.record(
        [outcome_of(line, confidence) for line, confidence in zip(scenario.claim(), (0.7, 0.8, 0.9), strict=True)]
    )

    assert scenario.job(job_id).lines_needing_review == 1


def test_many_workers_that_record_lines_of_one_job_lose_no_count(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 64)
    held = [scenario.claim(8) for _ in range(8)]
    start = threading.Barrier(8)

    def record(mine: int) -> None:
        start.wait()
        for line in held[mine]:
            scenario.record([line])

    assert at_once(*[lambda mine=mine: record(mine) for mine in range(8)]) == [None] * 8

    assert scenario.job(job_id).lines_succeeded == 64
    check_invariants(scenario.sessions, {job_id: [f"reading of line {index}" for index in range(64)]})


def test_workers_that_hold_the_same_jobs_in_other_orders_do_not_wait_for_each_other_for_ever(
    scenario: Scenario, client_id: uuid.UUID
) -> None:
    jobs = [scenario.submit(client_id, 4) for _ in range(12)]
    lines = scenario.claim(48)
    start = threading.Barrier(4)

    def record(mine: int) -> int:
        own = [line for line in lines if line.index == mine]
        start.wait()
        return scenario.record(own if mine % 2 else own[::-1])

    assert at_once(*[lambda mine=mine: record(mine) for mine in range(4)]) == [0] * 4
    assert {scenario.job(job_id).status for job_id in jobs} == {"succeeded"}


def test_a_job_ends_only_once(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 2)
    lines = scenario.claim()

    at_once(*[lambda: scenario.record(lines)] * 4)

    of_job = [(before, after) for kind, _, _, before, after in transitions(scenario.sessions) if kind == "job"]
    assert of_job == [("queued", "running"), ("running", "succeeded")]
    assert scenario.job(job_id).lines_succeeded == 2


def test_the_end_of_a_job_is_announced_with_its_commit(
    scenario: Scenario, client_id: uuid.UUID, listener: Callable[[], list[str]]
) -> None:
    new = NewJob(model=MODEL, lines=[NewLine(b"one", "image/png")], retention_seconds=60)
    with scenario.sessions.begin() as session:
        finished = [create_job(session, client_id, new).id for _ in range(250)]
    scenario.submit(client_id, 2)

    scenario.record(scenario.claim(251))

    heard = [job_id for notice in listener() for job_id in parse_notice(notice)]
    assert sorted(heard) == sorted(finished)


def test_a_result_that_is_rolled_back_is_not_announced(
    scenario: Scenario, client_id: uuid.UUID, listener: Callable[[], list[str]]
) -> None:
    job_id = scenario.submit(client_id, 1)
    lines = scenario.claim()
    with scenario.sessions() as session:
        record_outcomes(session, [outcome_of(line) for line in lines], keep_images=True)
        session.rollback()

    assert listener() == []
    assert scenario.job(job_id).status == "running"


@pytest.fixture
def listener(core_database_url: str, scenario: Scenario) -> Iterator[Callable[[], list[str]]]:
    """Give a function that returns the notices that have come in."""
    with psycopg.connect(core_database_url, autocommit=True) as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        yield lambda: [notice.payload for notice in connection.notifies(timeout=0.2)]
