"""How fast the service is around its model: jobs, lines and milliseconds with a recogniser that takes no time.

Run: `python -m bench.service [--seconds 10] [--clients 8] [--quick]`. Everything runs on this machine: a durable
PostgreSQL, Redis, the API under gunicorn and one worker with the fake recogniser, and the clients beside them; so the
figures are what is left after the clients took their share of the cores. What a user would pick instead is measured in
the same run: a bare Celery task on the same Redis with its Redis result backend, called by the same number of threads.

- `single_line_jobs_per_second`: threads that each POST a one-line job and long-poll until it has finished
- `lines_per_second`: 1,000-line jobs, from the first POST to the last finished line
- `post_ms`, `post_to_finished_ms`: one job at a time, nothing else going on
- `bare_celery_tasks_per_second`: threads that each call `task.delay(...).get()`

The last line of output is one JSON document.
"""

import argparse
import base64
import contextlib
import http.client
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import SecretStr

from bench.bare_celery import TASK, create_app
from cli.local.ports import free_port
from cli.local.postgres import LocalPostgres
from cli.local.redis import LocalRedis
from cli.migrations import migrate_database
from cli.roles import api_command, recogniser_command
from core.clients import create_client, create_key
from core.database import create_database_engine, create_session_factory
from core.settings import Settings, served_name

AIMS = {"single_line_vs_bare_celery": 0.4, "lines_per_second": 2000, "added_ms_p50": 15}


def line_images(count: int) -> list[str]:
    """Return base64 PNGs of the size of a short handwritten line, 48 x 300 pixels with a few strokes."""
    random = np.random.default_rng(7)
    images = []
    for _ in range(count):
        pixels = np.full((48, 300), 250, np.uint8)
        for _ in range(40):
            row, column = random.integers(4, 44), random.integers(4, 290)
            pixels[row : row + 2, column : column + 8] = random.integers(0, 90)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        images.append(base64.b64encode(file.getvalue()).decode())
    return images


