"""Row A5 and invariant I4: a recogniser that is killed around its commit makes one event per job, no more."""

from pathlib import Path

import pytest
from sqlalchemy import select

from core.settings import Webhooks
from core.tables import Event
from core.webhooks.endpoints import register
from core.words import ENDED_EVENTS, Include
from tests.integration.worker.conftest import Desk, picture
from tests.processes import WorkerProcess
from tests.waiting import eventually


@pytest.mark.parametrize("place", ["worker.after_infer", "worker.before_ack"])
def test_a_recogniser_killed_around_its_commit_makes_one_event(desk: Desk, tmp_path: Path, place: str) -> None:
    with desk.sessions.begin() as session:
        register(
            session,
            desk.client_id,
            url="http://127.0.0.1:9/",
            events=ENDED_EVENTS,
            include=Include.SUMMARY,
            description="",
            secret=None,
            policy=Webhooks(),
        )
    dying = desk.settings.model_copy(update={"failpoints": place})
    with WorkerProcess(dying, tmp_path) as doomed:
        job_id = desk.submit([picture(), picture()])
        eventually(lambda: "WorkerLostError" in doomed.output(), message="the failpoint was never reached")
        doomed.kill()
    with WorkerProcess(desk.settings, tmp_path):
        desk.finished(job_id)
        other_id = desk.submit([picture()])
        desk.finished(other_id)
    with desk.sessions() as session:
        events = session.scalars(select(Event).order_by(Event.id)).all()
    assert [(event.job_id, event.type) for event in events] == [(job_id, "job.succeeded"), (other_id, "job.succeeded")]
