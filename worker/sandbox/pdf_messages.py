"""What a parent asks of a child that cuts documents, and what the child answers; the same for both sides.

A request is the document, then the wish as JSON, then the length of that JSON: so the child's parser gets the bytes
where they lie. It is answered by any number of pages, lines and skipped fields, and then by the cut that was made or by
the error that refuses the document. An answer is a kind, the length of a JSON object, that object, and a line's PNG.
"""

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import asdict
from enum import IntEnum
from typing import Any

from core.documents.cutting import Box, CutLine, CutWish, Page, Region, SkippedField
from core.errors import (
    CorruptImage,
    DocumentError,
    ImageDimensions,
    InvalidPdf,
    LineError,
    NoLines,
    PageOutOfRange,
    PageTooLarge,
    PageUnreadable,
    PdfEncrypted,
    RegionOutside,
    TooManyLines,
    TooManyPages,
    UnprocessableInput,
)
from core.words import Cut, RegionUnit
from worker.sandbox.protocol import ProtocolViolation

MAX_NAME_LENGTH = 1_000
MAX_TEXT_LENGTH = 50_000  # as JSON within MAX_JSON_BYTES, however it is escaped
MAX_JSON_BYTES = 1024 * 1024

_LENGTH = struct.Struct("<I")
_HEADER = struct.Struct("<BI")  # kind, length of the JSON
_LINE_ERRORS: dict[str, type[LineError]] = {
    error.code: error for error in (CorruptImage, ImageDimensions, PageUnreadable, RegionOutside)
}
_DOCUMENT_ERRORS: dict[str, type[DocumentError]] = {
    error.code: error
    for error in (
        InvalidPdf,
        NoLines,
        PageOutOfRange,
        PageTooLarge,
        PdfEncrypted,
        TooManyLines,
        TooManyPages,
        UnprocessableInput,
    )
}

Answer = Page | SkippedField | CutLine | Cut | DocumentError


class AnswerKind(IntEnum):
    """What an answer is about."""

    PAGE = 1
    SKIPPED = 2
    LINE = 3
    DONE = 4  # the last one: the cut that was made
    REFUSED = 5  # the last one: why the document is not cut


def request_parts(pdf: bytes, wish: CutWish) -> tuple[bytes, bytes]:
    """Return the two parts of a request."""
    body = json.dumps(asdict(wish)).encode()
    return pdf, body + _LENGTH.pack(len(body))


def read_request(payload: bytes) -> tuple[int, CutWish]:
    """Return how many bytes at the start of a request are the document, and the wish behind it."""
    (length,) = _LENGTH.unpack_from(payload, len(payload) - _LENGTH.size)
    pdf_length = len(payload) - _LENGTH.size - length
    wish = json.loads(payload[pdf_length : pdf_length + length])
    pages = wish["pages"]
    return pdf_length, CutWish(
        cut=Cut(wish["cut"]),
        pages=None if pages is None else tuple((first, last) for first, last in pages),
        password=wish["password"],
        regions=tuple(
            Region(region["name"], region["page"], _box(region["box"]), RegionUnit(region["unit"]))
            for region in wish["regions"]
        ),
    )


def answer_parts(answer: Answer) -> Sequence[bytes]:
    """Return the parts of an answer."""
    image = b""
    if isinstance(answer, Page):
        kind, body = AnswerKind.PAGE, asdict(answer)
    elif isinstance(answer, SkippedField):
        kind, body = AnswerKind.SKIPPED, asdict(answer)
    elif isinstance(answer, CutLine):
        kind, image = AnswerKind.LINE, answer.image or b""
        error = None if answer.error is None else [answer.error.code, answer.error.detail]
        body = {"page": answer.page, "box": answer.box, "name": answer.name, "text": answer.text, "error": error}
    elif isinstance(answer, Cut):
        kind, body = AnswerKind.DONE, {"cut": answer}
    else:
        kind, body = AnswerKind.REFUSED, {"error": [answer.code, answer.detail]}
    encoded = json.dumps(body).encode()
    return [_HEADER.pack(kind, len(encoded)), encoded, image]


def read_answer(payload: bytearray) -> Answer:
    """Return what an answer says; raise ProtocolViolation when it is not exactly what the child should send.

    A line's image is handed on as it is: whoever decodes it takes it for untrusted.
    """
    try:
        return _read_answer(payload)
    except (ValueError, KeyError, TypeError, IndexError, struct.error, RecursionError, OverflowError) as error:
        raise ProtocolViolation("an answer that makes no sense") from error


def _read_answer(payload: bytearray) -> Answer:
    kind, length = _HEADER.unpack_from(payload)
    end = _HEADER.size + length
    if length > MAX_JSON_BYTES or end > len(payload):
        raise ValueError
    body = json.loads(payload[_HEADER.size : end])
    image = bytes(memoryview(payload)[end:])
    if image and kind != AnswerKind.LINE:
        raise ValueError
    match AnswerKind(kind):
        case AnswerKind.PAGE:
            label = _text(body["label"], MAX_NAME_LENGTH)
            return Page(_number(body["number"]), label, _length(body["width"]), _length(body["height"]))
        case AnswerKind.SKIPPED:
            return SkippedField(
                _given(_text(body["name"], MAX_NAME_LENGTH)), _number(body["page"]), _given(_text(body["kind"], 50))
            )
        case AnswerKind.LINE:
            return _line(body, image)
        case AnswerKind.DONE:
            return Cut(body["cut"])
        case AnswerKind.REFUSED:
            code, detail = body["error"]
            return _DOCUMENT_ERRORS[code](_text(detail, MAX_NAME_LENGTH))


def _line(body: dict[str, Any], image: bytes) -> CutLine:
    text, error = _text(body["text"], MAX_TEXT_LENGTH), None
    if body["error"] is not None:
        code, detail = body["error"]
        error = _LINE_ERRORS[code](_text(detail, MAX_NAME_LENGTH))
    if (bool(image), text is not None, error is not None).count(True) != 1:
        raise ValueError
    return CutLine(
        page=_number(body["page"]),
        box=_box(body["box"]),
        name=_text(body["name"], MAX_NAME_LENGTH),
        image=image or None,
        text=text,
        error=error,
    )


def _box(numbers: list[float]) -> Box:
    x0, y0, x1, y1 = (_finite(number) for number in numbers)
    return x0, y0, x1, y1


def _finite(number: object) -> float:
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise ValueError
    return float(number)


def _length(number: object) -> float:
    length = _finite(number)
    if length < 0:
        raise ValueError
    return length


def _number(number: object) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 2**31:
        raise ValueError
    return number


def _text(text: object, longest: int) -> str | None:
    """Return a text that PostgreSQL can store."""
    if text is not None and (not isinstance(text, str) or len(text) > longest or "\0" in text):
        raise ValueError
    if text is not None:
        text.encode()  # a lone surrogate is a ValueError
    return text


def _given(text: str | None) -> str:
    if text is None:
        raise ValueError
    return text
