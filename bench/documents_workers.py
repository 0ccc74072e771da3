"""Part two of bench/documents.py: a form is cut by the documents worker and read by two recognisers side by side."""

import contextlib
import json
import re
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bench.service import Client, running
from cli.local.ports import free_port
from cli.local.postgres import LocalPostgres
from cli.local.redis import LocalRedis
from cli.migrations import migrate_database
from cli.roles import api_command, documents_command, recogniser_command
from core.clients import create_client, create_key
from core.database import create_database_engine, create_session_factory
from core.settings import Settings

MODEL = "fake:20,2"  # a batch takes 20 ms and each of its lines 2 ms, as on a good accelerator


def read_form(pdf_base64: str, name: str) -> dict[str, Any]:
    """Submit a form to a fresh service with two recognisers; return its times and how many lines each of them read."""
    with tempfile.TemporaryDirectory(prefix="inkpost-bench-") as folder_name:
        folder = Path(folder_name)
        folder.chmod(0o755)
        postgres, redis = LocalPostgres(folder / "postgres"), LocalRedis(folder / "redis")
        postgres.start()
        redis.start()
        try:
            settings = Settings(database_url=SecretStr(postgres.url), redis_url=SecretStr(redis.url))
            return _read_form(folder, settings, pdf_base64, name)
        finally:
            redis.stop()
            postgres.stop()


def _read_form(folder: Path, settings: Settings, pdf_base64: str, name: str) -> dict[str, Any]:
    migrate_database(settings)
    engine = create_database_engine(settings, "bench")
    with create_session_factory(engine).begin() as session:
        key = create_key(session, create_client(session, "bench").id)
    engine.dispose()
    port, metrics_ports = free_port(), (free_port(), free_port())
    environment = {
        "INKPOST_DATABASE_URL": settings.database_url.get_secret_value(),
        "INKPOST_REDIS_URL": settings.redis_url.get_secret_value(),
        "INKPOST_DEFAULT_MODEL": MODEL,
        "INKPOST_LOG_LEVEL": "WARNING",
    }
    with contextlib.ExitStack() as roles:
        roles.enter_context(running(api_command(port=port, processes=1), environment, folder / "api.log"))
        roles.enter_context(running(documents_command(), environment, folder / "documents.log"))
        for metrics_port in metrics_ports:
            own = {**environment, "INKPOST_WORKER__METRICS_PORT": str(metrics_port)}
            roles.enter_context(running(recogniser_command(MODEL), own, folder / f"worker-{metrics_port}.log"))
        for metrics_port in metrics_ports:
            _metric(metrics_port, "inkpost_held_lines", patience_seconds=60)
        warm = json.dumps({"document": {"pdf": pdf_base64, "pages": "1"}}).encode()
        client = _patient_client(port, key, warm)
        before = [_lines_read(metrics_port) for metrics_port in metrics_ports]
        body = json.dumps({"document": {"pdf": pdf_base64}, "client_reference": name}).encode()
        posted, whole = client.read(body)
        read = [_lines_read(metrics_port) for metrics_port in metrics_ports]
    return {
        "post_ms": round(posted * 1000),
        "post_to_finished_ms": round(whole * 1000),
        "lines_by_worker": [int(after - earlier) for after, earlier in zip(read, before, strict=True)],
    }


def _patient_client(port: int, key: str, body: bytes) -> Client:
    """Return a client once a first job has gone through the whole service."""
    until = time.monotonic() + 60
    while True:
        try:
            client = Client(port, key)
            client.read(body)
        except (OSError, RuntimeError):
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return client


def _lines_read(port: int) -> float:
    return _metric(port, "inkpost_lines_total")


def _metric(port: int, name: str, patience_seconds: float = 5) -> float:
    """Return the sum of a worker's metric, whatever its labels."""
    until = time.monotonic() + patience_seconds
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
            return sum(map(float, re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+]+)$", text, re.MULTILINE)))
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
