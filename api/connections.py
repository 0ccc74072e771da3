"""A gthread worker in which a slow client costs a socket and no thread.

gunicorn's own gthread reads a request inside a pool thread with no deadline on its whole arrival, so as many slow
clients as there are threads stop the service. Here the event loop collects a request until it is complete (or, for a
large body, until its start is there); only then does it take a thread, with what is left of `request_seconds` as the
deadline for the rest; and no more than a quarter of the threads wait for large bodies that come slowly. Closing is done
by the event loop too: stock gunicorn lingers up to 2 s inside it.
"""

import errno
import selectors
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from gunicorn import http
from gunicorn.workers.gthread import ThreadWorker

from api.arrivals import MAX_COLLECTED_BYTES, Connection
from api.problems import SECURITY_HEADERS, body_of, headers_of, status_of
from api.request_ids import new_request_id
from core.errors import BadRequest, HeadersTooLarge, InkpostError, InternalError, RequestTimeout, UriTooLong

_MAX_HEAD_BYTES = 64 * 1024
_LINGER_SECONDS = 2.0


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no annotations
    """The worker. The event loop owns every connection that no thread works on."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._request_seconds = float(self.app.settings.api.request_seconds)
        self._watched: dict[Connection, None] = {}  # in the order in which they began to wait
        self._in_hand = threading.local()  # gunicorn tells handle_error of a socket, and not of what was asked
        # Half of the threads may be long-polls, so a quarter is always left for whoever is quick.
        self._slow_bodies = threading.BoundedSemaphore(max(1, self.cfg.threads // 4))

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection and collect its first request."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK}:
                raise
            return
        self.nr_conns += 1
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._collect(Connection(self._slow_bodies, self.cfg, client, address, listener.getsockname()))

    def _make_room(self) -> None:
        """Close the connection that has waited longest, so that any number of idle ones keeps nobody out."""
        watched = next(iter(self._watched), None)
        kept = self.keepalived_conns[0] if self.keepalived_conns else None
        if kept is not None and (watched is None or kept.timeout - self.cfg.keepalive < watched.since):
            self.keepalived_conns.popleft()
            self.poller.unregister(kept.sock)
            self._close(kept)
        elif len(self._watched) > 1 and watched is not None:  # the only one has just come
            self._drop(watched)

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """Collect the next request of a kept connection."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._collect(conn)

    def _collect(self, conn: Connection) -> None:
        conn.sock.setblocking(False)
        self._watch(conn, self._request_seconds, self._on_arrival, partial(self._on_late, conn))
        self._on_arrival(conn)  # it is usually here already

    def _on_arrival(self, conn: Connection, _: object = None) -> None:
        try:
            data = conn.sock.recv(MAX_COLLECTED_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._drop(conn)
            return
        conn.arrived += data
        if not data and not conn.arrived:
            self._drop(conn)
        elif data and len(conn.arrived) > _MAX_HEAD_BYTES and b"\r\n\r\n" not in conn.arrived:
            self._refuse(conn, HeadersTooLarge())
        elif not data or conn.is_complete():
            self._unwatch(conn)
            self.enqueue_req(conn)

    def _on_late(self, conn: Connection) -> None:
        if conn.arrived:
            self._refuse(conn, RequestTimeout())
        else:
            self._drop(conn)

    def handle(self, conn: Connection) -> Any:
        """Parse and answer a request, in a thread. A pipelined one has not been collected: its time starts now."""
        if conn.deadline <= time.monotonic():
            conn.deadline = time.monotonic() + self._request_seconds
        self._in_hand.path = conn.path
        conn.hand_over()
        try:
            return super().handle(conn)
        finally:
            conn.hand_back()

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Answer a parsed request. The answer must leave in time too, so that nobody parks a thread by not reading."""
        conn.sock.settimeout(self._request_seconds)
        req.body.message = req  # what api.bodies needs to close the connection after the answer
        return super().handle_request(req, conn)

    def finish_request(self, conn: Connection, fs: Any) -> None:
        """Keep the connection, or close it without making the event loop wait."""
        if fs.cancelled() or fs.exception() is not None or not fs.result():
            self._linger(conn)
        else:
            super().finish_request(conn, fs)

    def _linger(self, conn: Connection) -> None:
        """Half-close and read on for a moment: a close with unread bytes resets away the answer (RFC 9112, 9.6)."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        self._watch(conn, _LINGER_SECONDS, self._on_lingering, partial(self._drop, conn))
        self._on_lingering(conn)

    def _on_lingering(self, conn: Connection, _: object = None) -> None:
        try:
            if conn.sock.recv(MAX_COLLECTED_BYTES):
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self._drop(conn)

    def _refuse(self, conn: Connection, error: InkpostError) -> None:
        self._unwatch(conn)
        try:
            conn.sock.send(raw_answer(error, conn.path))
        except OSError:
            self._close(conn)
            return
        self._linger(conn)

    def murder_pending(self) -> None:
        """Act on passed deadlines, after every event and every second. A stopping worker waits for no new request."""
        now = time.monotonic()
        if self.alive and self.nr_conns >= self.worker_connections:
            self._make_room()
        if not self.alive:
            for conn in [conn for conn in self._watched if not conn.arrived]:
                self._drop(conn)
        for conn in [conn for conn in self._watched if conn.deadline <= now]:
            if conn.on_deadline is not None:
                conn.on_deadline()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Stop in order: long-polls answer now."""
        self._end_waiting()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Stop quickly."""
        self._end_waiting()
        super().handle_quit(sig, frame)

    def _end_waiting(self) -> None:
        if self.wsgi is not None:
            self.wsgi.extensions["inkpost"].waiting_room.close()

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:  # noqa: ARG002
        """Answer a request that gunicorn could not parse as we answer every failure."""
        error: InkpostError
        if isinstance(exc, http.errors.LimitRequestLine):
            error = UriTooLong()
        elif isinstance(exc, http.errors.LimitRequestHeaders):
            error = HeadersTooLarge()
        elif isinstance(exc, http.errors.ParseException):
            error = BadRequest()
        else:
            self.log.exception("request.crashed")
            error = InternalError()
        try:
            client.sendall(raw_answer(error, self._in_hand.path))
        except OSError as lost:
            self.log.debug("The answer was not sent: %s", lost)

    def _watch(
        self, conn: Connection, seconds: float, on_readable: Callable[..., None], on_deadline: Callable[[], None]
    ) -> None:
        conn.since = time.monotonic()
        conn.deadline = conn.since + seconds
        conn.on_deadline = on_deadline
        self._watched[conn] = None
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(on_readable, conn))

    def _unwatch(self, conn: Connection) -> None:
        if conn in self._watched:
            del self._watched[conn]
            self.poller.unregister(conn.sock)

    def _drop(self, conn: Connection) -> None:
        self._unwatch(conn)
        self._close(conn)

    def _close(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.close()


def raw_answer(error: InkpostError, path: str) -> bytes:
    """Return a whole HTTP answer for a request for `path` that never reached the application."""
    request_id = new_request_id()
    content_type, body = body_of(error, path=path, request_id=request_id)
    status = status_of(error)
    headers = {
        **SECURITY_HEADERS,
        **headers_of(error, path=path),
        "X-Request-Id": request_id,
        "Content-Type": content_type,
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {int(status)} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
