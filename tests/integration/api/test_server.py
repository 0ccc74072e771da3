"""What concerns the HTTP server: real gunicorn, raw sockets."""

import base64
import contextlib
import json
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from pydantic import SecretStr

from api.problems import SECURITY_HEADERS
from cli.local.redis import LocalRedis
from core.settings import Api, Settings
from tests.integration.api.conftest import line, open_facade
from tests.processes import ApiProcess
from tests.servers import TemplatedPostgres
from tests.unit.api.pictures import png
from tests.waiting import eventually

REQUEST_SECONDS = 2.0
PATIENT_SECONDS = 90.0
THREADS = 4
CONNECTIONS = 100


@dataclass(frozen=True, slots=True)
class Server:
    """Gunicorn with few threads, and a key."""

    process: ApiProcess
    key: str

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.process.port))
        connection.settimeout(15)
        return connection

    def head(self, start: str, *headers: str) -> bytes:
        """The head of a request with a good key."""
        return "\r\n".join([start, "Host: x", f"Authorization: Bearer {self.key}", *headers, "", ""]).encode()

    def post(self, *headers: str) -> bytes:
        return self.head("POST /v1/jobs HTTP/1.1", "Content-Type: application/json", *headers)

    def say(self, data: bytes, *, half_close: bool = False) -> "Said":
        """Send bytes and return everything that comes back until the server closes."""
        with self.connect() as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return Said.all_of(connection)

    @property
    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.process.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=15)


@dataclass(frozen=True, slots=True)
class Said:
    """What a server said on a connection until it closed it."""

    raw: bytes

    @classmethod
    def all_of(cls, connection: socket.socket) -> "Said":
        raw = b""
        while data := connection.recv(65_536):
            raw += data
        return cls(raw)

    @property
    def count(self) -> int:
        return self.raw.count(b"HTTP/1.1 ")

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1])

    @property
    def problem(self) -> dict[str, object]:
        head, _, body = self.raw.partition(b"\r\n\r\n")
        assert b"content-type: application/problem+json" in head.lower()
        for name in (*SECURITY_HEADERS, "X-Request-Id"):
            assert name.lower().encode() in head.lower()
        return dict(json.loads(body))


@contextlib.contextmanager
def serving(
    postgres: TemplatedPostgres, redis_server: LocalRedis, folder: Path, request_seconds: float
) -> Iterator[Server]:
    with postgres.fresh_database() as url:
        settings = Settings(
            database_url=SecretStr(url),
            redis_url=SecretStr(redis_server.url),
            default_model="fake",
            api=Api(request_seconds=request_seconds, connections=CONNECTIONS),
        )
        with (
            open_facade(settings) as facade,
            ApiProcess(settings, folder, processes=1, threads=THREADS) as process,
        ):
            yield Server(process, facade.caller.key)


