"""The outbox: events are rows of the transaction that ends a job, whatever becomes of it, and go in their time."""

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis
from sqlalchemy import event, text

from core.bells import WEBHOOKS_QUEUE
from core.claims import Outcome, record_outcomes
from core.documents.claims import claim_document, record_cut
from core.housekeeping import sweep, tidy
from core.ids import new_uuid
from core.transcription import Transcription
from core.words import EventType, Include
from tests.cut_forms import FORM
from tests.integration.core.scenario import outcome_of
from tests.integration.documents.paperwork import Paperwork
from tests.integration.webhooks.conftest import PostOffice
from tests.waiting import eventually

URL = "http://127.0.0.1:9/hook"  # nobody listens there, and nothing is sent here


def test_a_transaction_that_is_rolled_back_tells_nobody(office: PostOffice) -> None:
    office.register(URL)
    office.scenario.submit(office.client_id)
    lines = office.scenario.claim()
    with office.sessions() as session:
        record_outcomes(session, [outcome_of(line) for line in lines], keep_images=True)
        session.rollback()
    assert office.events() == []
    with redis.Redis.from_url(office.settings.redis_url.get_secret_value()) as broker:
        assert broker.llen(WEBHOOKS_QUEUE) == 0
        office.scenario.record(lines)
        assert broker.llen(WEBHOOKS_QUEUE) == 1
    assert len(office.events()) == 1


def test_every_ending_is_told_once_however_many_end_it(office: PostOffice) -> None:
    office.register(URL)
    job_ids = [office.scenario.submit(office.client_id, 3) for _ in range(20)]
    lines = office.scenario.claim(100)

    def finish(number: int) -> None:
        if number == 0:
            for job_id in job_ids[::4]:
                try:
                    office.scenario.cancel(office.client_id, job_id)
                except Exception:  # noqa: BLE001 - it had ended already
                    continue
        office.scenario.record(lines[number::6])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(finish, range(6)))
    assert sorted(one.job_id.hex for one in office.events() if one.job_id) == sorted(job.hex for job in job_ids)
    for one in office.events():
        assert one.type == f"job.{office.scenario.job(one.job_id or uuid.UUID(int=0)).status}"


def test_an_event_about_a_form_tells_of_its_document_and_with_results_of_its_pages(office: PostOffice) -> None:
    office.register(URL, include=Include.RESULTS)
    Paperwork(office.scenario).submit(office.client_id)
    with office.sessions.begin() as session:
        claimed = claim_document(session, slot=new_uuid(), lease_seconds=30)
        assert claimed is not None
        record_cut(session, claimed.lease, FORM, keep_images=True)
    lines = office.scenario.claim()
    office.scenario.record([Outcome(line, Transcription("read", 0.9, 0.9)) for line in lines])
    [ended] = office.events()
    summary, whole = (json.loads(body)["data"] for body in (ended.body, ended.body_with_lines or b"{}"))
    assert summary["document"] == {
        "status": "succeeded", "asked": {"cut": "auto", "pages": None}, "cut": "field", "template": None,
    }  # fmt: skip
    assert [page["number"] for page in whole["document"]["pages"]] == [1, 2]
    assert [field["name"] for field in whole["document"]["skipped"]] == ["married"]
    assert [line["source"] for line in whole["lines"]] == ["recognised", "recognised", "typed"]


def test_a_batch_that_ends_many_jobs_costs_as_many_statements_as_one(office: PostOffice) -> None:
    office.register(URL)

    def statements_for(jobs: int) -> int:
        for _ in range(jobs):
            office.scenario.submit(office.client_id)
        lines = office.scenario.claim(jobs)
        counted: list[str] = []
        engine = office.sessions.kw["bind"]
        event.listen(engine, "before_cursor_execute", lambda *args: counted.append(args[2]))
        office.scenario.record(lines)
        return len(counted)

    one, many = statements_for(1), statements_for(40)
    assert many == one
    assert len(office.events()) == 41


def test_a_job_that_is_deleted_while_it_runs_has_no_event(office: PostOffice) -> None:
    office.register(URL)
    job_id = office.scenario.submit(office.client_id)
    lines = office.scenario.claim()
    office.scenario.delete(office.client_id, job_id)
    assert office.scenario.record(lines) == 1
    assert office.events() == []


