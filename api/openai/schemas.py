"""The shapes of what OpenAI's dialect answers, for the OpenAPI document."""

from typing import Literal

from pydantic import BaseModel


class TopTokenView(BaseModel):
    """A token that could have stood at a place."""

    token: str
    logprob: float
    bytes: list[int]


class TokenView(TopTokenView):
    """A token of the answer; the line breaks between lines are tokens of log-probability 0."""

    top_logprobs: list[TopTokenView]


class LogprobsView(BaseModel):
    """The tokens of a choice."""

    content: list[TokenView]
    refusal: None


class CompletionMessage(BaseModel):
    """What was read."""

    role: Literal["assistant"]
    content: str
    refusal: None


class ChoiceView(BaseModel):
    """A reading of all lines."""

    index: int
    message: CompletionMessage
    logprobs: LogprobsView | None
    finish_reason: Literal["stop", "length"]


class UsageView(BaseModel):
    """Tokens of the pictures, and tokens of the best reading."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CompletionView(BaseModel):
    """A chat completion; `system_fingerprint` is the model's revision."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str | None
    service_tier: None
    choices: list[ChoiceView]
    usage: UsageView


class OutputText(BaseModel):
    """The texts."""

    type: Literal["output_text"]
    text: str
    annotations: list[object]
    logprobs: list[TokenView]


class OutputMessage(BaseModel):
    """The message that holds the texts."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    status: str
    content: list[OutputText]


class ResponseUsageView(BaseModel):
    """Tokens of the pictures, and tokens that were read."""

    input_tokens: int
    input_tokens_details: dict[str, int]
    output_tokens: int
    output_tokens_details: dict[str, int]
    total_tokens: int


class ResponseView(BaseModel):
    """A response."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed", "incomplete"]
    model: str
    output: list[OutputMessage]
    metadata: dict[str, str]
    usage: ResponseUsageView


class FileView(BaseModel):
    """A file."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["processed"]
    status_details: None


class FileListView(BaseModel):
    """A page of files."""

    object: Literal["list"]
    data: list[FileView]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedFileView(BaseModel):
    """A file that is gone."""

    id: str
    object: Literal["file"]
    deleted: Literal[True]


class BatchErrorView(BaseModel):
    """One thing wrong with a batch's file."""

    code: str
    message: str
    param: str | None
    line: int | None


class BatchErrorsView(BaseModel):
    """Why a batch failed: the first things wrong with its file."""

    object: Literal["list"]
    data: list[BatchErrorView]


class RequestCountsView(BaseModel):
    """How many requests there are, were answered, were refused or not read."""

    total: int
    completed: int
    failed: int


class BatchView(BaseModel):
    """A batch as it stands."""

    id: str
    object: Literal["batch"]
    endpoint: str
    model: None
    errors: BatchErrorsView | None
    input_file_id: str
    completion_window: str
    status: Literal[
        "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
    ]
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    expires_at: int
    in_progress_at: int | None
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCountsView
    metadata: dict[str, str] | None


class BatchListView(BaseModel):
    """A page of batches."""

    object: Literal["list"]
    data: list[BatchView]
    first_id: str | None
    last_id: str | None
    has_more: bool
