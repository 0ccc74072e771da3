"""Real API and worker processes for tests, with every way to hurt them."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil
import psycopg
import pytest
from pydantic import BaseModel, SecretStr

from cli.local import process as local_process
from cli.local.ports import free_port
from cli.roles import api_command, documents_command, recogniser_command, webhooks_command
from core.settings import Settings
from tests.waiting import eventually


def environment_of(settings: Settings) -> dict[str, str]:
    """Return this process's environment plus the variables from which another process reads the same settings."""
    return {**os.environ, "PYTHONUNBUFFERED": "1", **_variables(settings, "INKPOST_")}


def _variables(group: BaseModel, prefix: str) -> dict[str, str]:
    variables: dict[str, str] = {}
    for name in type(group).model_fields:
        value: Any = getattr(group, name)
        if isinstance(value, BaseModel):
            variables |= _variables(value, f"{prefix}{name.upper()}__")
        elif isinstance(value, SecretStr):
            variables[prefix + name.upper()] = value.get_secret_value()
        elif isinstance(value, tuple | list):
            variables[prefix + name.upper()] = "[" + ",".join(f'"{item}"' for item in value) + "]"
        elif value is not None:
            variables[prefix + name.upper()] = str(value)
    return variables


class RealProcess:
    """A program started for a test: a context manager, which kills what is left when it ends."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.command = command
        self.environment = dict(environment)
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it without waiting until it is ready."""
        self._process = local_process.spawn(
            self.command, log=self.log, death_signal=signal.SIGKILL, environment=self.environment
        )
        return self

    @property
    def pid(self) -> int:
        """The main process."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the main process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def child_pids(self) -> list[int]:
        """Every descendant at this moment, oldest first."""
        return [descendant.pid for descendant in self._descendants()]

    def _descendants(self) -> list[psutil.Process]:
        """Every descendant that is still there, oldest first; each may end at any moment."""
        found: list[tuple[float, psutil.Process]] = []
        if self.is_running:
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(self.pid).children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        found.append((child.create_time(), child))
        return [child for _, child in sorted(found, key=lambda pair: pair[0])]

    def terminate(self) -> None:
        """Ask the main process to end (SIGTERM)."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill -9 the main process and every descendant, at once."""
        self._kill_all()

    def kill_main(self) -> None:
        """Kill -9 the main process only."""
        os.kill(self.pid, signal.SIGKILL)

    def stop(self) -> None:
        """SIGSTOP the main process and every descendant."""
        for pid in [self.pid, *self.child_pids]:
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT them."""
        for pid in [self.pid, *self.child_pids]:
            os.kill(pid, signal.SIGCONT)

    def wait(self, timeout_seconds: float = 60.0) -> int:
        """Wait until the main process has ended and return its exit status (negative: the signal)."""
        assert self._process is not None
        return self._process.wait(timeout_seconds)

    def output(self) -> str:
        """Everything it has said so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _kill_all(self) -> None:
        if self._process is None:
            return
        descendants = self._descendants()
        local_process.stop(self._process)
        for descendant in descendants:
            with contextlib.suppress(psutil.NoSuchProcess):  # psutil tells a pid that is somebody else's by now
                descendant.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill_all()
        if kind is not None:  # pytest shows what is printed here under the failure
            print(f"--- {self.log.name}\n{local_process.tail(self.log, 60)}")  # noqa: T201


class ApiProcess(RealProcess):
    """The API under gunicorn, on a free port."""

    def __init__(self, settings: Settings, folder: Path, *, processes: int = 1, threads: int = 8) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = api_command(host="127.0.0.1", port=self.port, processes=processes, threads=threads)
        super().__init__(command, environment_of(settings), folder / f"api-{self.port}.log")

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        self.start()
        self.wait_until_ready()
        return self

    def wait_until_ready(self, timeout_seconds: float = 60.0) -> None:
        """Return once /livez answers."""

        def is_alive() -> bool:
            if not self.is_running:
                pytest.fail(f"the API ended:\n{local_process.tail(self.log, 40)}")
            return httpx.get(f"{self.url}/livez", timeout=2.0).status_code == 200

        eventually(is_alive, timeout_seconds, "the API never answered")


class WorkerProcess(RealProcess):
    """A recogniser under Celery: a main process and the one child that holds the model."""

    _count = 0

    def __init__(self, settings: Settings, folder: Path) -> None:
        WorkerProcess._count += 1
        name = f"recogniser-{WorkerProcess._count}"
        self._database_url = settings.database_url.get_secret_value()
        super().__init__(recogniser_command(), environment_of(settings), folder / f"{name}.log")

    def __enter__(self) -> Self:
        """Start it and wait until it has loaded its model."""
        self.start()
        self.wait_until_ready()
        return self

    def wait_until_ready(self, timeout_seconds: float = 60.0, database_url: str | None = None) -> None:
        """Return once a process of this worker has entered itself in the `workers` table."""

        def is_present() -> bool:
            if not self.is_running:
                pytest.fail(f"the worker ended:\n{local_process.tail(self.log, 40)}")
            with psycopg.connect(database_url or self._database_url) as connection:
                rows = connection.execute("SELECT pid FROM workers WHERE seen_at > now() - interval '60 s'").fetchall()
            return bool({pid for (pid,) in rows} & {self.pid, *self.child_pids})

        eventually(is_present, timeout_seconds, f"the worker never became ready; see {self.log}")

    @property
    def model_pid(self) -> int:
        """The prefork child that holds the model."""
        children = psutil.Process(self.pid).children()
        assert children, "the worker has no child now"
        return min(children, key=lambda child: child.create_time()).pid

    def kill_model_process(self) -> int:
        """Kill -9 the child that holds the model, and return its pid."""
        pid = self.model_pid
        os.kill(pid, signal.SIGKILL)
        return pid


class WebhooksProcess(RealProcess):
    """The worker that delivers webhooks and makes batches go on."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(webhooks_command(), environment_of(settings), folder / f"webhooks-{free_port()}.log")

    def __enter__(self) -> Self:
        """Start it and wait until it is ready."""
        self.start()
        eventually(lambda: "webhooks.ready" in self.output(), 60, "the webhooks worker never became ready")
        return self


class DocumentsProcess(RealProcess):
    """A worker that cuts documents and writes them: one process, and a sandbox child for each kind of work."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(documents_command(), environment_of(settings), folder / f"documents-{free_port()}.log")

    def __enter__(self) -> Self:
        """Start it and wait until it is ready."""
        self.start()
        eventually(lambda: "documents.ready" in self.output(), 30, "the documents worker never became ready")
        return self
