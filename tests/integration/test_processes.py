"""The helpers that start and hurt real processes."""

from pathlib import Path

import psutil

from core.settings import Settings
from tests.processes import WorkerProcess
from tests.waiting import eventually


def test_a_worker_whose_model_process_is_killed_gets_a_new_one(settings: Settings, tmp_path: Path) -> None:
    with WorkerProcess(settings, tmp_path) as worker:
        killed = worker.kill_model_process()
        eventually(lambda: worker.model_pid != killed, message="no new model process")


def test_a_killed_worker_leaves_no_process(settings: Settings, tmp_path: Path) -> None:
    with WorkerProcess(settings, tmp_path) as worker:
        pids = [worker.pid, *worker.child_pids]
        assert len(pids) >= 2
        worker.kill()
        eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids), message="something survived")


def test_a_terminated_worker_ends_in_order(settings: Settings, tmp_path: Path) -> None:
    with WorkerProcess(settings, tmp_path) as worker:
        worker.terminate()
        assert worker.wait() == 0
