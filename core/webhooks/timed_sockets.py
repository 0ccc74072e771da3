"""Sockets that stop in time and after enough bytes, whatever the other side does.

A socket's own timeout starts anew with each byte that arrives; these take what is left of one deadline before each
call. (OpenSSL reads whole records: Python bounds each of its calls by the timeout as a whole.)
"""

import socket
import ssl
import time
from typing import Any

from core.webhooks.addresses import Address


class Deadline:
    """A moment after which nothing more is waited for."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self, at_most: float = float("inf")) -> float:
        """Return the seconds left.

        Raises:
            TimeoutError: there are none.
        """
        seconds = self._at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return min(seconds, at_most)

    def sooner(self, seconds: float) -> "Deadline":
        """Return the earlier of this deadline and one in so many seconds."""
        return Deadline(min(self._at - time.monotonic(), seconds))


class _Budget:
    """What a socket may still use. Reading past the bytes looks like the end of the stream."""

    def __init__(self, deadline: Deadline, bytes_left: int) -> None:
        self.deadline = deadline
        self.bytes_left = bytes_left


class TimedSocket(socket.socket):
    """A plain connection."""

    budget: _Budget

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Read as the budget allows."""
        return _read(self, super().recv_into, buffer, nbytes, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Write as the deadline allows."""
        self.settimeout(self.budget.deadline.left())
        super().sendall(data, flags)


class TimedTlsSocket(ssl.SSLSocket):
    """A connection under TLS."""

    budget: _Budget

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """Read as the budget allows."""
        return _read(self, super().recv_into, buffer, nbytes or 0, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        """Write as the deadline allows; `sendall` comes here for each part."""
        self.settimeout(self.budget.deadline.left())
        return super().send(data, flags)


def _read(own: TimedSocket | TimedTlsSocket, receive: Any, buffer: Any, nbytes: int, flags: int) -> int:
    budget = own.budget
    wanted = min(nbytes or len(buffer), budget.bytes_left)
    if wanted <= 0:
        return 0
    own.settimeout(budget.deadline.left())
    received: int = receive(buffer, wanted, flags)
    budget.bytes_left -= received
    return received


def create_tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that verifies the peer's certificate and name and makes timed sockets."""
    context = ssl.create_default_context(cafile=ca_file)
    context.sslsocket_class = TimedTlsSocket
    return context


def connect(
    address: Address, port: int, *, tls: ssl.SSLContext | None, name: str, connecting: Deadline, whole: Deadline,
    max_read_bytes: int,
) -> TimedSocket | TimedTlsSocket:  # fmt: skip
    """Connect to exactly this address; under TLS the peer must prove that it is `name`.

    Raises:
        TimeoutError, ssl.SSLError, OSError: it did not come to that.
    """
    plain = TimedSocket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        plain.settimeout(connecting.left())
        plain.connect((str(address), port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.budget = _Budget(whole, max_read_bytes)
        if tls is None:
            return plain
        plain.settimeout(connecting.left())
        secure = tls.wrap_socket(plain, server_hostname=name)
    except BaseException:
        plain.close()
        raise
    assert isinstance(secure, TimedTlsSocket)  # noqa: S101 - as the context was told
    secure.budget = plain.budget
    return secure
