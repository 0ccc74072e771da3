"""Jobs as their clients see them: found, listed, canceled, deleted, expired."""

import contextlib
import datetime as dt
import threading
import uuid

import pytest
from sqlalchemy import Engine, event, text

from core.errors import AlreadyTerminal, Gone, NotFound
from core.jobs import cancel_job, count_running, delete_job, find_job, list_jobs, list_lines
from core.words import JobStatus, LineStatus, Priority
from tests.integration.core.scenario import Scenario, at_once
from tests.invariants import check_invariants


def _find(scenario: Scenario, client_id: uuid.UUID, job_id: uuid.UUID) -> JobStatus:
    with scenario.sessions() as session:
        return JobStatus(find_job(session, client_id, job_id).status)


def _expire(scenario: Scenario) -> None:
    with scenario.sessions.begin() as session:
        session.execute(text("UPDATE jobs SET expires_at = now() - interval '1 second'"))


def test_a_new_job_is_queued_with_all_its_lines(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(
        client_id, 3, client_reference="form 7", metadata={"a": "b"}, priority=Priority.BULK, review_threshold=0.25
    )

    job = scenario.job(job_id)
    assert (job.status, job.lines_total, job.client_reference, job.client_metadata) == (
        "queued",
        3,
        "form 7",
        {"a": "b"},
    )
    assert (job.priority, job.review_threshold) == (2, 0.25)
    assert [(line.index, line.status) for line in scenario.lines(job_id)] == [
        (0, "queued"),
        (1, "queued"),
        (2, "queued"),
    ]
    assert scenario.scalar("SELECT string_agg(convert_from(data, 'UTF8'), ',' ORDER BY index) FROM line_images") == (
        "line 0,line 1,line 2"
    )


def test_images_arrive_byte_for_byte(scenario: Scenario, client_id: uuid.UUID) -> None:
    images = [bytes(range(256)), b"", b"\\x00", b'{"a",NULL}', b"\0" * 3, bytes(100_000)]
    scenario.submit(client_id, images)

    assert [line.image for line in scenario.claim()] == images


def test_a_job_of_a_thousand_lines_is_stored_by_one_statement(scenario: Scenario, client_id: uuid.UUID) -> None:
    statements: list[str] = []
    event.listen(Engine, "before_cursor_execute", note := lambda *of: statements.append(of[2]))
    try:
        job_id = scenario.submit(client_id, 1_000)
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    assert [statement for statement in statements if "INSERT" in statement.upper()] == statements[-1:]
    assert len(scenario.lines(job_id)) == 1_000


def test_a_job_of_another_client_looks_like_none(scenario: Scenario, client_id: uuid.UUID) -> None:
    """B6."""
    other = scenario.client("other")
    job_id = scenario.submit(client_id)

    for look in (_find, Scenario.cancel, Scenario.delete):
        with pytest.raises(NotFound):
            look(scenario, other, job_id)
    assert _find(scenario, client_id, job_id) == "queued"


def test_a_job_that_never_was_is_not_found(scenario: Scenario, client_id: uuid.UUID) -> None:
    for look in (_find, Scenario.cancel, Scenario.delete):
        with pytest.raises(NotFound):
            look(scenario, client_id, uuid.uuid4())


def test_canceling_ends_the_job_and_keeps_what_was_read(scenario: Scenario, client_id: uuid.UUID) -> None:
    """A41."""
    job_id = scenario.submit(client_id, 4, retention_seconds=60)
    done, running = scenario.claim(1), scenario.claim(1)
    scenario.record(done)

    scenario.cancel(client_id, job_id)

    job = scenario.job(job_id)
    assert (job.status, job.lines_succeeded, job.lines_canceled) == ("canceled", 1, 3)
    assert job.finished_at is not None
    assert job.expires_at is not None
    assert job.expires_at - job.finished_at == dt.timedelta(seconds=60)
    assert [line.status for line in scenario.lines(job_id)] == ["succeeded"] + ["canceled"] * 3
    assert scenario.record(running) == 1, "the worker's result is dropped"
    assert scenario.claim() == []
    check_invariants(scenario.sessions, {job_id: [f"reading of line {index}" for index in range(4)]})


def test_canceling_forgets_the_images_when_images_are_not_kept(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, 2)
    with scenario.sessions.begin() as session:
        cancel_job(session, client_id, job_id, keep_images=False)

    assert scenario.scalar("SELECT count(*) FROM line_images") == 0


def test_a_finished_job_cannot_be_canceled(scenario: Scenario, client_id: uuid.UUID) -> None:
    """B67."""
    done, canceled = scenario.submit(client_id), scenario.submit(client_id)
    scenario.record(scenario.claim(1))
    scenario.cancel(client_id, canceled)

    for job_id in (done, canceled):
        with pytest.raises(AlreadyTerminal):
            scenario.cancel(client_id, job_id)


def test_a_job_that_finished_since_it_was_looked_at_cannot_be_canceled(
    scenario: Scenario, client_id: uuid.UUID
) -> None:
    job_id = scenario.submit(client_id)
    with scenario.sessions() as session:
        seen = find_job(session, client_id, job_id)
        assert seen.status == "queued"
        scenario.drain()

        with pytest.raises(AlreadyTerminal):
            cancel_job(session, client_id, job_id)


def test_canceling_at_once_with_recording_leaves_one_truth(scenario: Scenario, client_id: uuid.UUID) -> None:
    jobs = [scenario.submit(client_id, 2) for _ in range(20)]
    lines = scenario.claim(40)
    start = threading.Barrier(2)

    def cancel() -> None:
        start.wait()
        for job_id in jobs:
            with contextlib.suppress(AlreadyTerminal):
                scenario.cancel(client_id, job_id)

    def record() -> None:
        start.wait()
        for line in lines[::-1]:
            scenario.record([line])

    assert at_once(cancel, record) == [None, None]
    check_invariants(scenario.sessions, {job_id: ["reading of line 0", "reading of line 1"] for job_id in jobs})


def test_a_deleted_job_leaves_no_bytes_and_says_that_it_was_there(scenario: Scenario, client_id: uuid.UUID) -> None:
    """A41."""
    job_id = scenario.submit(client_id, 3, client_reference="Okafor", metadata={"name": "Okafor"})
    done, running = scenario.claim(1), scenario.claim(1)
    scenario.record(done)

    scenario.delete(client_id, job_id)

    with pytest.raises(Gone):
        _find(scenario, client_id, job_id)
    assert scenario.record(running) == 1, "the worker's result is dropped"
    job = scenario.job(job_id)
    assert (job.client_reference, job.client_metadata) == (None, {})
    check_invariants(scenario.sessions, {job_id: []}, deleted=[job_id])


def test_deleting_twice_does_nothing_more(scenario: Scenario, client_id: uuid.UUID) -> None:
    """B67."""
    job_id = scenario.submit(client_id)

    scenario.delete(client_id, job_id)
    first = scenario.job(job_id).gone_at
    scenario.delete(client_id, job_id)

    assert scenario.job(job_id).gone_at == first


def test_a_deleted_job_keeps_the_word_it_ended_with(scenario: Scenario, client_id: uuid.UUID) -> None:
    done, running = scenario.submit(client_id), scenario.submit(client_id)
    scenario.record(scenario.claim(1))

    for job_id in (done, running):
        scenario.delete(client_id, job_id)

    assert (scenario.job(done).status, scenario.job(running).status) == ("succeeded", "canceled")


def test_a_deleted_job_cannot_be_canceled(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id)
    scenario.delete(client_id, job_id)

    with pytest.raises(Gone):
        scenario.cancel(client_id, job_id)


def test_a_result_is_gone_at_its_time_even_before_a_sweep(scenario: Scenario, client_id: uuid.UUID) -> None:
    """B66."""
    job_id = scenario.submit(client_id)
    scenario.drain()
    _expire(scenario)

    with pytest.raises(Gone):
        _find(scenario, client_id, job_id)
    with scenario.sessions() as session:
        assert list_jobs(session, client_id, limit=10) == []


def test_jobs_are_listed_newest_first_and_page_by_page(scenario: Scenario, client_id: uuid.UUID) -> None:
    jobs = [scenario.submit(client_id) for _ in range(5)]
    scenario.submit(scenario.client("other"))

    with scenario.sessions() as session:
        first = [job.id for job in list_jobs(session, client_id, limit=3)]
        rest = [job.id for job in list_jobs(session, client_id, limit=3, before=first[-1])]

    assert first + rest == jobs[::-1]


def test_jobs_are_listed_by_status_reference_and_time(scenario: Scenario, client_id: uuid.UUID) -> None:
    done = scenario.submit(client_id, client_reference="x")
    scenario.drain()
    gone, queued = scenario.submit(client_id), scenario.submit(client_id)
    scenario.delete(client_id, gone)
    created_at = scenario.job(done).created_at

    with scenario.sessions() as session:
        by_status = list_jobs(session, client_id, limit=9, status=JobStatus.QUEUED)
        by_reference = list_jobs(session, client_id, limit=9, client_reference="x")
        by_time = list_jobs(session, client_id, limit=9, created_after=created_at)

    assert [[job.id for job in jobs] for jobs in (by_status, by_reference, by_time)] == [[queued], [done], [queued]]


def test_lines_are_listed_by_index_status_and_review(scenario: Scenario, client_id: uuid.UUID) -> None:
    job_id = scenario.submit(client_id, [b"a", b"damaged", b"c", b"d"], review_threshold=0.95)
    scenario.record(scenario.claim(3))

    with scenario.sessions() as session:
        page = list_lines(session, job_id, limit=2, after=0)
        failed = list_lines(session, job_id, status=LineStatus.FAILED)
        review = list_lines(session, job_id, needs_review=True)
        calm = list_lines(session, job_id, needs_review=False)

    indexes = [[line.index for line in lines] for lines in (page, failed, review, calm)]
    assert indexes == [[1, 2], [1], [0, 2], [1, 3]]


def test_running_lines_are_counted_for_each_job(scenario: Scenario, client_id: uuid.UUID) -> None:
    busy, idle = scenario.submit(client_id, 3), scenario.submit(client_id, 1)
    scenario.claim(2)

    with scenario.sessions() as session:
        assert count_running(session, [busy, idle]) == {busy: 2}


def test_a_job_is_deleted_while_its_lines_are_claimed(scenario: Scenario, client_id: uuid.UUID) -> None:
    jobs = [scenario.submit(client_id, 10) for _ in range(10)]
    start = threading.Barrier(2)

    def delete() -> None:
        start.wait()
        for job_id in jobs:
            with scenario.sessions.begin() as session:
                delete_job(session, client_id, job_id)

    def work() -> None:
        start.wait()
        while lines := scenario.claim(7):
            scenario.record(lines)

    assert at_once(delete, work) == [None, None]
    check_invariants(scenario.sessions, {job_id: [] for job_id in jobs}, deleted=jobs)
