"""Bells: one on its way is enough, a lost one is made good, and a broken broker holds nobody up."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from pydantic import SecretStr
from structlog.testing import capture_logs

from core.bells import DRAIN_TASK, Bells, lines_queue
from core.settings import Leases, Settings
from tests.proxy import TcpProxy
from tests.waiting import eventually

QUEUE = lines_queue("fake")
PATIENCE_SECONDS = 10.0  # against a caller that is kept for ever; the budget itself is 0.5 s


@pytest.fixture
def bell_settings(redis_url: str) -> Settings:
    return Settings(redis_url=SecretStr(redis_url), leases=Leases(sweep_seconds=1))


@pytest.fixture
def broker(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def bells(bell_settings: Settings) -> Iterator[Bells]:
    bells = Bells(bell_settings)
    yield bells
    bells.close()


@pytest.fixture
def proxy(redis_url: str) -> Iterator[TcpProxy]:
    with TcpProxy.before(redis_url) as proxy:
        yield proxy


@pytest.fixture
def proxied(bell_settings: Settings, redis_url: str, proxy: TcpProxy) -> Iterator[Bells]:
    """Give bells whose way to the broker can be hurt, and that have rung once."""
    bells = Bells(bell_settings.model_copy(update={"redis_url": SecretStr(proxy.url(redis_url))}))
    assert bells.ring("lines.warm")
    yield bells
    proxy.pass_through()
    bells.close()


def _within_patience(call: Callable[[], Any]) -> Any:
    """Return what the call returns; fail when it keeps its caller."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(call()), daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert answers, "the caller was kept"
    return answers[0]


def _waiting(broker: redis.Redis, queue: str = QUEUE) -> int:
    return int(broker.llen(queue))


def test_a_bell_is_a_message_that_carries_no_work(bells: Bells, broker: redis.Redis) -> None:
    assert bells.ring(QUEUE)

    message = json.loads(broker.lindex(QUEUE, 0))
    assert message["headers"]["task"] == DRAIN_TASK
    assert message["headers"]["argsrepr"] == "()"


def test_a_second_bell_is_not_rung_while_the_first_waits(bells: Bells, broker: redis.Redis) -> None:
    assert all(bells.ring(QUEUE) for _ in range(5))

    assert _waiting(broker) == 1


def test_each_model_has_a_bell_of_its_own(bells: Bells, broker: redis.Redis) -> None:
    bells.ring(QUEUE)
    bells.ring(lines_queue("another"))

    assert (_waiting(broker), _waiting(broker, lines_queue("another"))) == (1, 1)


def test_a_worker_that_begins_to_look_can_be_rung_again(bells: Bells, broker: redis.Redis) -> None:
    bells.ring(QUEUE)
    broker.lpop(QUEUE)
    bells.answer(QUEUE)
    bells.ring(QUEUE)

    assert _waiting(broker) == 1


def test_bells_that_nobody_listens_to_do_not_pile_up(bells: Bells, broker: redis.Redis) -> None:
    for _ in range(20):
        bells.ring(QUEUE, is_forced=True)  # a sweep, of a worker that serves another model
        broker.delete(f"inkpost:bell:{QUEUE}")  # the time of a sweep has passed
        bells.ring(QUEUE)

    assert _waiting(broker) == 1


def test_the_sweeper_rings_in_spite_of_a_bell_that_should_wait(bells: Bells, broker: redis.Redis) -> None:
    """A17, A23."""
    bells.ring(QUEUE)
    broker.lpop(QUEUE)

    assert bells.ring(QUEUE, is_forced=True)
    assert _waiting(broker) == 1


def test_a_lost_bell_is_forgotten_after_a_sweeps_time(bells: Bells, broker: redis.Redis) -> None:
    bells.ring(QUEUE)
    broker.lpop(QUEUE)

    eventually(lambda: bells.ring(QUEUE) and _waiting(broker) == 1, timeout_seconds=5)


def test_twenty_threads_ring_one_bell(bells: Bells, broker: redis.Redis) -> None:
    threads = [threading.Thread(target=bells.ring, args=(QUEUE,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert _waiting(broker) == 1


def test_a_broker_that_is_down_holds_nobody_up_and_is_left_alone_for_a_while(bell_settings: Settings) -> None:
    """A18."""
    bells = Bells(bell_settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:9/0")}))
    with capture_logs() as logs:
        answers = _within_patience(lambda: [bells.ring(QUEUE) for _ in range(100)])

    assert answers == [False] * 100
    assert [entry["event"] for entry in logs] == ["bell.failed"]
    assert not _within_patience(bells.is_reachable)


def test_a_broker_that_says_nothing_holds_nobody_up(proxied: Bells, proxy: TcpProxy) -> None:
    """A19."""
    proxy.blackhole()

    assert not _within_patience(lambda: proxied.ring(QUEUE))
    assert not _within_patience(proxied.is_reachable)
    _within_patience(lambda: proxied.answer(QUEUE))


def test_bells_ring_again_once_the_broker_is_back(proxied: Bells, proxy: TcpProxy, broker: redis.Redis) -> None:
    proxy.reset()
    assert not proxied.ring(QUEUE)

    proxy.pass_through()

    eventually(lambda: proxied.ring(QUEUE))
    assert _waiting(broker) == 1


def test_connections_that_were_cut_while_idle_cost_no_bell(
    proxied: Bells, proxy: TcpProxy, broker: redis.Redis
) -> None:
    """A20."""
    proxy.reset_connections()

    assert proxied.ring(QUEUE)
    assert _waiting(broker) == 1


def test_a_bell_that_failed_on_its_way_is_rung_at_the_next_occasion(
    proxied: Bells, proxy: TcpProxy, broker: redis.Redis
) -> None:
    proxy.cut_on(b"LPUSH")
    assert not proxied.ring(QUEUE)
    broker.delete(QUEUE)  # whether or not the message had arrived

    eventually(lambda: proxied.ring(QUEUE))

    assert _waiting(broker) == 1


def test_a_broker_that_dies_between_the_note_and_the_message_holds_nobody_up(
    bells: Bells, bell_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("kombu.utils.functional.sleep", pauses.append)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    dead = Bells(bell_settings.model_copy(update={"redis_url": SecretStr(f"redis://127.0.0.1:{port}/0")}))
    dead._redis = bells._redis  # only the message's way is dead

    assert not _within_patience(lambda: dead.ring(QUEUE))
    assert sum(pauses) == 0, "kombu waits 2 s between attempts unless it is told otherwise"


def test_a_broker_without_memory_costs_only_the_bell(bells: Bells, broker: redis.Redis) -> None:
    """A21."""
    broker.config_set("maxmemory", "1")
    try:
        assert not bells.ring(QUEUE)
    finally:
        broker.config_set("maxmemory", "0")

    eventually(lambda: bells.ring(QUEUE))


def test_a_broker_that_refuses_writes_costs_only_the_bell(bells: Bells, broker: redis.Redis) -> None:
    """A22: what a full disk makes of Redis is seen by clients as an error of each write."""
    broker.config_set("min-replicas-to-write", "1")
    try:
        assert not bells.ring(QUEUE)
        assert bells.is_reachable()
    finally:
        broker.config_set("min-replicas-to-write", "0")
