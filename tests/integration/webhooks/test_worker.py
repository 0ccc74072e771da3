"""Rows A43 and A47, and the doorbell: a real webhooks worker on real servers."""

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import redis
from pydantic import SecretStr

from cli.local.ports import free_port
from cli.local.postgres import LocalPostgres
from cli.local.redis import LocalRedis
from cli.roles import webhooks_command
from core.settings import Settings
from core.webhooks.endpoints import enable, find_endpoint
from core.words import EventType
from tests.integration.webhooks.conftest import PostOffice, open_office
from tests.integration.webhooks.receiver import hang, receiving, status
from tests.invariants import check_events
from tests.processes import RealProcess, environment_of
from tests.waiting import eventually


@contextmanager
def webhooks_worker(settings: Settings, folder: Path, name: str = "webhooks") -> Iterator[RealProcess]:
    """Run a worker and give it once it listens to its bell."""
    with RealProcess(webhooks_command(), environment_of(settings), folder / f"{name}.log").start() as worker:
        eventually(lambda: " ready." in worker.output(), 30, f"the worker never became ready: {worker.output()}")
        yield worker


def test_what_ends_is_told_at_once_and_logged_without_secrets(office: PostOffice, tmp_path: Path) -> None:
    with receiving() as receiver, webhooks_worker(office.settings, tmp_path) as worker:
        endpoint = office.register(receiver.url + "?token=s3cret-query")
        office.job()  # the first opens connections
        eventually(lambda: len(receiver.received) == 1)
        started_at = time.monotonic()
        office.job([b"planted-text"], client_reference="planted-reference")
        eventually(lambda: len(receiver.received) == 2)
        assert time.monotonic() - started_at < office.settings.leases.sweep_seconds + 2
        eventually(lambda: worker.output().count("delivery.succeeded") == 2)
        log = worker.output()
    for secret in ("s3cret-query", "planted", "whsec_", (endpoint.secret or b"").hex()):
        assert secret not in log
    assert '"host": "127.0.0.1"' in log
    check_events(office.sessions, [one.verified(endpoint.secret or b"") for one in receiver.received])


def test_every_attempt_is_counted_and_the_counts_name_nobody(office: PostOffice, tmp_path: Path) -> None:
    port = free_port()
    own = office.with_policy(metrics_port=port)
    with receiving(status(500), status(410)) as receiver, webhooks_worker(own.settings, tmp_path):
        endpoint = office.register(receiver.url + "?token=s3cret-query")
        office.job([b"planted-text"])
        eventually(lambda: len(receiver.received) == 2, 30)  # the second after some five seconds
        eventually(lambda: office.endpoint(endpoint.id).disabled_reason == "gone")
        with office.sessions.begin() as session:
            enable(find_endpoint(session, office.client_id, endpoint.id, lock=True))
        office.job()
        eventually(lambda: len(receiver.received) == 3)

        def counts() -> str | None:
            text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
            return text if 'outcome="succeeded"} 1.0' in text else None

        text = eventually(counts)
    assert 'inkpost_deliveries_total{outcome="failed"} 1.0' in text
    assert 'inkpost_deliveries_total{outcome="exhausted"} 1.0' in text
    assert 'inkpost_endpoints_disabled_total{reason="gone"} 1.0' in text
    assert "inkpost_delivery_delay_seconds_count 3.0" in text
    for secret in ("s3cret", "token", "hook", "planted", "whsec_", "127.0.0.1"):
        assert secret not in text


def test_losing_every_bell_costs_a_sweep_and_no_event(office: PostOffice, tmp_path: Path) -> None:
    with receiving() as receiver, webhooks_worker(office.settings, tmp_path):
        office.register(receiver.url)
        for _ in range(5):
            office.job()
            with redis.Redis.from_url(office.settings.redis_url.get_secret_value()) as broker:
                broker.flushall()
        eventually(lambda: len({one.event_id for one in receiver.received}) == 5)
        eventually(lambda: len(office.deliveries(status="succeeded")) == 5)
    check_events(office.sessions, receiver.received)


