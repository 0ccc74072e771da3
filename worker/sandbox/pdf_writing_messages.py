"""What a parent asks of a child that writes documents, and what the child answers; the same for both sides.

A request is the document, then what to write as JSON, then the length of that JSON. It is answered by any number of
signs of progress, then by the written document in pieces and a word that it is whole, or by the error that refuses it.
An answer is a kind and what goes with it.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from enum import IntEnum

from core.documents.writing import WrittenLine
from core.errors import DocumentError
from core.words import TranscriptFormat
from worker.sandbox import pdf_messages
from worker.sandbox.limits import MIB
from worker.sandbox.protocol import ProtocolViolation

MAX_ANSWER_BYTES = MIB

_LENGTH = struct.Struct("<I")
_PIECE, _REFUSED = 3, 4


class Moment(IntEnum):
    """An answer that is nothing but its kind."""

    PROGRESS = 1
    DONE = 2


def request_parts(
    pdf: bytes, password: str | None, wanted: TranscriptFormat, lines: Sequence[WrittenLine]
) -> tuple[bytes, bytes]:
    """Return the two parts of a request."""
    body = json.dumps({"password": password, "format": wanted, "lines": list(map(astuple, lines))}).encode()
    return pdf, body + _LENGTH.pack(len(body))


def read_request(payload: bytes) -> tuple[memoryview, str | None, TranscriptFormat, list[WrittenLine]]:
    """Return the document, its password, as what it is to be written, and the lines."""
    (length,) = _LENGTH.unpack_from(payload, len(payload) - _LENGTH.size)
    pdf_length = len(payload) - _LENGTH.size - length
    body = json.loads(payload[pdf_length : pdf_length + length])
    lines = [WrittenLine(page, tuple(box), text, field) for page, box, text, field in body["lines"]]
    return memoryview(payload)[:pdf_length], body["password"], TranscriptFormat(body["format"]), lines


def moment_parts(moment: Moment) -> Sequence[bytes]:
    """Return the parts of an answer that is nothing but its kind."""
    return [bytes([moment])]


def refusal_parts(error: DocumentError) -> Sequence[bytes]:
    """Return the parts of the answer that refuses a document."""
    return [bytes([_REFUSED]), *pdf_messages.answer_parts(error)]


def written_parts(pdf: memoryview) -> Iterator[Sequence[bytes]]:
    """Yield the parts of the answers that hand a written document over."""
    step = MAX_ANSWER_BYTES - 1
    for start in range(0, len(pdf), step):
        yield [bytes([_PIECE]), bytes(pdf[start : start + step])]
    yield moment_parts(Moment.DONE)


def read_answer(payload: bytearray) -> Moment | memoryview | DocumentError:
    """Return what an answer says, a piece as it is; raise ProtocolViolation when it is not what a child should send."""
    kind, rest = next(iter(payload), 0), memoryview(payload)[1:]
    if kind == _PIECE:
        return rest
    if kind == _REFUSED:
        refusal = pdf_messages.read_answer(bytearray(rest))
        if isinstance(refusal, DocumentError):
            return refusal
    elif kind in list(Moment) and not rest:
        return Moment(kind)
    raise ProtocolViolation("an answer that makes no sense")
