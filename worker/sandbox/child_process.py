"""Start a confined child for an entry module, pump frames to and from it, and end it.

Knows nothing of images: another kind of child is another entry module (see child_main.py) and other limits. Safe to
use in a process with threads, signal handlers and open sockets, and in a daemonic Celery child: the program is started
by `subprocess` without a preexec function, with every descriptor closed but its two pipes and an empty environment.
"""

import contextlib
import fcntl
import importlib.util
import json
import os
import select
import subprocess
import sys
import time
from collections import deque
from dataclasses import asdict
from pathlib import Path

import structlog

from core.errors import SandboxUnavailable
from worker.sandbox.limits import SandboxLimits
from worker.sandbox.protocol import HEADER, Frame, FrameReader, Kind, ProtocolViolation

_ROOT = str(Path(__file__).resolve().parents[2])
_BOOTSTRAP = "import sys; sys.path += sys.argv[2:]; from worker.sandbox.child_main import main; main(sys.argv[1])"
_PIPE_BYTES = 1024 * 1024  # what an ordinary user may ask for (/proc/sys/fs/pipe-max-size)
_PARTS_PER_WRITE = 256  # under IOV_MAX everywhere
_POLL_SLICE_SECONDS = 0.25
_READY_PAYLOAD_BYTES = 4096
_GOODBYE_SECONDS = 1.0  # an idle child ends in milliseconds

_log = structlog.get_logger(__name__)


class ChildDied(Exception):
    """The child is gone. `exit_status` is as subprocess has it: negative is the signal that ended it."""

    def __init__(self, exit_status: int) -> None:
        super().__init__(f"sandbox child ended with status {exit_status}")
        self.exit_status = exit_status


class ChildSilent(Exception):
    """No answer within the wall limit."""


