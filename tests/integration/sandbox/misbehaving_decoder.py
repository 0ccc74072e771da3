"""An entry module for sandbox children that does what the request says: tests put it where the decoder would be.

A request is the name of a function below and, after a colon, its argument. It runs confined, as the decoder does.
"""

import ctypes
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from worker.sandbox import protocol
from worker.sandbox.image_answer import HEADER, Verdict
from worker.sandbox.limits import SandboxLimits

Answers = Iterable[Sequence[bytes]]

_ANSWERS_DESCRIPTOR = 3
_seen_at_start: dict[str, str] = {}


def prepare(limits: SandboxLimits) -> Callable[[bytes], Answers]:
    if limits.requests_per_child == 13:
        raise RuntimeError("no decoder today")
    _seen_at_start.update(
        descriptors=" ".join(sorted(_open_descriptors())),
        environment=" ".join(sorted(os.environ)),
        folder=str(Path.cwd()),
        session=str(os.getsid(0) == os.getpid()),
        ignored=str(signal.getsignal(signal.SIGTERM) is signal.SIG_IGN),
        masked=str(bool(signal.pthread_sigmask(signal.SIG_BLOCK, ()))),
    )

    def handle(request: bytes) -> Answers:
        name, _, argument = request.decode().partition(":")
        return globals()[f"do_{name}"](argument)

    return handle


def check(handle: Callable[[bytes], Answers]) -> None:
    pass


def _open_descriptors() -> list[str]:
    """Tell what each open descriptor points at, but for the one that is open in order to look."""
    return [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()]


def _white(width: int, height: int) -> Answers:
    return [[HEADER.pack(Verdict.PIXELS, 1, width, height), b"\xff" * (width * height)]]


def do_white(argument: str) -> Answers:
    """Behave: a white picture as wide as asked."""
    return _white(int(argument), 10)


def do_tell(argument: str) -> Answers:
    """Say what was there when the child started."""
    return [[_seen_at_start[argument].encode()]]


def do_try(argument: str) -> Answers:
    """Try something that a confined process cannot do, and say how that ended."""
    attempts: dict[str, Callable[[], object]] = {
        "socket": socket.socket,
        "read": lambda: Path("/etc/passwd").read_bytes(),
        "write": lambda: Path("/tmp/inkpost-escape").write_bytes(b"x"),
        "fork": os.fork,
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "run": lambda: subprocess.run(["/bin/true"], check=True),
        "signal": lambda: os.kill(os.getppid(), 0),
        "root": lambda: os.setuid(0),
        "trace": lambda: (_ for _ in ()).throw(OSError()) if ctypes.CDLL(None).ptrace(0, 0, 0, 0) else None,
    }
    try:
        attempts[argument]()
    except OSError:
        return [[b"refused"]]
    return [[b"done"]]


def do_close_the_pipe(_argument: str) -> Answers:
    os.close(_ANSWERS_DESCRIPTOR)
    return do_hang("")


def do_crash(_argument: str) -> Answers:
    ctypes.string_at(0)
    return []


def do_spin(_argument: str) -> Answers:
    while True:
        pass


def do_hang(_argument: str) -> Answers:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
    return []


def do_eat(_argument: str) -> Answers:
    held = []
    while True:
        held.append(bytearray(16 * 1024 * 1024))


def _write_raw(data: bytes) -> None:
    os.write(_ANSWERS_DESCRIPTOR, data)


def do_announce_too_much(_argument: str) -> Answers:
    _write_raw(protocol.HEADER.pack(protocol.Kind.ANSWER, 1, protocol.MAX_PAYLOAD_BYTES))
    return do_hang("")


def do_send_garbage(_argument: str) -> Answers:
    _write_raw(b"\xff" * 5000)
    return do_hang("")


def do_drip(_argument: str) -> Answers:
    _write_raw(b"\x04")
    return do_hang("")


def do_answer_out_of_turn(_argument: str) -> Answers:
    _write_raw(protocol.HEADER.pack(protocol.Kind.ANSWER, 4_000_000, 0))
    return do_hang("")


def do_answer_twice(_argument: str) -> Answers:
    return [*_white(10, 10), *_white(10, 10)]


def do_lie_about_pixels(argument: str) -> Answers:
    width, height, channels, length = map(int, argument.split(","))
    return [[HEADER.pack(Verdict.PIXELS, channels, width, height), bytes(length)]]


def do_say_nothing(_argument: str) -> Answers:
    return [[b""]]


def do_unknown_verdict(_argument: str) -> Answers:
    return [[HEADER.pack(200, 0, 0, 0)]]