class Client:
    """One keep-alive connection; http.client, because the clients share the machine with what they measure."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        """Return the JSON answer of a call that must succeed."""
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:300]!r}")
        return json.loads(content)

    def read(self, body: bytes) -> tuple[float, float]:
        """Submit a job and wait until it has finished; return the seconds of the POST and of the whole."""
        started_at = time.perf_counter()
        job = self.call("POST", "/v1/jobs", body)
        posted_at = time.perf_counter()
        while job["status"] in ("queued", "running"):
            job = self.call("GET", f"/v1/jobs/{job['id']}?wait=30")
        if job["status"] != "succeeded":
            raise RuntimeError(f"the job ended as {job['status']}")
        return posted_at - started_at, time.perf_counter() - started_at


def rate(threads: int, seconds: float, make_step: Callable[[int], Callable[[], Any]]) -> float:
    """Return steps per second of threads that repeat their step for a while; each first makes one for warm-up."""
    counts = [0] * threads
    gate = threading.Barrier(threads + 1)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            step = make_step(number)
            step()
            gate.wait()
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                step()
                counts[number] += 1
        except BaseException as error:
            errors.append(error)
            gate.abort()
            raise

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    with contextlib.suppress(threading.BrokenBarrierError):
        gate.wait()
    started_at = time.perf_counter()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]
    return sum(counts) / (time.perf_counter() - started_at)


def bare_celery(redis_url: str, threads: int, seconds: float, log: Path) -> float:
    """Return the tasks per second of a bare Celery task with one prefork worker process."""
    with running([sys.executable, "-m", "bench.bare_celery"], {"BARE_REDIS_URL": redis_url}, log):
        task = create_app(redis_url).tasks[TASK]
        task.delay("warm").get(timeout=60)
        return rate(threads, seconds, lambda _: lambda: task.delay("Okafor").get(timeout=60))


@contextlib.contextmanager
def running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[int]:
    """Run a program for as long as the block lasts; give its process id."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=file, stderr=file)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def service(
    folder: Path, settings: Settings, processes: int, model: str = "fake", **worker: str
) -> Iterator[tuple[int, str, int]]:
    """Run the API and one worker, with settings of its own; give the API's port, a key and the worker's process id."""
    migrate_database(settings)
    engine = create_database_engine(settings, "bench")
    with create_session_factory(engine).begin() as session:
        key = create_key(session, create_client(session, "bench").id)
    engine.dispose()
    port = free_port()
    environment = {
        "INKPOST_DATABASE_URL": settings.database_url.get_secret_value(),
        "INKPOST_REDIS_URL": settings.redis_url.get_secret_value(),
        "INKPOST_DEFAULT_MODEL": served_name(model),
        "INKPOST_LOG_LEVEL": "WARNING",
        **{f"INKPOST_WORKER__{name.upper()}": value for name, value in worker.items()},
    }
    api = api_command(port=port, processes=processes)
    with (
        running(api, environment, folder / "api.log"),
        running(recogniser_command(model), environment, folder / "worker.log") as worker_id,
    ):
        client = Client(port, key)
        # few tokens: the random model of `bench.runtime_service` never ends a line by itself
        body = json.dumps({"lines": [{"image": line_images(1)[0]}], "decoding": {"max_new_tokens": 3}}).encode()
        until = time.monotonic() + 60
        while True:
            try:
                client = Client(port, key)
                client.read(body)
                break
            except (OSError, RuntimeError, http.client.HTTPException):
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
        yield port, key, worker_id


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return p50 and p95 in milliseconds."""
    cuts = statistics.quantiles(seconds, n=20)
    return {"p50": round(statistics.median(seconds) * 1000, 2), "p95": round(cuts[18] * 1000, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement under load")
    parser.add_argument("--clients", type=int, default=8, help="client threads")
    parser.add_argument("--processes", type=int, default=2, help="gunicorn processes")
    parser.add_argument("--quick", action="store_true", help="a fifth of everything")
    options = parser.parse_args()
    seconds = options.seconds / 5 if options.quick else options.seconds
    images = line_images(1000)
    bodies = [json.dumps({"lines": [{"image": image}]}).encode() for image in images[:50]]
    large = json.dumps({"lines": [{"image": image} for image in images]}).encode()
    with tempfile.TemporaryDirectory(prefix="inkpost-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        postgres, redis = LocalPostgres(folder / "postgres"), LocalRedis(folder / "redis")
        postgres.start()
        redis.start()
        try:
            settings = Settings(database_url=SecretStr(postgres.url), redis_url=SecretStr(redis.url))
            print("bare Celery ...", flush=True)
            bare = bare_celery(redis.url, options.clients, seconds, folder / "bare.log")
            with service(folder, settings, options.processes) as (port, key, _):
                print("one job at a time ...", flush=True)
                client = Client(port, key)
                rounds = [client.read(bodies[i % 50]) for i in range(40 if options.quick else 200)]
                print("single-line jobs ...", flush=True)

                def single(_: int) -> Callable[[], Any]:
                    own = Client(port, key)
                    return lambda: own.read(bodies[0])

                jobs = rate(options.clients, seconds, single)
                print("1,000-line jobs ...", flush=True)

                def thousand(_: int) -> Callable[[], Any]:
                    own = Client(port, key)
                    return lambda: own.read(large)

                lines = 1000 * rate(2, seconds, thousand)
        finally:
            redis.stop()
            postgres.stop()
    post, whole = percentiles([one[0] for one in rounds]), percentiles([one[1] for one in rounds])
    report = {
        "clients": options.clients,
        "single_line_jobs_per_second": round(jobs, 1),
        "bare_celery_tasks_per_second": round(bare, 1),
        "lines_per_second": round(lines),
        "post_ms": post,
        "post_to_finished_ms": whole,
        "ratios": {"single_line_vs_bare_celery": round(jobs / bare, 2)},
        "aims": AIMS,
    }
    print(f"single-line jobs/s    {jobs:8.1f}   bare Celery tasks/s {bare:8.1f}   ratio {jobs / bare:.2f}")
    print(f"lines/s               {lines:8.0f}   in jobs of 1,000 lines")
    print(f"POST ms               {post['p50']:8.2f}   p95 {post['p95']:.2f}")
    print(f"POST to finished ms   {whole['p50']:8.2f}   p95 {whole['p95']:.2f}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