def test_a_crash_between_the_receiver_s_answer_and_our_record_sends_again_with_the_same_id(
    office: PostOffice, tmp_path: Path
) -> None:
    dying = office.settings.model_copy(update={"failpoints": "webhooks.after_send"})
    short = office.with_policy(attempt_seconds=1.0, lease_seconds=2.0).settings
    dying = dying.model_copy(update={"webhooks": short.webhooks})
    with receiving() as receiver:
        endpoint = office.register(receiver.url)
        with webhooks_worker(dying, tmp_path, "doomed") as doomed:
            office.job()
            assert doomed.wait() == -9
        assert len(receiver.received) == 1
        assert office.deliveries()[0].status == "running"
        with webhooks_worker(short, tmp_path):
            eventually(lambda: office.deliveries()[0].status == "succeeded")
    assert [one.event_id for one in receiver.received] == [receiver.received[0].event_id] * 2
    assert len(office.deliveries()) == 1
    check_events(office.sessions, [one.verified(endpoint.secret or b"") for one in receiver.received])


def test_a_worker_that_slept_through_its_lease_writes_nothing(office: PostOffice, tmp_path: Path) -> None:
    short = office.with_policy(attempt_seconds=1.0, lease_seconds=1.5).settings

    def slow(handler) -> None:
        time.sleep(0.6)
        status(200)(handler)

    with receiving(slow) as receiver, webhooks_worker(short, tmp_path, "sleeper") as sleeper:
        office.register(receiver.url)
        office.job()
        eventually(lambda: len(receiver.received) == 1)
        sleeper.stop()
        with webhooks_worker(short, tmp_path, "other"):
            eventually(lambda: office.deliveries()[0].status == "succeeded")
        sleeper.resume()
        eventually(lambda: "delivery.dropped" in sleeper.output())
    assert len(office.deliveries()) == 1
    assert office.deliveries()[0].claim == 2


def test_ten_receivers_that_hang_delay_nobody_else(office: PostOffice, tmp_path: Path) -> None:
    with ExitStack() as stack:
        healthy = stack.enter_context(receiving())
        stack.enter_context(webhooks_worker(office.settings, tmp_path))
        office.register(healthy.url, events=(EventType.JOB_SUCCEEDED,))
        idle = [_delay(office, healthy) for _ in range(20)]
        hanging = [stack.enter_context(receiving()) for _ in range(10)]
        for receiver in hanging:
            receiver.default = hang
            office.register(receiver.url)
        for _ in range(5):  # more than each may have on the way
            office.job()
        eventually(lambda: all(len(receiver.received) >= 4 for receiver in hanging))
        eventually(lambda: len(healthy.received) == 25)
        eventually(lambda: len(office.deliveries(status="running")) == 40)
        busy = [_delay(office, healthy) for _ in range(20)]
        assert all(len(receiver.received) == 4 for receiver in hanging)  # never more than four at once
    # A generous bound, for a machine that does other things too; bench/webhooks.py measures it.
    assert statistics.median(busy) < statistics.median(idle) + 0.5


def _delay(office: PostOffice, receiver) -> float:
    """Return the seconds from a job's end to its arrival."""
    before = len(receiver.received)
    started_at = time.monotonic()
    office.job()
    eventually(lambda: len(receiver.received) > before)
    return time.monotonic() - started_at


def test_two_workers_keep_to_four_at_once_together(office: PostOffice, tmp_path: Path) -> None:
    with receiving() as receiver, ExitStack() as stack:
        receiver.default = hang
        office.register(receiver.url)
        for _ in range(12):
            office.job()
        for name in ("first", "second"):
            stack.enter_context(webhooks_worker(office.settings, tmp_path, name))
        eventually(lambda: len(receiver.received) >= 4)
        time.sleep(1.0)  # as long as a fifth would take to appear
        assert len(receiver.received) == 4


