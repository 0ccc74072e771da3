"""The shapes of failures, for OpenAPI; `api.problems` writes them."""

from pydantic import BaseModel


class FaultView(BaseModel):
    """One thing wrong with a request."""

    pointer: str
    detail: str
    code: str


class Problem(BaseModel):
    """A failure (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FaultView] | None = None


class OpenAIErrorBody(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str


class OpenAIError(BaseModel):
    """A failure in OpenAI's shape."""

    error: OpenAIErrorBody
