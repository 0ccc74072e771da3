"""The file of a batch: a request on each line, as JSON. Read from wherever a worker has got to, part by part."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from core.errors import CallerError, InvalidRequest, code_of
from core.faults import validate_body
from core.openai.failures import openai_error
from core.openai.parts import Body
from core.settings import Settings
from core.strict_json import parse_object

_MOST_ERRORS = 20
_VALUES_A_LINE = 16
_OTHER_VALUES = 10_000
ReadPart = Callable[[int], bytes | None]


class RequestLine(Body):
    """A request of a batch."""

    custom_id: str = Field(min_length=1, max_length=512)
    method: Literal["POST"]
    url: Literal["/v1/chat/completions"]
    body: dict[str, object]


@dataclass(frozen=True, slots=True)
class InputLine:
    """A line that is not blank, and where the next one begins: the number of the part, and the bytes before it."""

    data: bytes
    next_part: int
    next_skip: int


@dataclass(frozen=True, slots=True)
class InputError:
    """What is wrong with a file, and on which line, counted from 1; none for the file as a whole."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None

    def value(self) -> dict[str, object]:
        """Return the error as clients see it."""
        return {"code": self.code, "message": self.message, "param": self.param, "line": self.line}


def lines_from(read: ReadPart, part: int, skip: int) -> Iterator[InputLine]:
    """Give the lines that begin after `skip` bytes of part number `part`."""
    begun = bytearray()
    data = read(part)
    while data is not None:
        end = data.find(b"\n", skip)
        if end < 0:
            begun += data[skip:]
            part, skip = part + 1, 0
            data = read(part)
            continue
        begun += data[skip:end]
        skip = end + 1
        if begun.strip():
            yield InputLine(bytes(begun), part, skip)
        begun.clear()
    if begun.strip():
        yield InputLine(bytes(begun), part, 0)


def parse_line(data: bytes, settings: Settings) -> RequestLine:
    """Return the request on a line.

    Raises:
        CallerError: what is wrong with it; its body is looked into later.
    """
    most = settings.limits.max_lines * _VALUES_A_LINE + _OTHER_VALUES
    return validate_body(RequestLine, parse_object(data.strip(), max_values=most))


def check_input(read: ReadPart, settings: Settings) -> tuple[int, list[InputError]]:
    """Return how many requests a file holds, and the first things wrong with it."""
    most = settings.openai.max_batch_requests
    errors: list[InputError] = []
    seen: set[str] = set()
    total = 0
    for number, line in enumerate(lines_from(read, 0, 0), start=1):
        total += 1
        if total > most:
            return total, [InputError("too_many", f"A batch holds at most {most} requests.")]
        try:
            request = parse_line(line.data, settings)
        except CallerError as error:
            errors.append(_told(error, number))
        else:
            if request.custom_id in seen:
                errors.append(InputError("duplicate_custom_id", "Another line has it.", "custom_id", number))
            seen.add(request.custom_id)
        if len(errors) >= _MOST_ERRORS:
            break
    if total == 0:
        errors.append(InputError("empty_file", "The file holds no request."))
    return total, errors


def _told(error: CallerError, number: int) -> InputError:
    told = openai_error(error, code=code_of(error), is_ours=False)["error"]
    assert isinstance(told, dict)  # noqa: S101 - its shape is fixed
    is_placed = isinstance(error, InvalidRequest)
    return InputError(code_of(error), str(told["message"]), told["param"] if is_placed else None, number)