def test_an_endpoint_that_is_deleted_while_a_job_ends_disturbs_nothing(office: PostOffice) -> None:
    office.register(URL)
    job_id = office.scenario.submit(office.client_id)
    lines = office.scenario.claim()
    deletion = Deletion(office)

    def delete_first(*arguments: Any) -> None:
        if arguments[2].startswith("INSERT INTO events") and not deletion.is_alive():
            deletion.start()
            eventually(lambda: deletion.is_over or deletion.is_waiting)

    engine = office.sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", delete_first)
    office.scenario.record(lines)
    deletion.join(10)
    assert deletion.is_over
    assert office.scenario.job(job_id).status == "succeeded"
    assert (len(office.events()), office.deliveries()) == (1, [])


def test_a_job_that_ends_does_not_wait_for_an_endpoint_that_is_being_deleted(office: PostOffice) -> None:
    endpoint = office.register(URL)
    job_id = office.scenario.submit(office.client_id, webhook=office.webhook("http://127.0.0.1:9/job"))
    with office.sessions.begin() as session:
        session.execute(text("DELETE FROM webhook_endpoints WHERE id = :id"), {"id": endpoint.id})
        office.scenario.drain()
        assert office.scenario.job(job_id).status == "succeeded"
    (planned,) = office.deliveries()
    assert planned.endpoint_id != endpoint.id


def test_progress_is_told_every_five_seconds_at_most_and_only_when_there_is_some(office: PostOffice) -> None:
    office.register(URL, events=(EventType.JOB_PROGRESS,))
    office.scenario.submit(office.client_id, 4)
    lines = office.scenario.claim(4)

    def told() -> int:
        with office.sessions.begin() as session:
            sweep(session, office.settings)
        return len(office.deliveries())

    assert told() == 0  # nothing has finished
    office.scenario.record(lines[:1])
    assert told() == 1
    office.scenario.record(lines[1:2])
    office.travel(4)
    assert told() == 1
    office.travel(2)
    assert told() == 2
    office.travel(60)
    assert told() == 2  # nothing more has finished


class Deletion(threading.Thread):
    """Deletes every endpoint, as clients do."""

    def __init__(self, office: PostOffice) -> None:
        super().__init__(daemon=True)
        self._office = office
        self._pid = 0
        self.is_over = False

    def run(self) -> None:
        with self._office.sessions.begin() as session:
            self._pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
            session.execute(text("DELETE FROM webhook_endpoints"))
        self.is_over = True

    @property
    def is_waiting(self) -> bool:
        query = "SELECT count(*) FROM pg_locks WHERE pid = :pid AND NOT granted"
        return bool(self._office.scenario.scalar(query, pid=self._pid))


def test_a_sweep_sends_again_what_a_dead_worker_held(office: PostOffice) -> None:
    office.register(URL)
    office.job()
    with office.sessions.begin() as session:
        session.execute(
            text("UPDATE deliveries SET status = 'running', claim = 1, lease_expires_at = now() - interval '1 s'")
        )
    with office.sessions.begin() as session:
        done = sweep(session, office.settings)
    assert done is not None
    assert (done.requeued_deliveries, done.has_due_deliveries) == (1, True)
    assert office.deliveries()[0].status == "queued"


def test_old_history_and_forgotten_urls_go_and_what_is_planned_stays(office: PostOffice) -> None:
    office.register(URL)
    office.job(webhook=office.webhook("http://127.0.0.1:9/job", events=(EventType.JOB_FAILED,)), retention_seconds=60)
    office.job()
    planned, done = (delivery.id for delivery in office.deliveries())
    with office.sessions.begin() as session:
        session.execute(text("UPDATE deliveries SET status = 'succeeded' WHERE id = :id"), {"id": done})
    office.travel(40 * 86_400)
    with office.sessions.begin() as session:
        tidy(session, office.settings)
    assert [delivery.id for delivery in office.deliveries()] == [planned]
    assert len(office.events()) == 1
    assert office.scenario.scalar("SELECT count(*) FROM webhook_endpoints") == 2  # its job is still known
    with office.sessions.begin() as session:
        session.execute(text("UPDATE jobs SET webhook_endpoint_id = NULL"))
        tidy(session, office.settings)
    assert office.scenario.scalar("SELECT count(*) FROM webhook_endpoints WHERE NOT is_registered") == 0
