"""An `inkpost up` for tests: everything in one process family, spoken to over HTTP."""

import base64
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil
import pytest
from PIL import Image

from tests.waiting import eventually

START_SECONDS = 90.0
SHORT_LEASES = {"INKPOST_LEASES__SECONDS": "3", "INKPOST_LEASES__SWEEP_SECONDS": "0.5"}
INKPOST = [sys.executable, "-m", "cli"]


def line_images(count: int) -> list[dict[str, str]]:
    """Return the `lines` of a job, each with other pixels."""
    lines = []
    for number in range(count):
        stream = io.BytesIO()
        Image.new("L", (200, 40), color=number % 256).save(stream, "PNG")
        lines.append({"image": base64.b64encode(stream.getvalue()).decode(), "custom_id": f"line-{number}"})
    return lines


class RunningUp:
    """An `inkpost up --json` of a test: a context manager, ready inside it; whatever is left at its end is killed."""

    def __init__(
        self, folder: Path, *options: str, environment: Mapping[str, str] | None = None, prefix: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self._command = [*prefix, *INKPOST, "up", "--json", "--port", "0", "--data", str(folder), *options]
        self._environment = {**os.environ, **SHORT_LEASES, **(environment or {})}
        self.errors = folder.with_name(f"{folder.name}-errors.log")
        self.said: list[str] = []
        self.url = ""
        self.api_key = ""

    def __enter__(self) -> Self:
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=errors, text=True, env=self._environment
            )
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        eventually(self._has_said_something, START_SECONDS, "`inkpost up` never became ready")
        answer = json.loads(self.said[0])
        self.url, self.api_key = answer["url"], answer["api_key"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        if kind is not None:
            print(self.errors.read_text())  # noqa: T201 - pytest shows it under the failure

    def kill(self) -> list[int]:
        """Kill -9 everything that it runs, at once; return the pids."""
        processes = self.family()
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=10)
        self.process.kill()
        self.process.wait(10)
        return [process.pid for process in processes]

    def family(self) -> list[psutil.Process]:
        """Return its process and all descendants."""
        try:
            up = psutil.Process(self.process.pid)
            return [up, *up.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def client(self) -> httpx.Client:
        """Return an HTTP client with its key."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.api_key}"}, timeout=30)

    def submit(self, lines: int, **fields: Any) -> str:
        """Submit a job and return its id."""
        with self.client() as client:
            answer = client.post("/v1/jobs", json={"lines": line_images(lines), **fields})
            assert answer.status_code == 202, answer.text
            return str(answer.json()["id"])

    def job(self, job_id: str, wait: int = 0) -> dict[str, Any]:
        """Return a job."""
        with self.client() as client:
            answer = client.get(f"/v1/jobs/{job_id}", params={"wait": wait} if wait else {})
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

    def finished(self, job_id: str, timeout_seconds: float = 60.0) -> dict[str, Any]:
        """Return the job once it has finished."""

        def is_finished() -> dict[str, Any] | None:
            job = self.job(job_id, wait=2)
            return job if job["status"] not in {"queued", "running"} else None

        finished = eventually(is_finished, timeout_seconds, f"job {job_id} never finished")
        assert finished is not None
        return finished

    def stop(self) -> int:
        """Press Ctrl-C and return the exit status; what it said meanwhile is in `said`."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(60)
        self._has_said_something()
        return status

    def _has_said_something(self) -> bool:
        assert self.process.stdout is not None
        self.said += (self.process.stdout.read() or "").splitlines()
        if not self.said and self.process.poll() is not None:
            pytest.fail(f"`inkpost up` ended with status {self.process.returncode}:\n{self.errors.read_text()}")
        return bool(self.said)


def survivors(pids: Sequence[int]) -> list[int]:
    """Return those of the pids that still run."""
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]
