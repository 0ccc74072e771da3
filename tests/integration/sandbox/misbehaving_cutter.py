"""An entry module for cutters that does what the "document" says: the name of a function below and an argument.

It runs confined, as the real one does.
"""

import ctypes
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from core.documents.cutting import CutLine, Page
from core.words import Cut
from worker.sandbox.limits import SandboxLimits
from worker.sandbox.pdf_messages import _HEADER, AnswerKind, answer_parts, read_request

Answers = Iterable[Sequence[bytes]]


def prepare(limits: SandboxLimits) -> Callable[[bytes], Answers]:
    def handle(request: bytes) -> Answers:
        length, _wish = read_request(request)
        name, _, argument = request[:length].decode().partition(":")
        return globals()[f"do_{name}"](argument)

    return handle


def check(handle: Callable[[bytes], Answers]) -> None:
    pass


def do_lines(argument: str) -> Answers:
    """Behave: a page, and as many lines as asked."""
    yield answer_parts(Page(1, None, 100, 100))
    yield from _lines(int(argument))
    yield answer_parts(Cut.PAGE)


def _lines(count: int) -> Iterator[Sequence[bytes]]:
    for _ in range(count):
        yield answer_parts(CutLine(1, (0, 0, 1, 1), text="x"))


def do_crash(_argument: str) -> Answers:
    yield from _lines(1)
    ctypes.string_at(0)


def do_spin(_argument: str) -> Answers:
    yield from _lines(1)
    while True:
        pass


def do_spin_between_lines(argument: str) -> Answers:
    """Spend some processor time before each of many lines."""
    for _ in range(int(argument)):
        for _ in range(300_000):
            pass
        yield from _lines(1)
    yield answer_parts(Cut.PAGE)


def do_hang(_argument: str) -> Answers:
    yield from _lines(1)
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def do_eat(_argument: str) -> Answers:
    yield from _lines(1)
    held = []
    while True:
        held.append(bytearray(16 * 1024 * 1024))


def do_pour(_argument: str) -> Answers:
    """Send lines without end."""
    while True:
        yield from _lines(1)


def do_pour_images(_argument: str) -> Answers:
    while True:
        yield answer_parts(CutLine(1, (0, 0, 1, 1), image=bytes(100_000)))


def do_pour_pages(_argument: str) -> Answers:
    while True:
        yield answer_parts(Page(1, None, 100, 100))


def do_go_on_after_the_end(_argument: str) -> Answers:
    yield answer_parts(Cut.PAGE)
    yield from _lines(3)


def do_answer(argument: str) -> Answers:
    """Send an answer of this kind, JSON and image."""
    kind, body, image = json.loads(argument)
    encoded = body.encode()
    yield [_HEADER.pack(AnswerKind[kind], len(encoded)), encoded, image.encode()]


def do_garbage(_argument: str) -> Answers:
    yield [b"\xff" * 100]


def do_announce_too_long_json(_argument: str) -> Answers:
    yield [_HEADER.pack(AnswerKind.LINE, 2**32 - 1), b"{}"]
