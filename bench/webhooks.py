"""How fast events reach their receivers, and whether receivers that hang slow down one that does not.

Run: `python -m bench.webhooks [--events 2000] [--quick]`. Everything runs on this machine: a durable PostgreSQL, Redis,
one webhooks worker and the receivers beside them, so the figures are what is left after those took their share of the
cores. Every delivery is claimed, signed, sent over a new connection, answered and recorded.

- `deliveries_per_second`: a backlog to one endpoint (4 on the way at once) and to ten, from the worker's first
  delivery to the last one recorded
- `delay_ms`: one job at a time ends; from the commit that ends it to the request at a healthy receiver: with nothing
  else going on (`idle`), and while ten endpoints of another client hang on a backlog of their own (`others_hang`),
  in alternating rounds

The last line of output is one JSON document.
"""

import argparse
import asyncio
import contextlib
import ipaddress
import json
import multiprocessing
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from cli.local.ports import free_port
from cli.local.postgres import LocalPostgres
from cli.local.redis import LocalRedis
from cli.migrations import migrate_database
from cli.roles import webhooks_command
from core.bells import Bells
from core.claims import Outcome, claim_lines, record_outcomes
from core.clients import create_client
from core.database import create_database_engine, create_session_factory
from core.jobs import NewJob, NewLine, create_job
from core.settings import Settings, Webhooks
from core.transcription import Transcription
from core.webhooks.endpoints import register
from core.words import ENDED_EVENTS, Include

AIMS = {"deliveries_per_second": 200, "delay_p95_ratio": 1.10}
HANGING = 10
_spawn = multiprocessing.get_context("spawn")


class _Protocol(asyncio.Protocol):
    """Answers 200 to each request as soon as it is whole, or never; one request a connection, as we are sent."""

    def __init__(self, arrivals: "Queue[tuple[str, float]]") -> None:
        self._arrivals = arrivals
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, gap, body = self._data.partition(b"\r\n\r\n")
        if not gap:
            return
        headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
        if len(body) < int(headers["content-length"]):
            return
        if head.startswith(b"POST /hang"):
            return
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")  # type: ignore[attr-defined]
        self._transport.close()
        if head.startswith(b"POST /timed"):
            self._arrivals.put((headers["webhook-id"], time.time()))


def receive(port: int, arrivals: "Queue[tuple[str, float]]") -> None:
    """Run the receiver; the body of its process."""

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Protocol(arrivals), "127.0.0.1", port, backlog=1_024)
        await server.serve_forever()

    asyncio.run(serve())


@dataclass
class Bench:
    """The servers, the receiver, and a hand that ends jobs."""

    settings: Settings
    sessions: sessionmaker[Session]
    arrivals: "Queue[tuple[str, float]]"
    port: int
    folder: Path

    def client(self, name: str) -> uuid.UUID:
        with self.sessions.begin() as session:
            return create_client(session, name).id

    def endpoint(self, client_id: uuid.UUID, path: str) -> None:
        with self.sessions.begin() as session:
            register(
                session,
                client_id,
                url=f"http://127.0.0.1:{self.port}/{path}",
                events=ENDED_EVENTS,
                include=Include.SUMMARY,
                description="",
                secret=None,
                policy=self.settings.webhooks,
            )

    def end_jobs(self, client_id: uuid.UUID, count: int) -> float:
        """Submit and end jobs of one line each, and return the moment of the commit that ended the last."""
        for _ in range(count):
            with self.sessions.begin() as session:
                new = NewJob(model="bench", lines=[NewLine(b"x", "image/png")], retention_seconds=3_600)
                create_job(session, client_id, new)
        while True:
            with self.sessions.begin() as session:
                lines = claim_lines(
                    session, model="bench", revision="1", slot=uuid.uuid4(), limit=200, lease_seconds=60
                )
            if not lines:
                return time.time()
            with self.sessions.begin() as session:
                outcomes = [Outcome(line, Transcription("text", 0.9, 0.8)) for line in lines]
                record_outcomes(session, outcomes, keep_images=False)
            if len(lines) < 200:
                return time.time()

    def scalar(self, query: str) -> float:
        with self.sessions() as session:
            return float(session.execute(text(query)).scalar_one() or 0)

    @contextlib.contextmanager
    def worker(self) -> Iterator[None]:
        environment = {
            **os.environ,
            "DATABASE_URL": self.settings.database_url.get_secret_value(),
            "REDIS_URL": self.settings.redis_url.get_secret_value(),
            "INKPOST_WEBHOOKS__ALLOW_HTTP": "true",
            "INKPOST_WEBHOOKS__ALLOWED_PORTS": "[]",
            "INKPOST_WEBHOOKS__ALLOWED_NETWORKS": '["127.0.0.0/8"]',
        }
        log = self.folder / "webhooks.log"
        with log.open("wb") as output:
            process = subprocess.Popen(webhooks_command(), env=environment, stderr=output, stdout=output)
        try:
            while " ready." not in log.read_text():
                if process.poll() is not None:
                    sys.exit(f"the worker ended:\n{log.read_text()[-2_000:]}")
                time.sleep(0.05)
            yield
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def running() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="inkpost-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)  # root's PostgreSQL runs as another user
        postgres, broker = LocalPostgres(folder / "postgres"), LocalRedis(folder / "redis")
        for server in (postgres, broker):
            server.start()
            stack.callback(server.stop)
        policy = Webhooks(allow_http=True, allowed_ports=(), allowed_networks=(ipaddress.IPv4Network("127.0.0.0/8"),))
        settings = Settings(database_url=SecretStr(postgres.url), redis_url=SecretStr(broker.url), webhooks=policy)
        migrate_database(settings)
        engine = create_database_engine(settings, "bench")
        stack.callback(engine.dispose)
        sessions = create_session_factory(engine)
        bells = Bells(settings)
        bells.attach(sessions)
        stack.callback(bells.close)
        arrivals: Queue[tuple[str, float]] = _spawn.Queue()
        port = free_port()
        receiver = _spawn.Process(target=receive, args=(port, arrivals), daemon=True)
        receiver.start()
        stack.callback(receiver.terminate)
        yield Bench(settings, sessions, arrivals, port, folder)


