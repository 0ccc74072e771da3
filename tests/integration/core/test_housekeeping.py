"""Housekeeping: what one sweep does, and that two of them do no harm."""

import hashlib
import uuid

import pytest
from sqlalchemy import text

from core import housekeeping
from core.housekeeping import Sweep, sweep, tidy
from core.idempotency import recall_answer, remember_answer
from core.settings import Settings
from tests.integration.core.scenario import Scenario
from tests.invariants import check_invariants


@pytest.fixture
def clean(scenario: Scenario, database_settings: Settings):
    """Give a function that sweeps once."""

    def sweep_once() -> Sweep | None:
        with scenario.sessions.begin() as session:
            return sweep(session, database_settings)

    return sweep_once


@pytest.fixture
def tidied(scenario: Scenario, database_settings: Settings):
    """Give a function that tidies once and returns how many jobs expired."""

    def tidy_once() -> int:
        with scenario.sessions.begin() as session:
            return tidy(session, database_settings)

    return tidy_once


def _change(scenario: Scenario, statement: str) -> None:
    with scenario.sessions.begin() as session:
        session.execute(text(statement))


def test_a_sweep_of_an_empty_house_does_nothing(clean) -> None:
    assert clean() == Sweep()


def test_a_sweep_recovers_and_asks_for_bells(scenario: Scenario, client_id: uuid.UUID, clean) -> None:
    scenario.submit(client_id, 2)
    scenario.submit(client_id, 1, model="another")
    scenario.submit(client_id, 1, model="a third")
    scenario.claim()
    scenario.expire_leases()
    scenario.claim(model="a third")

    done = clean()

    assert done is not None
    assert done.recovered.requeued == 2
    assert done.waiting_models == ("another", "fake")


def test_a_model_without_queued_lines_needs_no_bell(scenario: Scenario, client_id: uuid.UUID, clean) -> None:
    scenario.submit(client_id, 2)
    scenario.claim()

    assert clean().waiting_models == ()


def test_only_one_process_sweeps_at_a_time(scenario: Scenario, database_settings: Settings, clean) -> None:
    with scenario.sessions() as busy:
        assert sweep(busy, database_settings) is not None
        assert clean() is None
        busy.commit()

    assert clean() is not None


def test_a_sweeper_that_died_in_its_sweep_leaves_the_turn_to_the_next(
    scenario: Scenario, client_id: uuid.UUID, database_settings: Settings, clean
) -> None:
    """A36."""
    job_id = scenario.submit(client_id, 1)
    scenario.claim()
    scenario.expire_leases()
    with scenario.sessions() as doomed:
        assert sweep(doomed, database_settings).recovered.requeued == 1
        process_id = doomed.execute(text("SELECT pg_backend_pid()")).scalar_one()
        scenario.scalar("SELECT pg_terminate_backend(:pid, 5000)", pid=process_id)
        doomed.invalidate()

    assert clean().recovered.requeued == 1
    scenario.drain()
    check_invariants(scenario.sessions, {job_id: ["reading of line 0"]})


def test_trouble_with_old_rows_keeps_no_live_line_waiting(
    scenario: Scenario, client_id: uuid.UUID, database_settings: Settings, clean
) -> None:
    scenario.submit(client_id, 1)
    scenario.claim()
    scenario.expire_leases()
    with scenario.sessions() as stuck:
        tidy(stuck, database_settings)

        assert clean().recovered.requeued == 1


def test_what_has_expired_is_forgotten(scenario: Scenario, client_id: uuid.UUID, tidied) -> None:
    """I8, B66."""
    old, young, running = scenario.submit(client_id, 3), scenario.submit(client_id, 1), scenario.submit(client_id, 1)
    scenario.record(scenario.claim(4))
    _change(scenario, f"UPDATE jobs SET expires_at = now() - interval '1 s' WHERE id = '{old}'")

    assert tidied() == 1

    assert tidied() == 0
    assert [len(scenario.lines(job_id)) for job_id in (old, young, running)] == [0, 1, 1]
    assert scenario.scalar("SELECT count(*) FROM line_images") == 2


def test_a_sweep_forgets_no_more_than_it_can_do_quickly(
    scenario: Scenario, client_id: uuid.UUID, tidied, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "_EXPIRED_LINES_PER_SWEEP", 10)
    for lines in (15, 5, 5, 5):
        scenario.submit(client_id, lines)
    scenario.drain()
    _change(scenario, "UPDATE jobs SET expires_at = now() - interval '1 s'")

    assert [tidied() for _ in range(4)] == [1, 2, 1, 0]


def test_a_job_that_somebody_holds_is_forgotten_at_the_next_sweep(
    scenario: Scenario, client_id: uuid.UUID, tidied
) -> None:
    scenario.submit(client_id)
    scenario.drain()
    _change(scenario, "UPDATE jobs SET expires_at = now() - interval '1 s'")
    with scenario.sessions() as holder:
        holder.execute(text("SELECT FROM jobs FOR UPDATE"))
        assert tidied() == 0

    assert tidied() == 1


def test_old_idempotency_keys_and_tombstones_are_purged(scenario: Scenario, client_id: uuid.UUID, tidied) -> None:
    jobs = [scenario.submit(client_id) for _ in range(3)]
    digest = hashlib.sha256(b"").digest()
    for key, job_id in zip(("old", "new"), jobs, strict=False):
        with scenario.sessions.begin() as session:
            remember_answer(session, client_id, key, body_sha256=digest, job_id=job_id, answer={"id": str(job_id)})
    scenario.delete(client_id, jobs[2])
    _change(scenario, "UPDATE idempotency_keys SET created_at = now() - interval '25 hours' WHERE key = 'old'")
    _change(scenario, f"UPDATE jobs SET gone_at = now() - interval '31 days' WHERE id = '{jobs[2]}'")

    tidied()

    with scenario.sessions() as session:
        assert recall_answer(session, client_id, "old", digest) is None
        assert recall_answer(session, client_id, "new", digest) == {"id": str(jobs[1])}
    assert scenario.scalar("SELECT count(*) FROM jobs") == 2
