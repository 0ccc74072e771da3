"""Presence: which models can be asked for, and how many workers would answer."""

import uuid

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.housekeeping import tidy
from core.presence import is_served, say_alive, say_goodbye, served_models
from core.settings import Settings
from core.tables import WorkerPresence


@pytest.fixture
def worker() -> WorkerPresence:
    return _worker()


def _worker(revision: str = "r1", model: str = "fake") -> WorkerPresence:
    return WorkerPresence(
        slot=uuid.uuid4(), model=model, model_revision=revision, device="cpu", precision="float32", host="here", pid=1
    )


def _say_alive(sessions: sessionmaker[Session], *workers: WorkerPresence) -> None:
    for worker in workers:
        with sessions.begin() as session:
            say_alive(session, worker)


def _served(sessions: sessionmaker[Session]) -> list[tuple[str, str, int]]:
    with sessions() as session:
        return [(m.name, m.revision, m.live_workers) for m in served_models(session, sweep_seconds=5)]


def _age(sessions: sessionmaker[Session], interval: str) -> None:
    with sessions.begin() as session:
        session.execute(
            text(
                f"UPDATE workers SET seen_at = seen_at - interval '{interval}', "
                f"started_at = started_at - interval '{interval}', left_at = left_at - interval '{interval}'"
            )
        )


def test_workers_are_counted_for_each_model(sessions: sessionmaker[Session]) -> None:
    _say_alive(sessions, _worker(), _worker(), _worker(model="other"))

    assert _served(sessions) == [("fake", "r1", 2), ("other", "r1", 1)]


def test_a_model_shows_the_revision_of_its_latest_worker(sessions: sessionmaker[Session]) -> None:
    _say_alive(sessions, _worker("r2"), _worker("r1"))

    assert _served(sessions) == [("fake", "r1", 2)]


def test_saying_alive_again_is_the_same_worker(sessions: sessionmaker[Session], worker: WorkerPresence) -> None:
    _say_alive(sessions, worker, worker)

    assert _served(sessions) == [("fake", "r1", 1)]


def test_a_silent_worker_stops_counting(sessions: sessionmaker[Session], worker: WorkerPresence) -> None:
    _say_alive(sessions, worker)
    _age(sessions, "1 minute")

    assert _served(sessions) == [("fake", "r1", 0)]


def test_a_worker_that_said_goodbye_stops_counting_at_once_and_can_come_back(
    sessions: sessionmaker[Session], worker: WorkerPresence
) -> None:
    _say_alive(sessions, worker)
    with sessions.begin() as session:
        say_goodbye(session, worker.slot)
    left = _served(sessions)
    _say_alive(sessions, worker)

    assert left == [("fake", "r1", 0)]
    assert _served(sessions) == [("fake", "r1", 1)]


def test_a_model_whose_worker_lived_long_and_ended_is_still_known(
    sessions: sessionmaker[Session], worker: WorkerPresence, database_settings: Settings
) -> None:
    _say_alive(sessions, worker)
    _age(sessions, "30 days")
    _say_alive(sessions, worker)
    with sessions.begin() as session:
        say_goodbye(session, worker.slot)

    with sessions.begin() as session:
        tidy(session, database_settings)

    with sessions() as session:
        assert is_served(session, "fake")


def test_a_model_that_nobody_served_for_a_week_is_forgotten(
    sessions: sessionmaker[Session], worker: WorkerPresence, database_settings: Settings
) -> None:
    _say_alive(sessions, worker)
    _age(sessions, "8 days")

    with sessions.begin() as session:
        tidy(session, database_settings)

    with sessions() as session:
        assert not is_served(session, "fake")
    assert _served(sessions) == []
