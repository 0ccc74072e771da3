"""A TCP proxy in front of a real server, to make the network's faults."""

import socket
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

Direction = Literal["to_server", "to_client"]
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the proxy does to each chunk of bytes."""

    kind: Literal["pass", "delay", "blackhole", "reset", "cut"] = "pass"
    seconds: float = 0.0
    after_bytes: int | None = None
    on_bytes: bytes | None = None
    direction: Direction = "to_server"


class Connection:
    """One client's connection and ours to the server."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.counted: dict[Direction, int] = {"to_server": 0, "to_client": 0}
        self.counting_for: Behaviour | None = None
        self.is_doomed = False

    def reset(self) -> None:
        """End both sides with a TCP reset."""
        for side in (self.client, self.server):
            try:
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            side.close()


class TcpProxy:
    """Forwards 127.0.0.1:`port` to a server, as told: a context manager, whose behaviour may change at any time."""

    def __init__(self, target_host: str, target_port: int) -> None:
        self._target = (target_host, target_port)
        self._behaviour = Behaviour()
        self._changed = threading.Condition()
        self._connections: set[Connection] = set()
        self._is_closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    def before(cls, url: str) -> "TcpProxy":
        """Make a proxy in front of the server that a URL names."""
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        return cls(parts.hostname, parts.port)

    def url(self, url: str) -> str:
        """Return the URL with the proxy's address in place of the server's."""
        parts = urlsplit(url)
        credentials, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{credentials}{at}127.0.0.1:{self.port}"))

    def pass_through(self) -> None:
        """Forward again, also what was held back."""
        self._become(Behaviour("pass"))

    def delay(self, seconds: float) -> None:
        """Hold each chunk, in both directions, for some seconds."""
        self._become(Behaviour("delay", seconds=seconds))

    def blackhole(self) -> None:
        """Take connections and bytes and pass nothing on: a half-open network."""
        self._become(Behaviour("blackhole"))

    def reset(self) -> None:
        """Reset every connection, and each new one, until told otherwise."""
        self._become(Behaviour("reset"))
        self.reset_connections()

    def reset_connections(self) -> None:
        """Reset the connections of this moment; new ones are served."""
        for connection in list(self._connections):
            self._forget(connection)

    def cut_after(self, byte_count: int, direction: Direction = "to_server") -> None:
        """Reset the first connection that carries this many bytes from now on, after passing just those; then pass."""
        self._become(Behaviour("cut", after_bytes=byte_count, direction=direction))

    def cut_on(self, needle: bytes, direction: Direction = "to_server") -> None:
        """Reset the connection that carries these bytes, after passing them on; then pass."""
        self._become(Behaviour("cut", on_bytes=needle, direction=direction))

    @property
    def has_cut(self) -> bool:
        """Tell whether the cut that was asked for has happened."""
        return self._behaviour.kind == "pass"

    def close(self) -> None:
        """Stop listening and reset everything."""
        self._is_closed = True
        self._become(Behaviour("reset"))
        self._listener.close()
        self.reset_connections()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _become(self, behaviour: Behaviour) -> None:
        with self._changed:
            self._behaviour = behaviour
            self._changed.notify_all()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, timeout=10)
            server.settimeout(None)
        except OSError:
            client.close()
            return
        connection = Connection(client, server)
        self._connections.add(connection)
        if self._behaviour.kind == "reset":
            self._forget(connection)
            return
        for source, sink, direction in ((client, server, "to_server"), (server, client, "to_client")):
            threading.Thread(target=self._pump, args=(connection, source, sink, direction), daemon=True).start()

    def _pump(self, connection: Connection, source: socket.socket, sink: socket.socket, direction: Direction) -> None:
        try:
            while chunk := source.recv(_CHUNK):
                if not self._carry(connection, chunk, sink, direction):
                    return
            self._hold()
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            self._forget(connection)

    def _carry(self, connection: Connection, chunk: bytes, sink: socket.socket, direction: Direction) -> bool:
        """Pass a chunk on as told; tell whether the connection is still there."""
        behaviour = self._hold()
        if connection.is_doomed:  # an answer to what was passed on just before the cut
            return False
        if behaviour.kind == "reset":
            self._forget(connection)
            return False
        if behaviour.kind == "delay":
            time.sleep(behaviour.seconds)
        if behaviour.kind == "cut" and behaviour.direction == direction:
            if connection.counting_for is not behaviour:
                connection.counting_for = behaviour
                connection.counted = {"to_server": 0, "to_client": 0}
            passed = connection.counted[direction]
            if behaviour.after_bytes is not None and passed + len(chunk) >= behaviour.after_bytes:
                return self._cut(connection, chunk[: behaviour.after_bytes - passed], sink)
            if behaviour.on_bytes is not None and behaviour.on_bytes in chunk:
                return self._cut(connection, chunk, sink)
            connection.counted[direction] += len(chunk)
        sink.sendall(chunk)
        return True

    def _cut(self, connection: Connection, last: bytes, sink: socket.socket) -> bool:
        connection.is_doomed = True
        sink.sendall(last)
        time.sleep(0.05)  # a reset overtakes bytes that the server has not read yet
        self._become(Behaviour("pass"))
        self._forget(connection)
        return False

    def _hold(self) -> Behaviour:
        """Wait while nothing may pass, and return what to do then."""
        with self._changed:
            self._changed.wait_for(lambda: self._behaviour.kind != "blackhole")
            return self._behaviour

    def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        connection.reset()
