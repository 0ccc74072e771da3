"""The facade while its database and broker fail. What workers make of it is tested with them."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from core.settings import Settings
from core.tables import Job
from tests.integration.api.conftest import Bench, Facade, line, open_facade
from tests.processes import ApiProcess
from tests.proxy import TcpProxy
from tests.waiting import eventually

BODY = {"lines": [line("a")]}
KEY = {"Idempotency-Key": "once"}


@pytest.fixture
def database(settings: Settings) -> Iterator[TcpProxy]:
    with TcpProxy.before(settings.database_url.get_secret_value()) as proxy:
        yield proxy


@pytest.fixture
def broker(settings: Settings) -> Iterator[TcpProxy]:
    with TcpProxy.before(settings.redis_url.get_secret_value()) as proxy:
        yield proxy


@pytest.fixture
def facade(settings: Settings, database: TcpProxy, broker: TcpProxy) -> Iterator[Facade]:
    """Give a facade that reaches its database and its broker through proxies."""
    through = {
        "database_url": SecretStr(database.url(settings.database_url.get_secret_value())),
        "redis_url": SecretStr(broker.url(settings.redis_url.get_secret_value())),
        "database_timeout_seconds": 1.0,
    }
    with open_facade(settings.model_copy(update=through)) as facade:
        yield facade


@pytest.fixture
def direct(settings: Settings) -> Iterator[psycopg.Connection]:
    """Give a connection that no proxy stands before."""
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as connection:
        yield connection


def timed(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


@pytest.mark.parametrize("fault", ["reset", "blackhole"])
def test_a_broker_that_is_away_delays_no_submission_for_long(caller, broker, fault):
    caller.submitted()
    getattr(broker, fault)()
    seconds = [timed(caller.submitted) for _ in range(6)]
    assert max(seconds) < 1.5  # the budget of a bell is 0.5 s, and after a failure it is left alone for a second
    ready = caller("GET", "/readyz")
    assert (ready.status_code, ready.json["status"], ready.json["broker"]) == (200, "degraded", "unreachable")
    broker.pass_through()
    eventually(lambda: caller("GET", "/readyz").json["status"] == "ok")


def test_a_database_that_is_away_is_said_at_once_and_its_return_is_noticed(caller, database):
    job_id = caller.submitted()
    database.reset()
    for method, path, options in [
        ("POST", "/v1/jobs", {"json": BODY}),
        ("GET", f"/v1/jobs/{job_id}", {}),
        ("GET", f"/v1/jobs/{job_id}?wait=30", {}),
        ("GET", "/v1/jobs", {}),
        ("GET", "/v1/models", {}),
        ("DELETE", f"/v1/jobs/{job_id}", {}),
    ]:
        started = time.monotonic()
        answer = caller(method, path, **options)
        assert answer.status_code == 503, (method, path)
        assert int(answer.headers["Retry-After"]) >= 1
        assert time.monotonic() - started < 3
    assert caller("GET", "/livez").status_code == 200
    ready = caller("GET", "/readyz")
    assert (ready.status_code, ready.json["database"]) == (503, "unreachable")

    database.pass_through()

    assert caller("GET", f"/v1/jobs/{job_id}").json["status"] == "queued"
    assert caller("GET", "/readyz").status_code == 200


def test_connections_that_the_server_has_ended_cost_no_request(caller, direct):
    for _ in range(5):
        caller.submitted()
        ended = direct.execute(
            "SELECT count(pg_terminate_backend(pid, 1000)) FROM pg_stat_activity WHERE application_name = 'inkpost-api'"
        ).fetchone()
        assert ended is not None
        assert ended[0] >= 1
        assert caller("GET", "/v1/jobs").status_code == 200


def test_a_connection_cut_during_the_commit_is_told_and_a_retry_gets_the_one_job(caller, bench, database):
    caller("GET", "/v1/jobs")
    database.cut_on(b"COMMIT")
    cut = caller("POST", "/v1/jobs", json=BODY, headers=KEY)
    assert cut.status_code == 503
    assert database.has_cut
    again = caller("POST", "/v1/jobs", json=BODY, headers=KEY)
    assert again.status_code == 202
    with bench.sessions() as session:
        assert [f"job_{job.id.hex}" for job in session.query(Job)] == [again.json["id"]]


def test_a_locked_table_is_said_and_nothing_hangs(caller, direct):
    with direct.transaction():
        direct.execute("LOCK TABLE lines")
        answer = caller("POST", "/v1/jobs", json=BODY)
        assert (answer.status_code, answer.json["code"]) == (503, "database_unavailable")
    assert caller("POST", "/v1/jobs", json=BODY).status_code == 202


def test_more_callers_than_connections_are_told_to_come_back(settings, direct):
    small = settings.model_copy(update={"database_pool_size": 2, "database_timeout_seconds": 1.0})
    with open_facade(small) as facade, ThreadPoolExecutor(20) as pool:
        with direct.transaction():
            direct.execute("LOCK TABLE lines")
            started = time.monotonic()
            answers = list(pool.map(lambda _: facade.caller.submit(), range(20)))
            assert time.monotonic() - started < 15  # each waits a second at most, for a connection or for the lock
        assert {answer.status_code for answer in answers} == {503}
        assert "overloaded" in {answer.json["code"] for answer in answers}
        assert facade.caller.submit().status_code == 202


def test_a_read_only_database_is_said_while_jobs_can_still_be_read(caller, direct, settings):
    """As a full disk or a failover looks from here: writes fail in a way that passes."""
    job_id = caller.submitted()
    name = settings.database_url.get_secret_value().rsplit("/", 1)[1]
    direct.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    direct.execute(
        "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE application_name = 'inkpost-api'"
    )
    answer = caller("POST", "/v1/jobs", json=BODY)
    assert (answer.status_code, answer.json["code"]) == (503, "database_unavailable")
    assert caller("GET", f"/v1/jobs/{job_id}").status_code == 200


def test_long_polls_hear_of_finished_jobs_again_after_the_database_was_away(caller, bench, database):
    caller("GET", f"/v1/jobs/{caller.submitted()}?wait=0.1")  # starts the listener
    database.reset()
    database.pass_through()
    job_id = caller.submitted()
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(caller, "GET", f"/v1/jobs/{job_id}?wait=20")
        time.sleep(0.3)  # let it wait; were it late, it would find the job finished, which is right too
        while bench.read_lines():
            pass
        assert poll.result(10).json["status"] == "succeeded"


@pytest.mark.parametrize("failpoint", ["api.before_commit", "api.after_commit", "api.after_bell"])
def test_a_process_killed_while_it_submits_leaves_no_job_or_one(
    settings: Settings, tmp_path: Path, failpoint: str
) -> None:
    dying = settings.model_copy(update={"failpoints": failpoint})
    with open_facade(settings) as facade:
        bench: Bench = facade.bench
        headers = {"Authorization": f"Bearer {facade.caller.key}", "Content-Type": "application/json", **KEY}
        body = json.dumps(BODY).encode()
        with ApiProcess(dying, tmp_path, processes=1, threads=4) as process, pytest.raises(httpx.TransportError):
            httpx.post(f"{process.url}/v1/jobs", content=body, headers=headers, timeout=10)
        with bench.sessions() as session:
            left = [f"job_{job.id.hex}" for job in session.query(Job)]
        assert len(left) == (0 if failpoint == "api.before_commit" else 1)
        again = facade.caller("POST", "/v1/jobs", data=body, headers=headers)
        assert again.status_code == 202
        with bench.sessions() as session:
            assert [f"job_{job.id.hex}" for job in session.query(Job)] == [again.json["id"]]
        assert left in ([], [again.json["id"]])


def test_a_database_that_crashes_under_load_loses_nothing_that_was_accepted(own_postgres, redis_url):
    settings = Settings(database_url=SecretStr(own_postgres.url), redis_url=SecretStr(redis_url), default_model="fake")
    with open_facade(settings) as facade, ThreadPoolExecutor(4) as pool:
        accepted: list[str] = []
        refused: list[int] = []
        until = time.monotonic() + 4.0

        def submit(_: int) -> None:
            while time.monotonic() < until:
                answer = facade.caller.submit()
                if answer.status_code == 202:
                    accepted.append(answer.json["id"])
                else:
                    refused.append(answer.status_code)
                    time.sleep(0.02)

        loads = [pool.submit(submit, index) for index in range(4)]
        time.sleep(0.7)
        own_postgres.kill()
        own_postgres.start()
        for load in loads:
            load.result(30)
        assert set(refused) <= {503}
        assert accepted
        for job_id in accepted:
            assert facade.caller("GET", f"/v1/jobs/{job_id}").status_code == 200
