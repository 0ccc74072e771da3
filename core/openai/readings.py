"""What was read, as OpenAI's dialect tells it: texts, token log-probabilities, usage, failures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from core import errors
from core.errors import Fault, InkpostError, InvalidRequest, LineError, LineNotRead
from core.openai.wishes import Wish
from core.tables import Line
from core.words import LineStatus

Value = dict[str, object]
BETWEEN_LINES = "\n"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens into which the model cut the pictures, and tokens that it said."""

    image_tokens: int
    text_tokens: int

    @classmethod
    def of(cls, lines: Sequence[Line]) -> "Usage":
        """Count the tokens of lines."""
        known = [line.tokens for line in lines if line.tokens]
        return cls(sum(each["image_tokens"] for each in known), sum(len(each["tokens"]) for each in known))


def failure_of(lines: Sequence[Line], wish: Wish) -> InkpostError | None:
    """Return why the lines cannot be answered with, or None when each of them was read."""
    faults: list[Fault] = []
    for line, pointer in zip(lines, wish.pointers, strict=True):
        if line.status == LineStatus.CANCELED:
            return errors.Gone("The job was canceled before all of its lines were read.")
        if line.status == LineStatus.FAILED:
            faults.append(Fault(pointer, line.error_detail or "", line.error_code or ""))
    ours = [fault for fault in faults if fault.code not in _CALLERS]
    if ours:
        return LineNotRead(f"{ours[0].pointer}: {ours[0].detail} ({ours[0].code})")
    return InvalidRequest(faults) if faults else None


_CALLERS = frozenset(leaf.code for leaf in LineError.__subclasses__())


def reading_of(line: Line, rank: int) -> str:
    """Return the line's reading of this rank, 0 being the best; where there are fewer, the best."""
    readings: Sequence[dict[str, object]] = cast("Sequence[dict[str, object]]", line.alternatives or [])
    return str(readings[rank]["text"]) if 0 < rank < len(readings) else line.text or ""


def tokens_of(line: Line, *, is_first: bool) -> Iterator[Value]:
    """Tell the line's tokens, after the line break that we put before it unless it is the first."""
    if not is_first:
        yield {**_token(BETWEEN_LINES, 0.0), "top_logprobs": []}
    for text, log_probability, top in (line.tokens or {}).get("tokens", ()):
        yield {**_token(text, log_probability), "top_logprobs": [_token(*other) for other in top]}


def _token(text: str, log_probability: float) -> Value:
    return {"token": text, "logprob": log_probability, "bytes": list(text.encode())}