@pytest.fixture(scope="module")
def server(
    postgres: TemplatedPostgres, redis_server: LocalRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with serving(postgres, redis_server, tmp_path_factory.mktemp("api"), REQUEST_SECONDS) as server:
        yield server


@pytest.fixture(scope="module")
def patient(
    postgres: TemplatedPostgres, redis_server: LocalRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that keeps slow clients for so long that nobody's answer, awaited for 15 s, can come of their end."""
    with serving(postgres, redis_server, tmp_path_factory.mktemp("patient"), PATIENT_SECONDS) as server:
        yield server


@pytest.fixture(autouse=True)
def still_serving(server: Server) -> Iterator[None]:
    """Check after every test that nothing it did has cost the server its threads."""
    yield
    assert httpx.get(f"{server.process.url}/livez", timeout=15).status_code == 200
    assert "Traceback" not in server.process.output()


def test_a_request_is_answered_and_the_connection_kept(server):
    with server.client as client:
        answers = [client.get("/v1/limits") for _ in range(3)]
        assert {answer.status_code for answer in answers} == {200}
        assert answers[0].headers["Connection"] == "keep-alive"


def test_pipelined_requests_are_answered_in_order(server):
    said = server.say(
        server.head("GET /livez HTTP/1.1")
        + server.head("GET /nope HTTP/1.1")
        + server.head("GET /livez HTTP/1.1", "Connection: close")
    )
    assert [part[:3] for part in said.raw.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"NONSENSE\r\n\r\n", 400, "bad_request"),
        (b"GET /livez\r\n\r\n", 400, "bad_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, "bad_request"),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_request"),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nBad Name: b\r\n\r\n", 400, "bad_request"),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n", 400, "bad_request"),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "uri_too_long"),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9_000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 100 + b"\r\n", 431, "headers_too_large"),
    ],
)
def test_a_head_that_cannot_be_parsed_is_refused_like_everything_else(server, request_bytes, status, code):
    said = server.say(request_bytes)
    assert (said.status, said.problem["code"], said.count) == (status, code, 1)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        (("Bad Name: b",), 400, "bad_request"),
        (("X: " + "a" * 9_000,), 431, "headers_too_large"),
        (("X: " + "a" * 1_000_000,), 431, "headers_too_large"),
        (("Transfer-Encoding: chunked", "Content-Length: 5"), 400, "bad_request"),
        (("Transfer-Encoding: chunked",), 411, "length_required"),
        (("Content-Length: 100000000",), 413, "body_too_large"),
        (("Content-Length: 50",), 408, "request_timeout"),
    ],
)
def test_what_the_server_itself_refuses_on_openai_s_paths_has_openai_s_shape(server, headers, status, code):
    start = "POST /v1/chat/completions HTTP/1.1"
    said = server.say(server.head(start, "Content-Type: application/json", *headers) + b"{")
    head, _, body = said.raw.partition(b"\r\n\r\n")
    assert (said.status, json.loads(body)["error"]["code"], said.count) == (status, code, 1)
    assert b"Content-Type: application/json\r\n" in head
    assert b"X-Should-Retry: " in head


@pytest.mark.parametrize(
    "framing",
    [
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: gzip",),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5, 5",),
        ("Content-Length: -5",),
        ("Content-Length: +5",),
        ("Content-Length: 0x5",),
    ],
)
def test_a_body_that_two_servers_could_frame_differently_is_one_refused_request(server, framing):
    said = server.say(server.post(*framing) + b"0\r\n\r\n" + server.head("GET /v1/limits HTTP/1.1"))
    assert (said.status, said.count) == (400, 1)


