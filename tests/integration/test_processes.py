"""The helpers that start and hurt real processes."""

import os
import signal
import time
from pathlib import Path

import psutil

from core.bells import Bells, lines_queue
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


def test_a_worker_that_is_terminated_before_its_child_has_taken_a_bell_ends_in_order(
    settings: Settings, tmp_path: Path
) -> None:
    with WorkerProcess(settings, tmp_path) as worker:
        eventually(lambda: "succeeded in" in worker.output(), message="the first bell was never answered")
        child = worker.model_pid
        os.kill(child, signal.SIGSTOP)
        bells = Bells(settings)
        bells.ring(lines_queue("fake"), is_forced=True)
        bells.close()
        eventually(lambda: worker.output().count("received") == 2, message="the second bell was never heard")
        worker.terminate()
        eventually(lambda: waits_for_good(worker.pid), message="the main process does not wait for its child")
        os.kill(child, signal.SIGCONT)
        assert worker.wait(20) == 0


def waits_for_good(pid: int) -> bool:
    """Tell whether a process sleeps without waking, as a worker's main process does only when it joins its child."""
    process = psutil.Process(pid)
    before = process.num_ctx_switches()
    time.sleep(1.0)  # Celery's loop wakes twice a second
    return process.num_ctx_switches() == before
