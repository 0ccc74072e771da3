"""A real receiver of webhooks, on a real socket, that answers as it is told to."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from core.webhooks.signing import verify


@dataclass(frozen=True, slots=True)
class Received:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.time)

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: bytes) -> "Received":
        """Check its signature as a receiver would, at the time when it came."""
        verify(secret, self.headers, self.body, now=self.at)
        return self


Answer = Callable[["_Handler"], None]


def status(code: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
    """Answer with a status."""

    def answer(handler: "_Handler") -> None:
        handler.send_response(code)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def hang(handler: "_Handler") -> None:
    """Say nothing until the receiver is closed."""
    handler.server.is_closing.wait(60)  # type: ignore[attr-defined]


def drip(handler: "_Handler") -> None:
    """Send a head that never ends, a byte at a time."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    for _ in range(600):
        handler.wfile.write(b"a")
        handler.wfile.flush()
        if handler.server.is_closing.wait(0.1):  # type: ignore[attr-defined]
            return


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        receiver: Receiver = self.server.receiver  # type: ignore[attr-defined]
        received = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.close_connection = True
        with contextlib.suppress(OSError):  # the sender had enough
            receiver.take(received)(self)

    do_GET = do_POST  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class Receiver:
    """Keeps what it receives; answers by the next of its answers, or 200 when there is none left."""

    def __init__(self, *answers: Answer) -> None:
        self.received: list[Received] = []
        self.answers = deque(answers)
        self.default: Answer = status(200)
        self._lock = threading.Lock()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def take(self, received: Received) -> Answer:
        with self._lock:
            self.received.append(received)
            return self.answers.popleft() if self.answers else self.default


@contextmanager
def receiving(*answers: Answer, port: int = 0, host: str = "127.0.0.1") -> Iterator[Receiver]:
    """Run a receiver on a free port of this machine."""
    receiver = Receiver(*answers)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 256

    server = Server((host, port), _Handler)
    server.receiver = receiver  # type: ignore[attr-defined]
    server.is_closing = threading.Event()  # type: ignore[attr-defined]
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.is_closing.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()
        thread.join(5)