def test_a_chunked_body_needs_a_length(server):
    said = server.say(server.post("Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n")
    assert (said.status, said.problem["code"], said.count) == (411, "length_required", 1)


@pytest.mark.parametrize("length", [10**8, 10**18, 10**40])
def test_a_body_over_the_limit_is_refused_before_it_is_sent(server, length):
    said = server.say(server.post(f"Content-Length: {length}"))
    assert (said.status, said.count) == (413, 1)


def test_a_compressed_body_is_refused_before_it_is_sent(server):
    said = server.say(server.post("Content-Encoding: gzip", "Content-Length: 1000000"))
    assert (said.status, said.problem["code"]) == (415, "unsupported_encoding")


def test_a_call_without_a_key_is_refused_before_its_body_is_sent(server):
    said = server.say(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n\r\n")
    assert (said.status, said.problem["code"]) == (401, "missing_credentials")


def test_a_length_that_is_too_short_ends_the_body_there(server):
    said = server.say(server.post("Content-Length: 2", "Connection: close") + b'{}"lines":[]}')
    assert (said.status, said.count) == (422, 1)


def test_a_body_that_ends_early_is_refused(server):
    said = server.say(server.post("Content-Length: 50") + b"{}", half_close=True)
    assert (said.status, said.problem["code"]) == (400, "bad_request")


@pytest.mark.parametrize("size", [50, 1_000_000])
def test_a_body_that_does_not_arrive_in_time_is_dropped(server, size):
    said = server.say(server.post(f"Content-Length: {size}") + b"{" * (size // 2))
    assert (said.status, said.problem["code"]) == (408, "request_timeout")


@contextlib.contextmanager
def dripping(server: Server, start: bytes) -> Iterator[threading.Event]:
    """Many more slow clients than threads, each sending a byte now and then; the event says that one was dropped."""
    slow = [server.connect() for _ in range(10 * THREADS)]
    stopped = threading.Event()

    def drip() -> None:
        while not stopped.wait(0.2):
            for connection in slow:
                try:
                    connection.send(b"a")
                except OSError:
                    stopped.set()

    try:
        for connection in slow:
            connection.sendall(start)
        threading.Thread(target=drip, daemon=True).start()
        yield stopped
    finally:
        stopped.set()
        for connection in slow:
            connection.close()


PARTS = pytest.mark.parametrize(
    "start",
    [b"", b"GET /livez HTTP/1.1\r\nHo", b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\n{"],
    ids=["nothing", "half a head", "half a body"],
)


@PARTS
def test_clients_that_drip_bytes_do_not_disturb_others(patient, start):
    with dripping(patient, start), patient.client as client:
        assert all(client.get("/v1/limits").status_code == 200 for _ in range(20))


@PARTS
def test_a_client_that_drips_bytes_is_dropped(server, start):
    with dripping(server, start) as dropped:
        assert dropped.wait(30), "a slow client was never dropped"


@pytest.mark.parametrize(
    "start", [b"", b"G", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["silent", "slow", "kept"]
)
def test_more_idle_connections_than_the_server_holds_keep_nobody_out(patient, start):
    idle = [patient.connect() for _ in range(CONNECTIONS // 2)]
    try:
        for connection in idle:
            connection.sendall(start)
        for _ in range(2 * CONNECTIONS):
            idle.append(patient.connect())
            idle[-1].sendall(start)
        with patient.client as client:
            assert client.get("/v1/limits").status_code == 200
    finally:
        for connection in idle:
            connection.close()


@contextlib.contextmanager
def slow_bodies(server: Server) -> Iterator[list[socket.socket]]:
    slow = [server.connect() for _ in range(5 * THREADS)]
    try:
        for connection in slow:
            connection.sendall(server.post("Content-Length: 1000000") + b"{" * 1_000)
        yield slow
    finally:
        for connection in slow:
            connection.close()


def test_large_bodies_that_come_slowly_leave_threads_to_others(patient):
    with slow_bodies(patient), patient.client as client:
        assert all(client.get("/v1/limits").status_code == 200 for _ in range(20))


def test_large_bodies_that_come_slowly_are_refused_or_dropped(server):
    with slow_bodies(server) as slow:
        codes = {Said.all_of(connection).problem["code"] for connection in slow}
    assert codes == {"overloaded", "request_timeout"}


def test_clients_that_neither_read_nor_close_do_not_disturb_others(patient):
    parked = [patient.connect() for _ in range(10 * THREADS)]
    try:
        for connection in parked:
            connection.sendall(patient.head("GET /openapi.json HTTP/1.1", "Connection: close"))
        with patient.client as client:
            assert client.get("/v1/limits").status_code == 200
    finally:
        for connection in parked:
            connection.close()


def test_a_client_that_expects_to_be_asked_is_asked(server):
    body = json.dumps({"lines": [line()]}).encode()
    with server.connect() as connection:
        connection.sendall(server.post("Expect: 100-continue", f"Content-Length: {len(body)}", "Connection: close"))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert Said.all_of(connection).status == 202


def test_bombs_are_refused_quickly_and_leave_memory_as_it_was(server):
    [child] = psutil.Process(server.process.pid).children()
    bombs = [
        b'{"lines":' + b"[" * 100_000,
        b'{"lines":[' + b"{}," * 2_000_000 + b"{}]}",
        b'{"retention_seconds":' + b"9" * 1_000_000 + b"}",
        json.dumps({"lines": [{"image": base64.b64encode(png(50_000, 50_000, depth=1)).decode()}]}).encode(),
        json.dumps(
            {"lines": [{"image": base64.b64encode(b"II*\0\x08\0\0\0\xff\xff" + bytes(5_000_000)).decode()[:-1]}]}
        ).encode(),
    ]
    with server.client as client:
        before = child.memory_info().rss
        for bomb in bombs * 2:
            answer = client.post("/v1/jobs", content=bomb, headers={"Content-Type": "application/json"})
            assert answer.status_code in {400, 422}
        answer = client.post("/v1/jobs", content=b"\x1f\x8b" + bytes(10), headers={"Content-Encoding": "gzip"})
        assert answer.status_code == 415
    assert child.memory_info().rss - before < 64 << 20


def test_long_polls_take_at_most_half_of_the_threads(server):
    with server.client as client:
        job_id = client.post("/v1/jobs", json={"lines": [line()]}).json()["id"]
    with ThreadPoolExecutor(2 * THREADS) as pool:

        def poll(_: int) -> float:
            started = time.monotonic()
            with server.client as client:
                answer = client.get(f"/v1/jobs/{job_id}", params={"wait": 10})
            assert (answer.status_code, answer.headers["Retry-After"]) == (200, "1")
            return time.monotonic() - started

        polls = pool.map(poll, range(2 * THREADS))
        with server.client as client:
            assert client.get("/v1/limits", timeout=8).status_code == 200
        waited = sorted(polls)
    assert sum(seconds > 9 for seconds in waited) == THREADS // 2


def test_counts_of_all_processes_are_added_up(settings, bench, tmp_path):
    key = bench.key_of("forms")
    with ApiProcess(settings, tmp_path, processes=2, threads=4) as process:

        def count() -> float:
            answer = httpx.get(f"{process.url}/metrics", headers={"Authorization": f"Bearer {key}"}, timeout=15)
            found = [
                row for row in answer.text.splitlines() if row.startswith("inkpost_requests_total{") and "livez" in row
            ]
            return sum(float(row.rsplit(" ", 1)[1]) for row in found)

        before = count()
        for _ in range(20):
            httpx.get(f"{process.url}/livez", timeout=15)
        assert eventually(lambda: count() - before >= 20)


def test_a_killed_server_leaves_no_folder_for_long(settings, tmp_path):
    def folders(pid: int) -> list[Path]:
        return list(Path(tempfile.gettempdir()).glob(f"inkpost-metrics-{pid}-*"))

    with ApiProcess(settings, tmp_path, processes=1, threads=4) as killed:
        assert len(folders(killed.pid)) == 1
    assert len(folders(killed.pid)) == 1
    with ApiProcess(settings, tmp_path, processes=1, threads=4) as process:
        assert folders(killed.pid) == []
        process.terminate()
        assert process.wait(20) == 0
        assert folders(process.pid) == []


def test_a_stopping_server_answers_its_long_polls_and_ends(settings, bench, tmp_path):
    with ApiProcess(settings, tmp_path, processes=1, threads=4) as process:
        headers = {"Authorization": f"Bearer {bench.key_of('forms')}"}
        job_id = httpx.post(f"{process.url}/v1/jobs", headers=headers, json={"lines": [line()]}).json()["id"]
        with ThreadPoolExecutor(1) as pool:
            poll = pool.submit(httpx.get, f"{process.url}/v1/jobs/{job_id}?wait=60", headers=headers, timeout=90)
            eventually(lambda: "job.accepted" in process.output())
            time.sleep(0.5)  # the poll has to be inside; nothing outside can tell
            process.terminate()
            assert poll.result(20).status_code == 200
        assert process.wait(20) == 0


def test_no_log_holds_a_key_an_image_or_a_text(server):
    image = base64.b64encode(png(data=b"planted-bytes")).decode()
    with server.client as client:
        client.post("/v1/jobs", json={"lines": [{"image": image}], "client_reference": "planted-reference"})
        client.post("/v1/jobs", json={"lines": [{"image": "planted-image"}]})
        client.get("/v1/jobs", params={"client_reference": "planted-filter"})
    log = server.process.output()
    assert server.key not in log
    assert image not in log
    assert "planted" not in log
