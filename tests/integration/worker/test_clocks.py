"""Row A39: workers whose clocks are ten minutes off, one fast and one slow."""

import sys
from pathlib import Path

import pytest

from core.words import EventType
from tests.integration.webhooks.conftest import PostOffice, local_settings, office  # noqa: F401 - fixtures
from tests.integration.webhooks.receiver import receiving
from tests.integration.worker.conftest import Desk, picture
from tests.invariants import check_events
from tests.processes import RealProcess, WebhooksProcess, WorkerProcess
from tests.waiting import eventually

MINUTES = {"fast": 10, "slow": -10}
_SHIFTED = """
import datetime, runpy, sys, time_machine
time_machine.travel(datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes={minutes}), tick=True).start()
sys.argv[0] = "{module}"
runpy.run_module("{module}", run_name="__main__")
"""


def shift(process: RealProcess, minutes: int) -> None:
    """Let the process, and those that it forks, live at another time of day."""
    _, _, module, *rest = process.command
    process.command = [sys.executable, "-c", _SHIFTED.format(minutes=minutes, module=module), *rest]


def test_leases_neither_end_early_nor_late_by_the_workers_clocks(desk: Desk, tmp_path: Path) -> None:
    settings = desk.changed(worker={"model": "fake:400", "max_batch": 2})  # a batch outlives sweeps, but not its lease
    fast, slow = (WorkerProcess(settings, tmp_path) for _ in MINUTES)
    shift(fast, MINUTES["fast"])
    shift(slow, MINUTES["slow"])
    with fast, slow:
        jobs = [desk.submit([picture() for _ in range(8)]) for _ in range(4)]
        for job_id in jobs:
            desk.finished(job_id)
            assert {line.crash_attempts for line in desk.lines(job_id)} == {0}
        last = desk.submit([picture() for _ in range(4)])
        eventually(lambda: desk.running(last) > 0)
        fast.kill()
        desk.finished(last)
    for job_id in [*jobs, last]:
        desk.assert_read(job_id)
    assert "stale_write" not in fast.output() + slow.output()
    desk.check_invariants()


@pytest.mark.parametrize("minutes", MINUTES.values(), ids=MINUTES)
def test_deliveries_go_out_once_and_in_time_and_the_clock_is_told_of(
    office: PostOffice,  # noqa: F811
    tmp_path: Path,
    minutes: int,
) -> None:
    worker = WebhooksProcess(office.settings, tmp_path)
    shift(worker, minutes)
    with receiving() as receiver, worker:
        office.register(receiver.url, events=(EventType.JOB_SUCCEEDED,))
        for _ in range(3):
            office.job()
        eventually(lambda: len(office.deliveries(status="succeeded")) == 3)
        eventually(lambda: "clock.differs" in worker.output())
    assert [delivery.attempt for delivery in office.deliveries()] == [1, 1, 1]
    assert worker.output().count("clock.differs") == 1
    for one in receiver.received:
        assert abs(int(one.headers["webhook-timestamp"]) - one.at - 60 * minutes) < 60
    check_events(office.sessions, receiver.received)
