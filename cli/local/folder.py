"""The data folder of `inkpost up`: one owner at a time, and nobody left over from the last one.

DIR/lock          held (flock) by the `up` that runs here, so it is free again however that process ended
DIR/running.json  how to reach what runs here; private
DIR/api-key       the first API key; private
DIR/postgres, DIR/redis, DIR/logs
"""

import contextlib
import fcntl
import json
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import psutil

from cli.local.process import LocalServerError

# Every process that `up` starts inherits this, so that the next `up` finds those that outlived a kill -9.
MARKER = "INKPOST_UP_FOLDER"
SERVERS = {"postgres": signal.SIGINT, "redis-server": signal.SIGTERM}
MAX_LOG_BYTES = 20 * 1024 * 1024


class FolderInUse(LocalServerError):
    """Another `inkpost up` holds the folder."""


@dataclass(frozen=True, slots=True)
class Running:
    """How to reach what runs in a data folder."""

    pid: int
    url: str
    database_url: str
    redis_url: str


class DataFolder:
    """A data folder; `acquire` makes it ours until `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self._lock: IO[str] | None = None

    @property
    def logs(self) -> Path:
        """The folder of the log files."""
        return self.path / "logs"

    @property
    def key_file(self) -> Path:
        """The file that keeps the first API key."""
        return self.path / "api-key"

    @property
    def marker(self) -> str:
        """The value of MARKER for processes of this folder."""
        status = self.path.stat()
        return f"{status.st_dev}-{status.st_ino}"

    def acquire(self) -> None:
        """Make the folder if it is new, take it, and end what a killed predecessor left running.

        Raises:
            FolderInUse: another `inkpost up` runs on it.
            LocalServerError: the folder cannot be made or written to.
        """
        # Root's PostgreSQL runs as another user, who must pass through here; everything inside is private by itself.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        try:
            if not self.path.exists():
                self.path.mkdir(parents=True)
                self.path.chmod(mode)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            lock = (self.path / "lock").open("w")
        except OSError as error:
            raise LocalServerError(f"The data folder {self.path} cannot be used: {error.strerror}.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            running = self.running()
            where = f" (process {running.pid}, {running.url})" if running else ""
            raise FolderInUse(f"Another `inkpost up` is running on {self.path}{where}.") from error
        self._lock = lock
        self._running_file.unlink(missing_ok=True)
        self._end_orphans()

    def release(self) -> None:
        """Give the folder back."""
        if self._lock is not None:
            self._running_file.unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def announce(self, running: Running) -> None:
        """Say how to reach what runs here now, to commands of the same user."""
        write_private(self._running_file, json.dumps(asdict(running)))

    def running(self) -> Running | None:
        """Return how to reach what runs here, or None when nothing does."""
        try:
            running = Running(**json.loads(self._running_file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return running if psutil.pid_exists(running.pid) else None

    def log(self, name: str) -> Path:
        """Return a log file's path; one that has grown large is set aside first, replacing the one before."""
        path = self.logs / f"{name}.log"
        if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        path.touch(mode=0o600)
        return path

    @property
    def _running_file(self) -> Path:
        return self.path / "running.json"

    def _end_orphans(self) -> None:
        """End the processes of this folder that outlived their `up`; only its next owner calls this."""
        orphans = [process for process in psutil.process_iter(["name"]) if self._is_ours(process)]
        for process in orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(SERVERS.get(process.info["name"], signal.SIGKILL))
        _, alive = psutil.wait_procs(orphans, timeout=10)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=5)

    def _is_ours(self, process: psutil.Process) -> bool:
        """Tell by its environment; a server overwrites its own, and is known by the folder in which it works."""
        if process.pid == os.getpid():
            return False
        try:
            if process.info["name"] in SERVERS:
                return Path(process.cwd()).is_relative_to(self.path.resolve())
            return process.environ().get(MARKER) == self.marker
        except (psutil.Error, OSError):
            return False


def write_private(path: Path, text: str) -> None:
    """Replace a file at once with one that only its owner can read."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)
