"""The bodies of chat completions and responses. What has no meaning for reading lines is accepted and ignored."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from core.openai.parts import Body, ChatContent, InputContent

MOST_READINGS = 5
MOST_TOP_TOKENS = 20
_IGNORED = Field(None, description="Accepted and ignored.")
Tokens = Annotated[int, Field(ge=1, description="Most tokens of a line; a line that is cut ends with `length`.")]


class ChatMessage(Body):
    """A message; images of user messages are read."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: ChatContent | None = None
    name: str | None = None
    refusal: object = None
    tool_calls: object = None
    tool_call_id: object = None
    function_call: object = None
    audio: object = None


class StreamOptions(Body):
    """What a stream tells besides its deltas."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = _IGNORED


class ChatRequest(Body):
    """A chat completion: the text of every image, one line each."""

    model: str = Field(min_length=1, max_length=255, description="A served model; see `/v1/models`.")
    messages: list[ChatMessage] = Field(min_length=1)
    n: int | None = Field(None, ge=1, le=MOST_READINGS, description="Readings to return, the best first.")
    logprobs: bool | None = Field(None, description="Tell the log-probability of each token of the best reading.")
    top_logprobs: int | None = Field(
        None, ge=0, le=MOST_TOP_TOKENS, description="The most probable tokens at each place; empty when `n` is above 1."
    )
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    stream: bool | None = Field(None, description="Server-sent events: a delta for each line, then `[DONE]`.")
    stream_options: StreamOptions | None = None
    audio: object = _IGNORED
    frequency_penalty: object = _IGNORED
    function_call: object = _IGNORED
    functions: object = _IGNORED
    logit_bias: object = _IGNORED
    metadata: object = _IGNORED
    modalities: object = _IGNORED
    moderation: object = _IGNORED
    parallel_tool_calls: object = _IGNORED
    prediction: object = _IGNORED
    presence_penalty: object = _IGNORED
    prompt_cache_key: object = _IGNORED
    prompt_cache_options: object = _IGNORED
    prompt_cache_retention: object = _IGNORED
    reasoning_effort: object = _IGNORED
    response_format: object = _IGNORED
    safety_identifier: object = _IGNORED
    seed: object = _IGNORED
    service_tier: object = _IGNORED
    stop: object = _IGNORED
    store: object = _IGNORED
    temperature: object = _IGNORED
    tool_choice: object = _IGNORED
    tools: object = _IGNORED
    top_p: object = _IGNORED
    user: object = _IGNORED
    verbosity: object = _IGNORED
    web_search_options: object = _IGNORED

    @model_validator(mode="after")
    def _agrees(self) -> "ChatRequest":
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs to be true")
        return self


class InputMessage(Body):
    """A message; images of user messages are read."""

    type: Literal["message"] | None = None
    role: Literal["system", "developer", "user", "assistant"]
    content: InputContent
    id: object = None
    status: object = None
    phase: object = None


class ResponseRequest(Body):
    """A response: the text of every image, one line each."""

    model: str = Field(min_length=1, max_length=255, description="A served model; see `/v1/models`.")
    input: Annotated[
        Annotated[str, Tag("<text>")] | Annotated[list[InputMessage], Tag("<messages>")],
        Discriminator(lambda value: "<messages>" if isinstance(value, list) else "<text>"),
    ]
    include: list[str] | None = Field(None, description="`message.output_text.logprobs` tells log-probabilities.")
    top_logprobs: int | None = Field(None, ge=0, le=MOST_TOP_TOKENS)
    max_output_tokens: Tokens | None = None
    metadata: dict[str, str] | None = Field(None, max_length=16, description="Echoed.")
    stream: bool | None = Field(None, description="Server-sent events: a delta for each line.")
    background: Literal[False] | None = Field(None, description="Only false: use `/v1/jobs` or `/v1/batches` instead.")
    context_management: object = _IGNORED
    conversation: object = _IGNORED
    instructions: object = _IGNORED
    max_tool_calls: object = _IGNORED
    moderation: object = _IGNORED
    parallel_tool_calls: object = _IGNORED
    previous_response_id: object = _IGNORED
    prompt: object = _IGNORED
    prompt_cache_key: object = _IGNORED
    prompt_cache_options: object = _IGNORED
    prompt_cache_retention: object = _IGNORED
    reasoning: object = _IGNORED
    safety_identifier: object = _IGNORED
    service_tier: object = _IGNORED
    store: object = _IGNORED
    stream_options: object = _IGNORED
    temperature: object = _IGNORED
    text: object = _IGNORED
    tool_choice: object = _IGNORED
    tools: object = _IGNORED
    top_p: object = _IGNORED
    truncation: object = _IGNORED
    user: object = _IGNORED
