"""A data folder has one owner, and the next one cleans up after the last."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cli.local.folder import MARKER, DataFolder, FolderInUse, Running
from cli.local.postgres import LocalPostgres
from tests.waiting import eventually


def test_a_second_owner_is_refused_and_told_where_the_first_one_is(tmp_path: Path) -> None:
    first = DataFolder(tmp_path / "data")
    first.acquire()
    first.announce(Running(os.getpid(), "http://127.0.0.1:8000", "postgresql://", "redis://"))
    with pytest.raises(FolderInUse, match=r"http://127\.0\.0\.1:8000"):
        DataFolder(tmp_path / "data").acquire()
    first.release()
    second = DataFolder(tmp_path / "data")
    second.acquire()
    second.release()


def test_a_folder_says_how_to_reach_what_runs_there_only_while_it_runs(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.acquire()
    running = Running(os.getpid(), "http://127.0.0.1:8000", "postgresql://", "redis://")
    folder.announce(running)
    assert folder.running() == running
    assert (tmp_path / "data" / "running.json").stat().st_mode & 0o077 == 0
    folder.release()
    assert folder.running() is None


def test_the_next_owner_ends_what_outlived_the_last(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.acquire()
    environment = {**os.environ, MARKER: folder.marker}
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=environment) as orphan:
        stranger = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"], env={**os.environ, MARKER: "another"}
        )
        postgres = LocalPostgres(folder.path / "postgres", durable=False)
        postgres.start()
        folder.release()

        folder.acquire()

        assert not psutil.pid_exists(orphan.pid)
        eventually(lambda: not postgres.is_running, message="the server of the last owner still runs")
        assert psutil.pid_exists(stranger.pid)
        assert stranger.poll() is None
        stranger.kill()
        stranger.wait()
        folder.release()


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Exception, match="cannot be used"):
        DataFolder(tmp_path / "file" / "data").acquire()


def test_a_log_that_has_grown_large_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.local.folder.MAX_LOG_BYTES", 10)
    folder = DataFolder(tmp_path / "data")
    folder.acquire()
    folder.log("api").write_text("more than ten bytes")
    assert folder.log("api").read_text() == ""
    assert (folder.logs / "api.log.1").read_text() == "more than ten bytes"
    folder.release()
