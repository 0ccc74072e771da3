"""What a sandbox child runs: import the entry module, confine the process, check that it still works, serve.

An entry module offers

    prepare(limits) -> handle    import what is needed; return a function from the bytes of one request to its answers,
                                 each a sequence of parts. Untrusted bytes have not arrived yet.
    check(handle) -> None        runs confined, before READY; raises when the work cannot be done like this.

`handle` lets MemoryError pass: it ends the child, which tells the parent better than any frame could.
"""

import importlib
import json
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, cast

from worker.sandbox import limits as limit_classes
from worker.sandbox import protocol
from worker.sandbox.confinement import confine, forget_inherited_signals
from worker.sandbox.limits import SandboxLimits

Handle = Callable[[bytes], Iterable[Sequence[bytes]]]

READ_BUFFER_BYTES = 1024 * 1024


class Entry(Protocol):
    """An entry module, seen as a type."""

    def prepare(self, limits: SandboxLimits) -> Handle:
        """Return the function that serves a request."""

    def check(self, handle: Handle) -> None:
        """Raise when the function does not work in a confined process."""


def main(launch_json: str) -> None:
    """Become a sandbox child: from here on only the requests on descriptor 0 matter, until it is closed."""
    launch = json.loads(launch_json)
    limits: SandboxLimits = getattr(limit_classes, launch["limits_class"])(**launch["limits"])
    forget_inherited_signals()
    answers = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):  # what a library prints may hold bytes of the image, and belongs in no log
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    try:
        entry = cast("Entry", importlib.import_module(launch["entry"]))
        handle = entry.prepare(limits)
        confinement = confine(limits, launch["parent_id"])
        entry.check(handle)
    except Exception as error:  # noqa: BLE001  an edge: whatever it is, the parent must hear of it
        reason = f"{type(error).__name__}: {error}"
        _send(answers, protocol.Kind.UNABLE, 0, [reason.encode(errors="replace")[:1000]])
        return
    _send(answers, protocol.Kind.READY, 0, [json.dumps(confinement).encode()])
    try:
        _serve(handle, answers, limits)
    except MemoryError:
        os._exit(protocol.OUT_OF_MEMORY_EXIT)


def _serve(handle: Handle, answers: int, limits: SandboxLimits) -> None:
    """Answer requests in order until the parent closes its end."""
    with open(0, "rb", buffering=READ_BUFFER_BYTES, closefd=False) as requests:
        while header := requests.read(protocol.HEADER.size):
            if len(header) < protocol.HEADER.size:
                return
            _kind, sequence, length = protocol.HEADER.unpack(header)
            payload = requests.read(length)
            if len(payload) < length:
                return
            # Counts processor time only; SIGPROF, when it fires, ends the process even inside a C library.
            signal.setitimer(signal.ITIMER_PROF, limits.cpu_seconds)
            for parts in handle(payload):
                _send(answers, protocol.Kind.ANSWER, sequence, parts)
                if limits.cpu_seconds_per_answer:
                    left, _interval = signal.setitimer(signal.ITIMER_PROF, limits.cpu_seconds)
                    earned = min(limits.cpu_seconds, left + limits.cpu_seconds_per_answer)
                    signal.setitimer(signal.ITIMER_PROF, earned)


def _send(descriptor: int, kind: protocol.Kind, sequence: int, parts: Sequence[bytes]) -> None:
    """Write one frame whole."""
    length = sum(map(len, parts))
    written = os.writev(descriptor, [protocol.HEADER.pack(kind, sequence, length), *parts])
    if written < protocol.HEADER.size + length:  # only after a signal, or above the kernel's limit for one write
        rest = memoryview(protocol.HEADER.pack(kind, sequence, length) + b"".join(parts))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
