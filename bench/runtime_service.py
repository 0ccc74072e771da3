"""The whole service around the model: 64 clients that each POST a line and wait until it is finished.

Run by `bench.runtime`: `python -m bench.runtime_service ROW FOLDER ROUNDS THREADS`, with ROW `service-float32` or
`service-int8`. The API, a worker with the model, a durable PostgreSQL, Redis and the clients all share this machine.
The pictures and token counts are those of every other row, once for each round; lengths are forced by the jobs' own
`max_new_tokens`. The last line of output is one JSON document.
"""

import base64
import io
import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from PIL import Image
from pydantic import SecretStr

from bench.runtime_lines import SINGLE_TOKENS, pictures, token_counts
from bench.service import Client, service
from cli.local.postgres import LocalPostgres
from cli.local.redis import LocalRedis
from core.settings import Settings

CLIENTS = 64
# when half of the API's threads hold long-polls already, the others are answered at once and come back
COMES_BACK_SECONDS = 1.0


def bodies(count: int) -> list[bytes]:
    """Return single-line jobs whose readings have the bench's lengths."""
    made = []
    for pixels, tokens in zip(pictures(count), token_counts(count), strict=True):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        line = {"image": base64.b64encode(file.getvalue()).decode()}
        made.append(json.dumps({"lines": [line], "decoding": {"max_new_tokens": tokens}}).encode())
    return made


def finish(client: Client, body: bytes) -> None:
    """Submit a job and wait until it has finished."""
    job = client.call("POST", "/v1/jobs", body)
    while job["status"] in ("queued", "running"):
        asked_at = time.perf_counter()
        job = client.call("GET", f"/v1/jobs/{job['id']}?wait=30")
        if job["status"] in ("queued", "running") and time.perf_counter() - asked_at < COMES_BACK_SECONDS:
            time.sleep(COMES_BACK_SECONDS)
    if job["status"] != "succeeded":
        raise RuntimeError(f"the job ended as {job['status']}")


def read_all(port: int, key: str, jobs: list[bytes], rounds: int) -> float:
    """Let one client for each job submit it again and again; return the seconds from the first POST to the last end."""
    gate = threading.Barrier(len(jobs) + 1)
    errors: list[BaseException] = []

    def work(body: bytes) -> None:
        client = Client(port, key)
        gate.wait()
        try:
            for _ in range(rounds):
                finish(client, body)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=(body,)) for body in jobs]
    for thread in threads:
        thread.start()
    gate.wait()
    started_at = time.perf_counter()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return time.perf_counter() - started_at


def processor_seconds(process: psutil.Process) -> float:
    """Return the processor time of a process and its descendants."""
    return sum(sum(one.cpu_times()[:2]) for one in (process, *process.children(recursive=True)))


def main() -> None:
    row, folder, rounds, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    jobs = bodies(CLIENTS)
    with tempfile.TemporaryDirectory(prefix="inkpost-bench-") as name:
        place = Path(name)
        place.chmod(0o755)
        postgres, redis = LocalPostgres(place / "postgres"), LocalRedis(place / "redis")
        postgres.start()
        redis.start()
        try:
            settings = Settings(database_url=SecretStr(postgres.url), redis_url=SecretStr(redis.url))
            options = {"precision": row.removeprefix("service-"), "threads": str(threads)}
            with service(place, settings, 2, str(folder), **options) as (port, key, worker_id):
                client = Client(port, key)
                single = json.loads(jobs[0]) | {"decoding": {"max_new_tokens": SINGLE_TOKENS}}
                singles = [client.read(json.dumps(single).encode())[1] for _ in range(4)]
                worker = psutil.Process(worker_id)
                before = processor_seconds(worker)
                seconds = read_all(port, key, jobs, rounds)
                worker_seconds = processor_seconds(worker) - before
                memory = max(one.memory_info().rss for one in (worker, *worker.children(recursive=True)))
        finally:
            redis.stop()
            postgres.stop()
    lines = len(jobs) * rounds
    document: dict[str, Any] = {
        "row": row,
        "batch": 1,
        "lines": lines,
        "lines_per_second": lines / seconds,
        "seconds_per_line": seconds / lines,
        "cpu_seconds_per_line": worker_seconds / lines,
        "first_line_seconds": min(singles),
        "resident_memory_mb": memory / 1024**2,
        "peak_memory_mb": memory / 1024**2,
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
