"""Responses, whole and as events."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from core.ids import public_id
from core.openai.readings import BETWEEN_LINES, Usage, Value, reading_of, tokens_of
from core.tables import Line


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """What every form of one response repeats."""

    job_id: uuid.UUID
    created: int
    model: str
    tells_tokens: bool
    metadata: dict[str, str] = field(default_factory=dict)


def response(head: ResponseHead, lines: Sequence[Line]) -> Value:
    """Return the response that tells these lines, all of which were read."""
    is_cut = any(line.truncated for line in lines)
    usage = Usage.of(lines)
    return {
        **_frame(head, "incomplete" if is_cut else "completed"),
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "output": [_message(head, lines, "incomplete" if is_cut else "completed")],
        "usage": {
            "input_tokens": usage.image_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": usage.text_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.image_tokens + usage.text_tokens,
        },
    }


def opening_events(head: ResponseHead) -> Iterator[Value]:
    """Give the events before the first line."""
    frame = _frame(head, "in_progress")
    yield {"type": "response.created", "response": frame}
    yield {"type": "response.in_progress", "response": frame}
    message = {**_message(head, [], "in_progress"), "content": []}
    yield {"type": "response.output_item.added", "output_index": 0, "item": message}
    yield {"type": "response.content_part.added", **_place(head), "part": _part(head, [])}


def line_event(head: ResponseHead, line: Line, *, is_first: bool) -> Value:
    """Return the event of a line that was read."""
    text = ("" if is_first else BETWEEN_LINES) + reading_of(line, 0)
    tokens = list(tokens_of(line, is_first=is_first)) if head.tells_tokens else []
    return {"type": "response.output_text.delta", **_place(head), "delta": text, "logprobs": tokens}


def closing_events(head: ResponseHead, lines: Sequence[Line]) -> Iterator[Value]:
    """Give the events after the last line."""
    whole, part = response(head, lines), _part(head, lines)
    message = _message(head, lines, str(whole["status"]))
    done = {"text": part["text"], "logprobs": part["logprobs"]}
    yield {"type": "response.output_text.done", **_place(head), **done}
    yield {"type": "response.content_part.done", **_place(head), "part": part}
    yield {"type": "response.output_item.done", "output_index": 0, "item": message}
    yield {"type": f"response.{whole['status']}", "response": whole}


def _frame(head: ResponseHead, status: str) -> Value:
    return {
        "id": public_id("resp", head.job_id),
        "object": "response",
        "created_at": head.created,
        "status": status,
        "model": head.model,
        "output": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": head.metadata,
        "parallel_tool_calls": False,
        "previous_response_id": None,
        "store": False,
        "temperature": None,
        "tool_choice": "none",
        "tools": [],
        "top_p": None,
        "truncation": "disabled",
        "usage": None,
    }


def _place(head: ResponseHead) -> Value:
    return {"item_id": public_id("msg", head.job_id), "output_index": 0, "content_index": 0}


def _message(head: ResponseHead, lines: Sequence[Line], status: str) -> Value:
    return {
        "id": public_id("msg", head.job_id),
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [_part(head, lines)],
    }


def _part(head: ResponseHead, lines: Sequence[Line]) -> Value:
    tokens = [token for place, line in enumerate(lines) for token in tokens_of(line, is_first=place == 0)]
    return {
        "type": "output_text",
        "text": BETWEEN_LINES.join(reading_of(line, 0) for line in lines),
        "annotations": [],
        "logprobs": tokens if head.tells_tokens else [],
    }
