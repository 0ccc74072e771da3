"""Rows A26, A28 and A32: the database restarts, drops connections and locks, and no outcome is lost."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from cli.local.postgres import LocalPostgres
from cli.migrations import migrate_database
from core.bells import Bells, lines_queue
from core.clients import create_client
from core.database import create_database_engine, create_session_factory
from core.errors import DatabaseUnavailable
from tests.integration.worker.conftest import Desk, picture
from tests.invariants import watch_transitions
from tests.processes import WorkerProcess
from tests.proxy import TcpProxy
from tests.waiting import eventually
from worker.held_lines import HeldLines
from worker.ledger import Ledger


@pytest.fixture(autouse=True)
def invariants_hold(desk: Desk) -> Iterator[None]:
    """Check after every test that every job ended, with the right texts, once."""
    yield
    desk.check_invariants()


@pytest.fixture
def own_desk(desk: Desk, own_postgres: LocalPostgres) -> Iterator[Desk]:
    """A desk over a database that the test may kill."""
    settings = desk.settings.model_copy(update={"database_url": SecretStr(own_postgres.url)})
    migrate_database(settings)
    sessions = create_session_factory(create_database_engine(settings, "test-desk"))
    with sessions.begin() as session:
        client_id = create_client(session, "desk").id
    watch_transitions(sessions)
    own = Desk(settings, sessions, desk.bells, client_id)
    yield own
    own.check_invariants()


def test_an_outcome_waits_for_a_database_that_restarts(
    own_desk: Desk, own_postgres: LocalPostgres, tmp_path: Path
) -> None:
    settings = own_desk.changed(worker={"model": "fake:3000"}, leases={"seconds": 30.0})
    with WorkerProcess(settings, tmp_path) as worker:
        job_id = own_desk.submit([picture() for _ in range(3)])
        eventually(lambda: own_desk.running(job_id) == 3, message="the lines were never claimed")
        own_postgres.kill()
        eventually(lambda: "record.postponed" in worker.output(), message="the database was never missed")
        own_postgres.start()
        own_desk.finished(job_id)
    own_desk.assert_read(job_id)
    assert {line.attempt for line in own_desk.lines(job_id)} == {1}


def test_a_worker_whose_connections_are_cut_again_and_again_reads_everything(desk: Desk, tmp_path: Path) -> None:
    settings = desk.changed(worker={"model": "fake:100", "max_batch": 4})
    with WorkerProcess(settings, tmp_path):
        job_id = desk.submit([picture() for _ in range(80)])
        with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as connection:
            for _ in range(8):
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'inkpost-worker' AND datname = current_database()"
                )
                time.sleep(0.25)
        desk.finished(job_id, 60)
    desk.assert_read(job_id)


def test_a_table_lock_delays_an_outcome_and_loses_none(desk: Desk, tmp_path: Path) -> None:
    settings = desk.changed(worker={"model": "fake:1500"}, leases={"seconds": 30.0})
    settings = settings.model_copy(update={"database_timeout_seconds": 0.5})
    with WorkerProcess(settings, tmp_path) as worker:
        job_id = desk.submit([picture()])
        eventually(lambda: desk.running(job_id) == 1, message="the line was never claimed")
        with psycopg.connect(settings.database_url.get_secret_value()) as connection:
            connection.execute("LOCK TABLE lines IN ACCESS EXCLUSIVE MODE")
            eventually(lambda: "record.postponed" in worker.output(), message="the lock was never felt")
            connection.rollback()
        desk.finished(job_id)
    desk.assert_read(job_id)
    assert desk.lines(job_id)[0].attempt == 1


def test_a_job_stored_while_the_broker_rang_nobody_is_found_by_the_sweep(desk: Desk, tmp_path: Path) -> None:
    deaf = Bells(desk.settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")}))
    job_id = desk.submit([picture()], is_ringing=False)
    assert not deaf.ring(lines_queue("fake"))
    with WorkerProcess(desk.settings, tmp_path):
        desk.finished(job_id)
    desk.assert_read(job_id)


def test_a_line_that_the_database_refuses_fails_alone_and_its_text_stays_out_of_the_log(
    desk: Desk, tmp_path: Path
) -> None:
    with psycopg.connect(desk.settings.database_url.get_secret_value(), autocommit=True) as connection:
        connection.execute("ALTER TABLE lines ADD CONSTRAINT refused CHECK (index <> 2 OR text IS NULL)")
    with WorkerProcess(desk.changed(worker={"max_batch": 4}), tmp_path) as worker:
        job_id = desk.submit([picture() for _ in range(12)])
        assert desk.finished(job_id).status == "partial"
        log = worker.output()
    desk.assert_read(job_id, but=frozenset({2}))
    assert desk.lines(job_id)[2].error_code == "recognition_failed"
    assert "record.failed" in log
    assert not [one.text for one in desk.submitted[job_id] if one.text in log]


def test_a_claim_whose_answer_was_lost_is_given_back_and_charges_nobody(desk: Desk, tmp_path: Path) -> None:
    url = desk.settings.database_url.get_secret_value()
    with TcpProxy.before(url) as proxy:
        engine = create_database_engine(
            desk.settings.model_copy(update={"database_url": SecretStr(proxy.url(url))}), "test-ledger"
        )
        ledger = Ledger(
            settings=desk.settings,
            sessions=create_session_factory(engine),
            held=HeldLines(),
            slot_id=uuid.uuid4(),
            model="fake",
            revision="fake",
        )
        known, lost = desk.submit([picture()]), desk.submit([picture() for _ in range(3)])
        assert len(ledger.claim(1)) == 1
        proxy.cut_on(b"SKIP LOCKED")  # the claim itself, which is its own transaction
        with pytest.raises(DatabaseUnavailable):
            ledger.claim(8)
        eventually(lambda: desk.running(lost) == 3, 5, "the claim was not committed")

        ledger.settle_doubt()

        engine.dispose()
    assert (desk.running(known), desk.running(lost)) == (1, 0)
    assert [(line.status, line.crash_attempts) for line in desk.lines(lost)] == [("queued", 0)] * 3
    with WorkerProcess(desk.settings, tmp_path):
        for job_id in (known, lost):
            desk.finished(job_id)
            desk.assert_read(job_id)
