"""What the shapes of requests and answers have in common: their bases and their fixed words.

Requests are validated by the shapes, and OpenAPI is generated from them. Bounds that an operator may set (`/v1/limits`)
are checked where they apply; in the shapes are those of the contract.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from core.words import JobStatus, LineSource, LineStatus

Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
JobStatusWord = Literal["queued", "running", "succeeded", "partial", "failed", "canceled"]
LineStatusWord = Literal["queued", "running", "succeeded", "failed", "canceled"]
LineSourceWord = Literal["recognised", "typed"]
PriorityWord = Literal["interactive", "default", "bulk"]
EndingWord = Literal["job.succeeded", "job.partial", "job.failed", "job.canceled"]
JobEventWord = Literal[EndingWord, "job.started", "job.progress"]
EVENT_WORDS = 6  # as many as there are: a list of events names each once
IncludeWord = Literal["summary", "results"]
assert {word.value for word in JobStatus} == set(JobStatusWord.__args__)  # type: ignore[attr-defined]  # noqa: S101
assert {word.value for word in LineStatus} == set(LineStatusWord.__args__)  # type: ignore[attr-defined]  # noqa: S101
assert {word.value for word in LineSource} == set(LineSourceWord.__args__)  # type: ignore[attr-defined]  # noqa: S101


class Body(BaseModel):
    """Base of what clients send in a body: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """Base of query parameters: nothing unknown; numbers and dates are read from their text."""

    model_config = ConfigDict(extra="forbid")
