"""Rows A1 to A17 of the promises under faults: the worker is killed, stopped and starved of its broker."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import update

from core.settlement import lock_jobs
from core.tables import Line
from tests.integration.worker.conftest import Desk, picture
from tests.processes import WorkerProcess
from tests.waiting import eventually
from worker.recognizer.fake import DEVICE_LOST_MARKER, HANG_MARKER, SEGFAULT_MARKER
from worker.slot import EXIT_BROKEN

ENDLESS = "fake:60000"  # what it reads is not read before it is killed


@pytest.fixture(autouse=True)
def invariants_hold(desk: Desk) -> Iterator[None]:
    """Check after every test that every job ended, with the right texts, once."""
    yield
    desk.check_invariants()


def test_a_killed_pool_process_is_replaced_and_its_lines_are_read_once(desk: Desk, tmp_path: Path) -> None:
    settings = desk.changed(worker={"model": "fake:1500"}, leases={"seconds": 300.0})
    with WorkerProcess(settings, tmp_path) as worker:
        job_id = desk.submit([picture() for _ in range(3)])
        eventually(lambda: desk.running(job_id) == 3, message="the lines were never claimed")
        worker.kill_model_process()
        desk.finished(job_id)  # long before the lease of 300 s: the new process took the slot over
    desk.assert_read(job_id)
    assert [line.crash_attempts for line in desk.lines(job_id)] == [1, 1, 1]


def test_a_dead_worker_s_lines_go_to_the_living(desk: Desk, tmp_path: Path) -> None:
    with WorkerProcess(desk.changed(worker={"model": ENDLESS}), tmp_path) as first:
        job_id = desk.submit([picture() for _ in range(3)])
        eventually(lambda: desk.running(job_id) == 3, message="the lines were never claimed")
        with WorkerProcess(desk.settings, tmp_path):
            first.kill()
            desk.finished(job_id)
    desk.assert_read(job_id)


def test_with_no_worker_left_jobs_wait_for_the_next(desk: Desk, tmp_path: Path) -> None:
    with WorkerProcess(desk.changed(worker={"model": ENDLESS}), tmp_path) as first:
        begun = desk.submit([picture() for _ in range(3)])
        eventually(lambda: desk.running(begun) == 3, message="the lines were never claimed")
        first.kill()
    waiting = desk.submit([picture()])
    assert desk.job(waiting).status == "queued"
    with WorkerProcess(desk.settings, tmp_path):
        for job_id in (begun, waiting):
            desk.finished(job_id)
            desk.assert_read(job_id)


@pytest.mark.parametrize("place", ["worker.after_claim", "worker.after_infer", "worker.before_ack"])
def test_a_crash_anywhere_in_a_batch_loses_nothing_and_repeats_no_outcome(
    desk: Desk, tmp_path: Path, place: str
) -> None:
    dying = desk.settings.model_copy(update={"failpoints": place})
    doomed = WorkerProcess(dying, tmp_path)
    with doomed:
        job_id = desk.submit([picture()])
        eventually(lambda: "WorkerLostError" in doomed.output(), message="the failpoint was never reached")
        doomed.kill()
    attempts = desk.lines(job_id)[0].attempt
    with WorkerProcess(desk.settings, tmp_path):
        desk.finished(job_id)
        desk.assert_read(job_id)
    line = desk.lines(job_id)[0]
    if place == "worker.before_ack":
        assert (line.attempt, line.crash_attempts) == (attempts, 0)
    else:
        assert line.crash_attempts >= 1


def test_a_process_that_slept_past_its_lease_writes_nothing(desk: Desk, tmp_path: Path) -> None:
    slow = desk.changed(worker={"model": "fake:3000"})
    with WorkerProcess(slow, tmp_path) as sleeper:
        job_id = desk.submit([picture()])
        eventually(lambda: desk.running(job_id) == 1, message="the line was never claimed")
        sleeper.stop()
        with WorkerProcess(desk.settings, tmp_path):
            finished_at = desk.finished(job_id).finished_at
            sleeper.resume()
            eventually(lambda: "stale_write.rejected" in sleeper.output(), message="the late outcome was not dropped")
    desk.assert_read(job_id)
    assert desk.job(job_id).finished_at == finished_at


def test_a_short_nap_costs_no_lease(desk: Desk, tmp_path: Path) -> None:
    settings = desk.changed(worker={"model": "fake:2000"}, leases={"seconds": 30.0})
    with WorkerProcess(settings, tmp_path) as worker:
        job_id = desk.submit([picture()])
        eventually(lambda: desk.running(job_id) == 1, message="the line was never claimed")
        worker.stop()
        worker.resume()
        desk.finished(job_id)
    assert [(line.attempt, line.crash_attempts) for line in desk.lines(job_id)] == [(1, 0)]


def test_a_poison_line_takes_nobody_down_with_it(desk: Desk, tmp_path: Path) -> None:
    settings = desk.changed(worker={"model": "fake:misbehave", "max_batch": 16})
    pictures = [picture(SEGFAULT_MARKER if index == 7 else (255, 255, 255)) for index in range(16)]
    with WorkerProcess(settings, tmp_path) as worker:
        job_id = desk.submit(pictures)
        job = desk.finished(job_id, 60)
        desk.finished(desk.submit([picture()]))  # the worker is well
        assert worker.output().count("exited with 'signal 11") <= 3
    assert (job.status, job.lines_succeeded) == ("partial", 15)
    assert (desk.lines(job_id)[7].error_code, desk.lines(job_id)[7].crash_attempts) == ("worker_crash", 3)
    desk.assert_read(job_id, but=frozenset({7}))


def test_a_suspect_that_was_read_is_not_charged_for_the_next_one(desk: Desk, tmp_path: Path) -> None:
    settings = desk.changed(worker={"model": "fake:misbehave"}).model_copy(update={"database_timeout_seconds": 1.0})
    innocent, poison = (desk.submit([one], is_ringing=False) for one in (picture(), picture(SEGFAULT_MARKER)))
    with desk.sessions.begin() as session:
        session.execute(update(Line).values(crash_attempts=1))
    with desk.sessions() as holding:
        lock_jobs(holding, {innocent})  # what was read cannot be recorded now
        with WorkerProcess(settings, tmp_path) as worker:
            eventually(lambda: "record.postponed" in worker.output(), 30, "the line was never to be recorded")
            holding.rollback()
            for job_id in (innocent, poison):
                desk.finished(job_id, 60)
    assert [desk.lines(job_id)[0].crash_attempts for job_id in (innocent, poison)] == [1, 3]
    desk.assert_read(innocent)
    desk.assert_read(poison, but=frozenset({0}))


def test_a_line_that_hangs_the_model_fails_with_a_timeout(desk: Desk, tmp_path: Path) -> None:
    settings = desk.changed(worker={"model": "fake:misbehave"}, leases={"stall_seconds": 1.0})
    with WorkerProcess(settings, tmp_path):
        job_id = desk.submit([picture(), picture(HANG_MARKER)])
        desk.finished(job_id, 60)
    assert desk.lines(job_id)[1].error_code == "timeout"
    desk.assert_read(job_id, but=frozenset({1}))


def test_a_lost_accelerator_ends_the_worker_and_charges_each_line_once(desk: Desk, tmp_path: Path) -> None:
    broken = desk.changed(worker={"model": "fake:misbehave"})
    with WorkerProcess(broken, tmp_path) as worker:
        job_id = desk.submit([picture(), picture(DEVICE_LOST_MARKER)])
        assert worker.wait() == EXIT_BROKEN
    assert [(line.status, line.crash_attempts) for line in desk.lines(job_id)] == [("queued", 1)] * 2
    with WorkerProcess(desk.settings, tmp_path):
        desk.finished(job_id)
    desk.assert_read(job_id)


def test_losing_every_message_of_the_broker_loses_no_job(desk: Desk, tmp_path: Path) -> None:
    job_ids = [desk.submit([picture() for _ in range(3)]) for _ in range(5)]
    with redis.Redis.from_url(desk.settings.redis_url.get_secret_value()) as broker:
        broker.flushall()
    with WorkerProcess(desk.settings, tmp_path):
        with redis.Redis.from_url(desk.settings.redis_url.get_secret_value()) as broker:
            broker.flushall()
        job_ids.append(desk.submit([picture()]))
        with redis.Redis.from_url(desk.settings.redis_url.get_secret_value()) as broker:
            broker.flushall()
        for job_id in job_ids:
            desk.finished(job_id)
            desk.assert_read(job_id)
