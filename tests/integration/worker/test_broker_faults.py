"""Rows A16 to A24: the broker dies, hangs, flaps or repeats itself, and the worker reads on."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr

from cli.local.redis import LocalRedis
from core.bells import DRAIN_TASK, Bells, create_celery, lines_queue
from core.settings import Settings
from tests.integration.worker.conftest import Desk, picture
from tests.processes import WorkerProcess
from tests.proxy import TcpProxy
from tests.waiting import eventually


def with_broker(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"redis_url": SecretStr(url)})


@pytest.fixture(autouse=True)
def invariants_hold(desk: Desk) -> Iterator[None]:
    """Check after every test that every job ended, with the right texts, once."""
    yield
    desk.check_invariants()


@pytest.fixture
def slow_sweeps(desk: Desk) -> Settings:
    """Sweeps too rare to help: only the broker can wake the worker."""
    return desk.changed(leases={"sweep_seconds": 300.0})


def ring_until_read(desk: Desk, bells: Bells, timeout_seconds: float = 60.0) -> None:
    """Submit a line and ring for it as often as it takes; a bell may fall on deaf ears while the worker reconnects."""
    job_id = desk.submit([picture()], is_ringing=False)

    def is_read() -> bool:
        bells.ring(lines_queue("fake"), is_forced=True)
        time.sleep(0.3)
        return desk.job(job_id).status == "succeeded"

    eventually(is_read, timeout_seconds, "the worker does not hear its bells")
    desk.assert_read(job_id)


def test_a_worker_consumes_again_after_its_broker_was_killed_and_restarted(
    desk: Desk, slow_sweeps: Settings, own_redis: LocalRedis, tmp_path: Path
) -> None:
    settings = with_broker(slow_sweeps, own_redis.url)
    bells = Bells(settings)
    with WorkerProcess(settings, tmp_path):
        ring_until_read(desk, bells)
        own_redis.kill()
        assert not bells.ring(lines_queue("fake"), is_forced=True)
        own_redis.start()
        ring_until_read(desk, bells)


def test_a_worker_consumes_again_after_its_broker_was_away_when_it_answered_a_bell(
    desk: Desk, slow_sweeps: Settings, own_redis: LocalRedis, tmp_path: Path
) -> None:
    slow = slow_sweeps.model_copy(update={"worker": slow_sweeps.worker.model_copy(update={"model": "fake:1000"})})
    settings = with_broker(slow, own_redis.url)
    bells = Bells(settings)
    with WorkerProcess(settings, tmp_path) as worker:
        ring_until_read(desk, bells)
        job_id = desk.submit([picture()], is_ringing=False)
        bells.ring(lines_queue("fake"), is_forced=True)
        eventually(lambda: desk.running(job_id) == 1, message="the line was never claimed")
        own_redis.kill()
        eventually(lambda: "Couldn't ack" in worker.output(), message="the bell was not answered")
        own_redis.start()
        ring_until_read(desk, bells)
    desk.assert_read(job_id)


def test_a_worker_consumes_again_after_its_connection_went_silent(
    desk: Desk, slow_sweeps: Settings, redis_url: str, tmp_path: Path
) -> None:
    bells = Bells(slow_sweeps)
    with TcpProxy.before(redis_url) as proxy, WorkerProcess(with_broker(slow_sweeps, proxy.url(redis_url)), tmp_path):
        ring_until_read(desk, bells)
        proxy.blackhole()
        time.sleep(5)  # longer than any poll of the worker
        proxy.reset()
        proxy.pass_through()
        ring_until_read(desk, bells)


def test_a_worker_survives_a_flapping_broker(
    desk: Desk, slow_sweeps: Settings, own_redis: LocalRedis, tmp_path: Path
) -> None:
    settings = with_broker(slow_sweeps, own_redis.url)
    bells = Bells(settings)
    with WorkerProcess(settings, tmp_path), redis.Redis.from_url(own_redis.url) as broker:
        ring_until_read(desk, bells)
        for _ in range(20):
            broker.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            time.sleep(0.15)
        ring_until_read(desk, bells)


def test_a_broker_that_takes_no_writes_costs_a_sweep_and_no_job(
    desk: Desk, own_redis: LocalRedis, tmp_path: Path
) -> None:
    settings = with_broker(desk.settings, own_redis.url)
    bells = Bells(settings)
    with redis.Redis.from_url(own_redis.url) as broker, WorkerProcess(settings, tmp_path):
        broker.config_set("maxmemory", "1")
        job_id = desk.submit([picture()], is_ringing=False)
        assert not bells.ring(lines_queue("fake"))
        broker.config_set("maxmemory", "0")
        desk.finished(job_id)
    desk.assert_read(job_id)


def test_a_worker_outlives_a_broker_that_refuses_its_acknowledgement(
    desk: Desk, slow_sweeps: Settings, own_redis: LocalRedis, tmp_path: Path
) -> None:
    settings = with_broker(slow_sweeps, own_redis.url).model_copy(
        update={"worker": slow_sweeps.worker.model_copy(update={"model": "fake:1000"})}
    )
    bells = Bells(settings)
    with redis.Redis.from_url(own_redis.url) as broker, WorkerProcess(settings, tmp_path) as worker:
        ring_until_read(desk, bells)
        job_id = desk.submit([picture()], is_ringing=False)
        bells.ring(lines_queue("fake"), is_forced=True)
        eventually(lambda: desk.running(job_id) == 1, message="the line was never claimed")
        broker.config_set("maxmemory", "1")
        desk.finished(job_id)
        eventually(lambda: "broker.refused" in worker.output(), message="the acknowledgement was not refused")
        broker.config_set("maxmemory", "0")
        ring_until_read(desk, bells)
    desk.assert_read(job_id)


def test_bells_that_ring_five_times_over_read_nothing_twice(desk: Desk, tmp_path: Path) -> None:
    celery = create_celery(desk.settings)
    job_ids = [desk.submit([picture() for _ in range(3)]) for _ in range(4)]
    for _ in range(20):
        celery.send_task(DRAIN_TASK, queue=lines_queue("fake"))
    with WorkerProcess(desk.settings, tmp_path):
        for job_id in job_ids:
            desk.finished(job_id)
            desk.assert_read(job_id)
            assert {line.attempt for line in desk.lines(job_id)} == {1}
    celery.close()