def test_a_worker_that_is_told_to_end_records_what_is_on_the_way(office: PostOffice, tmp_path: Path) -> None:
    def slow(handler) -> None:
        time.sleep(1.0)
        status(200)(handler)

    with receiving(slow) as receiver, webhooks_worker(office.settings, tmp_path) as worker:
        office.register(receiver.url)
        office.job()
        eventually(lambda: len(receiver.received) == 1)
        worker.terminate()
        assert worker.wait() == 0
    assert [delivery.status for delivery in office.deliveries()] == ["succeeded"]


def test_an_hour_of_a_receiver_that_is_down_loses_nothing(office: PostOffice, tmp_path: Path) -> None:
    with receiving() as place:
        port = place.port
    endpoint = office.register(f"http://127.0.0.1:{port}/hook")
    with webhooks_worker(office.settings, tmp_path):
        for _ in range(5):
            office.job()
        # Refused at 0 s, 5 s, 5 min and 30 min.
        for attempt in range(2, 5):
            eventually(lambda n=attempt: len(office.deliveries(attempt=n)) == 5, 30)
            if attempt < 4:
                office.travel(1_800)
        with receiving(port=port) as receiver:
            office.travel(1_800 * 1.3)
            eventually(lambda: len(office.deliveries(status="succeeded")) == 5, 30)
    check_events(office.sessions, [one.verified(endpoint.secret or b"") for one in receiver.received])


def test_progress_is_told_to_who_asks_for_it(office: PostOffice, tmp_path: Path) -> None:
    wanted = (EventType.JOB_STARTED, EventType.JOB_PROGRESS, EventType.JOB_SUCCEEDED)
    with receiving() as receiver, webhooks_worker(office.settings, tmp_path):
        office.register(receiver.url, events=wanted)
        job_id = office.scenario.submit(office.client_id, 3)
        lines = office.scenario.claim(2)
        eventually(lambda: len(receiver.received) == 1)
        office.scenario.record(lines[:1])
        eventually(lambda: len(receiver.received) == 2)
        office.scenario.record(lines[1:])
        last = office.scenario.claim(1)
        time.sleep(2 * office.settings.leases.sweep_seconds)  # no second progress within five seconds
        assert len(receiver.received) == 2
        office.scenario.record(last)
        eventually(lambda: len(receiver.received) == 3)
    bodies = [json.loads(one.body) for one in receiver.received]
    assert [body["type"] for body in bodies] == [word.value for word in wanted]
    assert bodies[1]["data"]["counts"]["succeeded"] == 1
    assert {body["data"]["id"] for body in bodies} == {f"job_{job_id.hex}"}


def test_a_dead_broker_costs_a_sweep_and_no_event(
    local_settings: Settings, own_redis: LocalRedis, tmp_path: Path
) -> None:
    settings = local_settings.model_copy(update={"redis_url": SecretStr(own_redis.url)})
    with open_office(settings) as office, receiving() as receiver, webhooks_worker(settings, tmp_path):
        office.register(receiver.url)
        own_redis.kill()
        office.job()
        eventually(lambda: len(receiver.received) == 1)
        own_redis.start()
        office.job()
        eventually(lambda: len(receiver.received) == 2)
        check_events(office.sessions, receiver.received)


def test_a_database_that_dies_and_comes_back_costs_no_event(
    local_settings: Settings, own_postgres: LocalPostgres, tmp_path: Path
) -> None:
    policy = local_settings.webhooks.model_copy(update={"attempt_seconds": 2.0, "lease_seconds": 3.0})
    settings = local_settings.model_copy(update={"database_url": SecretStr(own_postgres.url), "webhooks": policy})

    def slow(handler) -> None:
        time.sleep(1.0)
        status(200)(handler)

    with open_office(settings) as office, receiving(slow) as receiver, webhooks_worker(settings, tmp_path) as worker:
        office.register(receiver.url)
        office.job()
        eventually(lambda: len(receiver.received) == 1)
        own_postgres.kill()
        eventually(lambda: "dispatch.postponed" in worker.output())
        own_postgres.start()
        eventually(lambda: len(office.deliveries(status="succeeded")) == 1, 30)
        office.job()
        eventually(lambda: len(office.deliveries(status="succeeded")) == 2, 30)
        check_events(office.sessions, receiver.received)
