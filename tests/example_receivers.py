"""The receivers of `examples/`, run as a reader of them would."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.webhooks.signing import secret_text
from tests.node import install_packages
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
    """Copy the Node example into the folder, install its one dependency and return it."""
    folder = install_packages(EXAMPLES / "package.json", folder / "node")
    return Path(shutil.copy(EXAMPLES / "receiver.mjs", folder))
