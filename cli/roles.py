"""The commands that start each role, the same from `inkpost up`, compose, Kubernetes and the tests."""

import sys


def api_command(**options: str | int | None) -> list[str]:
    """Return the command of the REST API: `host`, `port`, `processes`, `threads`; what is not given is a setting's."""
    words = [sys.executable, "-m", "api"]
    for name, value in options.items():
        if value is not None:
            words += [f"--{name}", str(value)]
    return words


def recogniser_command(model: str | None = None) -> list[str]:
    """Return the command of a worker that serves one model; without one, the settings' model."""
    return [sys.executable, "-m", "worker", *(("--model", model) if model else ())]


def documents_command() -> list[str]:
    """Return the command of a worker that cuts documents and writes them."""
    return [sys.executable, "-m", "worker.documents"]


def webhooks_command() -> list[str]:
    """Return the command of a worker that delivers webhooks."""
    return [sys.executable, "-m", "worker.webhooks"]


def url_of(host: str, port: int) -> str:
    """Return the URL under which a client on this machine reaches an API that listens on host and port."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared only
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
