"""An entry module that does what the document says: tests put it where the writer would be.

The document is the name of a function below or in the misbehaving decoder.
"""

from collections.abc import Callable

from core.errors import PdfEncrypted
from tests.integration.sandbox import misbehaving_decoder
from tests.integration.sandbox.misbehaving_decoder import Answers
from worker.sandbox.limits import SandboxLimits
from worker.sandbox.pdf_writing_messages import read_request, refusal_parts, written_parts


def prepare(limits: SandboxLimits) -> Callable[[bytes], Answers]:
    def handle(request: bytes) -> Answers:
        name = f"do_{bytes(read_request(request)[0]).decode()}"
        behave = globals().get(name) or getattr(misbehaving_decoder, name)
        return behave("")

    return handle


def check(handle: Callable[[bytes], Answers]) -> None:
    pass


def do_write(_argument: str) -> Answers:
    """Behave."""
    return written_parts(memoryview(b"written"))


def do_refuse(_argument: str) -> Answers:
    """Behave, too."""
    return [refusal_parts(PdfEncrypted())]


def do_write_without_end(_argument: str) -> Answers:
    piece = next(iter(written_parts(memoryview(bytes(1_000_000)))))
    while True:
        yield piece


def do_refuse_for_no_reason(_argument: str) -> Answers:
    return [[b"\x04", b"\x05\x10\0\0\0", b'{"error": [1,2]}']]


def do_refuse_with_a_page(_argument: str) -> Answers:
    return [[b"\x04", b'\x04\x0f\0\0\0{"cut": "field"}']]


def do_end_with_more(_argument: str) -> Answers:
    return [[b"\x02more"]]