def throughput(bench: Bench, name: str, endpoints: int, events: int) -> float:
    """Return the deliveries a second of a backlog."""
    client_id = bench.client(name)
    for _ in range(endpoints):
        bench.endpoint(client_id, "fast")
    bench.end_jobs(client_id, events // endpoints)
    of_client = f"FROM deliveries WHERE client_id = '{client_id}'"
    with bench.worker():
        while bench.scalar(f"SELECT count(*) {of_client} AND status <> 'succeeded'"):
            time.sleep(0.2)
    seconds = bench.scalar(f"SELECT extract(epoch FROM max(finished_at) - min(started_at)) {of_client}")
    return bench.scalar(f"SELECT count(*) {of_client}") / seconds


def delays(bench: Bench, client_id: uuid.UUID, count: int) -> list[float]:
    """End one job at a time and return the milliseconds until each arrived."""
    found = []
    for _ in range(count):
        ended_at = bench.end_jobs(client_id, 1)
        _, arrived_at = bench.arrivals.get(timeout=30)
        found.append(1000 * (arrived_at - ended_at))
        time.sleep(0.02)
    return found


def isolation(bench: Bench, rounds: int, count: int) -> dict[str, list[float]]:
    """Return the delays with nothing else going on and while other endpoints hang, in alternating rounds."""
    healthy, others = bench.client("healthy"), bench.client("others")
    bench.endpoint(healthy, "timed")
    for number in range(HANGING):
        bench.endpoint(others, f"hang/{number}")
    found: dict[str, list[float]] = {"idle": [], "others_hang": []}
    for _ in range(rounds):
        with bench.worker():
            delays(bench, healthy, 5)  # connections are opened
            found["idle"] += delays(bench, healthy, count)
            bench.end_jobs(others, 20)
            while bench.scalar("SELECT count(*) FROM deliveries WHERE status = 'running'") < HANGING:
                time.sleep(0.05)
            found["others_hang"] += delays(bench, healthy, count)
        with bench.sessions.begin() as session:  # the next round starts without a backlog and a bad record
            session.execute(text(f"DELETE FROM deliveries WHERE client_id = '{others}'"))
            session.execute(text("UPDATE webhook_endpoints SET failing_since = NULL"))
        with contextlib.suppress(queue.Empty):
            while True:
                bench.arrivals.get_nowait()
    return found


def quantiles(values: Sequence[float]) -> dict[str, float]:
    cut = statistics.quantiles(values, n=20)
    return {"p50": round(cut[9], 2), "p95": round(cut[18], 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=2_000)
    parser.add_argument("--quick", action="store_true", help="Small numbers, to see that it runs.")
    arguments = parser.parse_args()
    events, rounds, count = (200, 1, 20) if arguments.quick else (arguments.events, 3, 100)
    with running() as bench:
        one = throughput(bench, "one", 1, events)
        print(f"one endpoint:  {one:8.0f} deliveries/s")
        ten = throughput(bench, "ten", 10, events)
        print(f"ten endpoints: {ten:8.0f} deliveries/s")
        found = {name: quantiles(values) for name, values in isolation(bench, rounds, count).items()}
    for name, values in found.items():
        print(f"delay, {name:12} p50 {values['p50']:7.1f} ms   p95 {values['p95']:7.1f} ms")
    print(
        json.dumps(
            {
                "bench": "webhooks",
                "cores": os.cpu_count(),
                "events": events,
                "deliveries_per_second": {"one_endpoint": round(one, 1), "ten_endpoints": round(ten, 1)},
                "delay_ms": found,
                "delay_p95_ratio": round(found["others_hang"]["p95"] / found["idle"]["p95"], 3),
                "aims": AIMS,
            }
        )
    )


if __name__ == "__main__":
    main()
