"""The receivers of `examples/`, run as a reader of them would."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.webhooks.signing import secret_text
from tests.processes import RealProcess
from tests.waiting import eventually

EXAMPLES = Path(__file__).parents[1] / "examples" / "webhook_receiver"


@contextmanager
def listening(command: list[str], port: int, secret: bytes, log: Path) -> Iterator[RealProcess]:
    """Run a receiver until it listens."""
    environment = {
        **os.environ,
        "WEBHOOK_SECRET": secret_text(secret),
        "INKPOST_WEBHOOK_SECRET": secret_text(secret),
        "PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }

    def is_listening() -> bool:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True

    with RealProcess(command, environment, log).start() as process:
        eventually(is_listening, 30, "the receiver never listened")
        yield process


def installed_node_receiver(folder: Path) -> Path:
    """Copy the Node example into the folder, install its one dependency and return it; skip where that cannot be."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("needs node and npm")
    folder = folder / "node"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("node_modules"))
    command = [npm, "install", "--no-audit", "--no-fund", "--fetch-retries=0", "--fetch-timeout=20000"]
    try:
        installed = subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("the package registry does not answer")
    if installed.returncode != 0:
        pytest.skip("standardwebhooks could not be installed")
    return folder / "receiver.mjs"
