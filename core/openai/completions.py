"""Chat completions, whole and in chunks."""

from collections.abc import Sequence

from core.openai.readings import BETWEEN_LINES, Usage, Value, reading_of, tokens_of
from core.openai.wishes import Wish
from core.tables import Line


def completion(
    *, completion_id: str, created: int, model: str, revision: str | None, wish: Wish, lines: Sequence[Line]
) -> Value:
    """Return the completion that tells these lines, all of which were read."""
    return {
        **_head("chat.completion", completion_id, created, model, revision),
        "choices": [_choice(rank, wish, lines) for rank in range(wish.readings)],
        "usage": usage_value(Usage.of(lines)),
    }


def chunk(
    *, completion_id: str, created: int, model: str, revision: str | None, choices: list[Value], usage: Value | None
) -> Value:
    """Return a chunk of a streamed completion."""
    return {
        **_head("chat.completion.chunk", completion_id, created, model, revision),
        "choices": choices,
        "usage": usage,
    }


def delta(
    rank: int, values: Value, *, finish_reason: str | None = None, tokens: list[Value] | None = None
) -> Value:  # fmt: skip
    """Return a choice of a chunk."""
    logprobs = None if tokens is None else {"content": tokens, "refusal": None}
    return {"index": rank, "delta": values, "logprobs": logprobs, "finish_reason": finish_reason}


def line_deltas(line: Line, wish: Wish, *, is_first: bool) -> list[Value]:
    """Return what a line adds to each choice."""
    before = "" if is_first else BETWEEN_LINES
    return [
        delta(
            rank,
            {"content": before + reading_of(line, rank)},
            tokens=list(tokens_of(line, is_first=is_first)) if wish.tells_tokens and rank == 0 else None,
        )
        for rank in range(wish.readings)
    ]


def finish_reason(lines: Sequence[Line]) -> str:
    """Say why the answer ends where it does."""
    return "length" if any(line.truncated for line in lines) else "stop"


def usage_value(usage: Usage) -> Value:
    """Return the usage of a completion."""
    return {
        "prompt_tokens": usage.image_tokens,
        "completion_tokens": usage.text_tokens,
        "total_tokens": usage.image_tokens + usage.text_tokens,
    }


def _head(kind: str, completion_id: str, created: int, model: str, revision: str | None) -> Value:
    return {
        "id": completion_id,
        "object": kind,
        "created": created,
        "model": model,
        "system_fingerprint": revision,
        "service_tier": None,
    }


def _choice(rank: int, wish: Wish, lines: Sequence[Line]) -> Value:
    content = BETWEEN_LINES.join(reading_of(line, rank) for line in lines)
    logprobs: Value | None = None
    if wish.tells_tokens and rank == 0:
        tokens = [token for place, line in enumerate(lines) for token in tokens_of(line, is_first=place == 0)]
        logprobs = {"content": tokens, "refusal": None}
    return {
        "index": rank,
        "message": {"role": "assistant", "content": content, "refusal": None},
        "logprobs": logprobs,
        "finish_reason": finish_reason(lines),
    }