class ChildProcess:
    """One running child. Not for use by two threads at once.

    `confinement` tells which optional confinements took hold, by name.
    """

    def __init__(self, entry: str, limits: SandboxLimits, *, max_answer_bytes: int, libraries: tuple[str, ...]) -> None:
        """Start the child and wait until it is confined and ready; raise SandboxUnavailable if it cannot be.

        `libraries` are the top-level packages outside the standard library that the entry module imports: they are
        found here, without importing them, because the child runs without site-packages.
        """
        self.owner_id = os.getpid()
        self._limits = limits
        self._outgoing: deque[memoryview] = deque()
        self._reader = FrameReader(max(max_answer_bytes, _READY_PAYLOAD_BYTES))
        launch = {
            "entry": entry,
            "limits_class": type(limits).__name__,
            "limits": asdict(limits),
            "parent_id": self.owner_id,
        }
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _BOOTSTRAP, json.dumps(launch), *_search_path(libraries)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,  # the child turns it to /dev/null before it sees a byte of ours
                bufsize=0,
                close_fds=True,
                start_new_session=True,
                cwd="/",
                env=_environment(),
            )
        except OSError as error:
            raise SandboxUnavailable(f"the sandbox child could not be started: {error.strerror}") from error
        if self._process.stdin is None or self._process.stdout is None or self._process.stderr is None:
            raise SandboxUnavailable
        self._requests, self._answers = self._process.stdin.fileno(), self._process.stdout.fileno()
        for descriptor in (self._requests, self._answers):
            os.set_blocking(descriptor, False)
            if hasattr(fcntl, "F_SETPIPE_SZ"):
                with contextlib.suppress(OSError):  # a user who holds many pipes already gets smaller ones
                    fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self.confinement = self._wait_until_ready()
        _log.info("sandbox.started", entry=entry, child_id=self.id, **self.confinement)

    @property
    def id(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Say whether the child is gone, by itself or killed from outside."""
        return self._process.poll() is not None

    @property
    def unsent_parts(self) -> int:
        """Pieces of requests that the pipe has not taken yet."""
        return len(self._outgoing)

    def queue(self, sequence: int, *parts: bytes) -> None:
        """Line up one request; it is written by the next `receive`."""
        self._outgoing.append(memoryview(HEADER.pack(Kind.REQUEST, sequence, sum(map(len, parts)))))
        self._outgoing.extend(memoryview(part) for part in parts if part)

    def receive(self) -> list[Frame]:
        """Write and read until at least one whole frame arrived, and return all that did.

        Raises ChildDied when the child ends first, ChildSilent when `wall_seconds` pass first, ProtocolViolation when
        it sends nonsense. Frames that were complete before the child's end are returned before any of these.
        """
        return self._receive(self._limits.wall_seconds)

    def _receive(self, seconds: float) -> list[Frame]:
        waited = 0.0
        while True:
            started = time.monotonic()
            if frames := self._exchange(_POLL_SLICE_SECONDS):
                return frames
            # A slice counts for no more than its length: when this very process was stopped, so was the child.
            waited += min(time.monotonic() - started, _POLL_SLICE_SECONDS)
            if waited >= seconds:
                raise ChildSilent

    def _exchange(self, seconds: float) -> list[Frame]:
        """Wait until a pipe is ready, then write what fits and read what is there."""
        if frames := self._reader.feed(b""):
            return frames
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        if self._outgoing:
            poll.register(self._requests, select.POLLOUT)
        ready = dict(poll.poll(seconds * 1000))
        if self._requests in ready:
            self._write()
        if self._answers not in ready:
            return []
        data = os.read(self._answers, _PIPE_BYTES)
        if not data:
            raise ChildDied(self._exit_status())
        return self._reader.feed(data)

    def _write(self) -> None:
        """Write as much as the pipe takes. A child that is gone is noticed on the reading side, after its answers."""
        try:
            while self._outgoing:
                parts = [self._outgoing[index] for index in range(min(len(self._outgoing), _PARTS_PER_WRITE))]
                written = os.writev(self._requests, parts)
                while written and written >= len(self._outgoing[0]):
                    written -= len(self._outgoing.popleft())
                if written:
                    self._outgoing[0] = self._outgoing[0][written:]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._outgoing.clear()

    def _exit_status(self) -> int:
        """Say how the child ended; end it if it only closed its pipe to make us wait."""
        try:
            return self._process.wait(timeout=_GOODBYE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def kill(self) -> None:
        """End the child at once, whatever it does."""
        self._process.kill()
        self._release()
        self._process.wait()

    def close(self) -> None:
        """Let an idle child go: it ends by itself when its requests end."""
        self._release()
        self._exit_status()

    def abandon(self) -> None:
        """Close our copies of the pipes without touching the child, which belongs to the process we forked from."""
        self._release()
        self._process.returncode = 0  # not ours to wait for

    def _release(self) -> None:
        self._outgoing.clear()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _wait_until_ready(self) -> dict[str, bool]:
        """Read the first frame, and with it what the child could give up; leave nothing behind if it is another."""
        stderr = self._process.stderr
        try:
            frame = self._receive(self._limits.start_seconds)[0]
        except (ChildDied, ChildSilent, ProtocolViolation) as error:
            self._process.kill()
            said = stderr.read(2000).decode(errors="replace").strip() if stderr is not None else ""
            self.kill()
            raise SandboxUnavailable(f"the sandbox child did not start: {error} {said}".strip()) from error
        if frame.kind is not Kind.READY or len(frame.payload) > _READY_PAYLOAD_BYTES:
            self.kill()
            reason = frame.payload[:_READY_PAYLOAD_BYTES].decode(errors="replace")
            raise SandboxUnavailable(f"the sandbox child cannot work here: {reason}")
        if stderr is not None:
            stderr.close()
        return {str(name): bool(value) for name, value in json.loads(frame.payload).items()}


def _search_path(libraries: tuple[str, ...]) -> list[str]:
    """Tell where the child finds our own packages and the libraries, each folder once."""
    folders = [_ROOT]
    for library in libraries:
        spec = importlib.util.find_spec(library)
        if spec is None or spec.origin is None:
            raise SandboxUnavailable(f"the sandbox child needs {library}, which is not installed")
        folders.append(str(Path(spec.origin).resolve().parents[1]))
    return list(dict.fromkeys(folders))


def _environment() -> dict[str, str]:
    """Keep nothing of ours but where the dynamic linker looks: some interpreters cannot start without it."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
