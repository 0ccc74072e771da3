"""A client's connection while its next request arrives: what is there of it, and until when the rest must be."""

import errno
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn

MAX_COLLECTED_BYTES = 64 * 1024  # of head and body; a longer body is read by a thread, which may refuse it by its head
PATIENCE_SECONDS = 0.2  # after this a body that is not here yet needs one of the few places for slow ones
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
_PATH = re.compile(rb"[A-Za-z]{1,16} (/[^\x00-\x20?#]{0,255})")
_NEEDS_A_THREAD = re.compile(rb"\r\n(?:transfer-encoding|expect):", re.IGNORECASE)


class TooManySlowBodies(TimeoutError):
    """A body takes its time, and as many threads as may wait for such bodies do so already."""


class Connection(TConn):  # type: ignore[misc]  # gunicorn has no annotations
    """A client's connection, with what has arrived of its next request and until when the rest must."""

    def __init__(self, slow_bodies: threading.Semaphore, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.slow_bodies = slow_bodies
        self.is_slow = False
        self.patient_until = 0.0
        self.arrived = bytearray()
        self.since = 0.0
        self.deadline = 0.0
        self.on_deadline: Callable[[], None] | None = None
        self.is_closed = False

    @property
    def path(self) -> str:
        """What the request asks for, as far as that can be told from its first line; empty when it cannot."""
        found = _PATH.match(self.arrived)
        return found[1].decode("latin-1") if found else ""

    def is_complete(self) -> bool:
        """Tell whether enough has arrived to spend a thread on it."""
        if len(self.arrived) >= MAX_COLLECTED_BYTES:
            return True
        head_end = self.arrived.find(b"\r\n\r\n")
        if head_end < 0:
            return False
        head = bytes(self.arrived[: head_end + 2])
        if _NEEDS_A_THREAD.search(head):
            return True
        lengths = _LENGTH.findall(head)
        if len(lengths) != 1:
            return True
        length = int(lengths[0])
        return length > MAX_COLLECTED_BYTES or len(self.arrived) >= head_end + 4 + length

    def hand_over(self) -> None:
        """Prepare what has arrived to be parsed, in the thread that will do so."""
        self.sock.setblocking(True)
        self.patient_until = time.monotonic() + PATIENCE_SECONDS
        if not self.initialized:
            self.init()
            self.parser.unreader = ArrivingBytes(self)
        if self.arrived:
            self.parser.unreader.unread(bytes(self.arrived))
            self.arrived.clear()

    def hand_back(self) -> None:
        """Note that no thread works on it any more."""
        self.deadline = 0.0
        if self.is_slow:
            self.is_slow = False
            self.slow_bodies.release()

    def close(self, graceful: bool = False) -> None:  # noqa: ARG002 - gunicorn's signature
        """Close at once, once; the worker has lingered before, where that was due."""
        if not self.is_closed:
            self.is_closed = True
            self.sock.close()


class ArrivingBytes(SocketUnreader):  # type: ignore[misc]  # gunicorn has no annotations
    """Reads the rest of a request until its connection's deadline."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection.sock)
        self._connection = connection

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return the next bytes.

        Raises:
            TimeoutError: the deadline has passed. Its errno makes gunicorn close the connection without a stack trace.
            TooManySlowBodies: the bytes are late, and too many others are too.
        """
        connection = self._connection
        if not connection.is_slow:
            try:
                return self._chunk_until(min(connection.deadline, connection.patient_until), size_hint)
            except TimeoutError as error:
                if not connection.slow_bodies.acquire(blocking=False):
                    raise TooManySlowBodies(errno.ECONNRESET, "too many bodies arrive slowly") from error
                connection.is_slow = True
        return self._chunk_until(connection.deadline, size_hint)

    def _chunk_until(self, deadline: float, size_hint: int | None) -> bytes:
        before = self.sock.gettimeout()
        left = max(deadline - time.monotonic(), 0.001)  # zero would mean: do not wait
        try:
            self.sock.settimeout(left if before is None else min(before, left))
            data: bytes = super().chunk(size_hint)
        except TimeoutError as error:
            raise TimeoutError(errno.ECONNRESET, "the request did not arrive in time") from error
        finally:
            self.sock.settimeout(before)
        return data
