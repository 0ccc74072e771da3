"""Idempotency keys: one key, one job, however many requests carry it at once."""

import hashlib
import threading
import uuid

import pytest
from sqlalchemy import text

from core.errors import Gone, IdempotencyInFlight, IdempotencyMismatch
from core.idempotency import recall_answer, remember_answer
from core.jobs import NewJob, NewLine, create_job
from tests.integration.core.scenario import MODEL, Scenario, at_once
from tests.invariants import check_invariants

NEW = NewJob(model=MODEL, lines=[NewLine(b"one", "image/png")], retention_seconds=60)


def _post(scenario: Scenario, client_id: uuid.UUID, key: str, body: bytes = b"{}") -> tuple[str, str]:
    """Do what a POST does: recall, or create and remember, in one transaction."""
    digest = hashlib.sha256(body).digest()
    with scenario.sessions.begin() as session:
        answer = recall_answer(session, client_id, key, digest)
        if answer is not None:
            return "replayed", answer["id"]
        job = create_job(session, client_id, NEW)
        remember_answer(session, client_id, key, body_sha256=digest, job_id=job.id, answer={"id": str(job.id)})
        return "created", str(job.id)


def test_the_same_key_and_body_give_the_same_job(scenario: Scenario, client_id: uuid.UUID) -> None:
    first, second = _post(scenario, client_id, "k"), _post(scenario, client_id, "k")

    assert (first[0], second[0]) == ("created", "replayed")
    assert first[1] == second[1]


def test_twenty_posts_at_once_make_one_job(scenario: Scenario, client_id: uuid.UUID) -> None:
    """B61."""
    start = threading.Barrier(20)

    def post() -> tuple[str, str]:
        start.wait()
        return _post(scenario, client_id, "k")

    answers = at_once(*[post] * 20)

    words = [answer if isinstance(answer, tuple) else type(answer) for answer in answers]
    told = [answer for answer in words if isinstance(answer, tuple)]
    assert [word for word, _ in told].count("created") == 1
    assert {word for word in words if not isinstance(word, tuple)} <= {IdempotencyInFlight}
    assert scenario.scalar("SELECT count(*) FROM jobs") == 1
    job_ids = {uuid.UUID(job_id) for _, job_id in told}
    scenario.drain()
    check_invariants(scenario.sessions, {job_id: ["reading of one"] for job_id in job_ids}, answered={"k": job_ids})


def test_another_body_under_the_same_key_is_refused(scenario: Scenario, client_id: uuid.UUID) -> None:
    """B60."""
    _post(scenario, client_id, "k")

    with pytest.raises(IdempotencyMismatch):
        _post(scenario, client_id, "k", b"another")


def test_two_clients_may_choose_the_same_key(scenario: Scenario, client_id: uuid.UUID) -> None:
    other = scenario.client("other")

    assert _post(scenario, client_id, "k")[1] != _post(scenario, other, "k")[1]


def test_a_key_in_flight_says_so(scenario: Scenario, client_id: uuid.UUID) -> None:
    with scenario.sessions() as slow:
        assert recall_answer(slow, client_id, "k", b"") is None

        with pytest.raises(IdempotencyInFlight):
            _post(scenario, client_id, "k")


def test_a_request_that_died_before_its_commit_leaves_the_key_free(scenario: Scenario, client_id: uuid.UUID) -> None:
    """A33: its backend is cut off, as by a kill -9 of the API."""
    with scenario.sessions() as doomed:
        assert recall_answer(doomed, client_id, "k", b"") is None
        create_job(doomed, client_id, NEW)
        process_id = doomed.execute(text("SELECT pg_backend_pid()")).scalar_one()
        scenario.scalar("SELECT pg_terminate_backend(:pid, 5000)", pid=process_id)
        doomed.invalidate()

    assert _post(scenario, client_id, "k")[0] == "created"
    assert scenario.scalar("SELECT count(*) FROM jobs") == 1


def test_the_key_of_a_deleted_job_says_that_it_is_gone(scenario: Scenario, client_id: uuid.UUID) -> None:
    _, job_id = _post(scenario, client_id, "k")
    scenario.delete(client_id, uuid.UUID(job_id))

    with pytest.raises(Gone):
        _post(scenario, client_id, "k")
    assert scenario.scalar("SELECT count(*) FROM idempotency_keys WHERE answer IS NOT NULL") == 0
