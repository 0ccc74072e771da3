"""The shapes of jobs and their lines, as they are asked for and as they are answered."""

import datetime as dt
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints, model_validator

from api.document_schemas import DocumentOptions, DocumentRequest, DocumentSummary, DocumentView
from api.schemas import (
    EVENT_WORDS,
    Body,
    IncludeWord,
    JobEventWord,
    JobStatusWord,
    LineSourceWord,
    LineStatusWord,
    Name,
    PriorityWord,
    Query,
)


class LineRequest(Body):
    """One line to be read."""

    image: str = Field(description="PNG, JPEG, WebP, TIFF or BMP in base64, plain or as a data: URI.")
    custom_id: Name | None = Field(None, description="Your name for the line, unique in the job.")


class DecodingRequest(Body):
    """How lines are decoded."""

    num_beams: int = Field(1, ge=1, le=10, description="Beams of the search; 1 is greedy.")
    n_best: int = Field(1, ge=1, le=5, description="Readings to return; more than `num_beams` raises the beams to it.")
    max_new_tokens: int | None = Field(None, ge=1, le=1_024, description="Length limit; unset is the model's own.")


class JobWebhookRequest(Body):
    """Who is told of this job, besides your registered endpoints; signed with your own secret."""

    url: str = Field(description="Where events are POSTed: https, at a public address.")
    events: list[JobEventWord] | None = Field(
        None,
        min_length=1,
        max_length=EVENT_WORDS,
        description="Which events; unset is every way in which a job ends.",
    )
    include: IncludeWord = Field("summary", description="`results` adds the lines to the event of the job's end.")


class JobOptions(Body):
    """Everything about a job but what it reads."""

    model: Name | None = Field(None, description="A served model's name; unset is the default model.")
    priority: PriorityWord = Field("default", description="Lines of a higher priority are read first.")
    decoding: DecodingRequest = Field(default_factory=DecodingRequest)
    review_threshold: float | None = Field(
        None, ge=0, le=1, description="A line whose confidence is below it gets `needs_review`."
    )
    client_reference: Name | None = Field(None, description="Your name for the job; echoed, and a filter of listings.")
    metadata: Annotated[
        dict[
            Annotated[str, StringConstraints(min_length=1, max_length=64)],
            Annotated[str, StringConstraints(max_length=512)],
        ],
        Field(max_length=16),
    ] = Field(default_factory=dict, description="Up to 16 pairs of strings; echoed.")
    webhook: JobWebhookRequest | None = Field(
        None, description="Have the job's end POSTed to you instead of asking for it."
    )
    retention_seconds: int | None = Field(
        None, ge=60, description="How long the finished job is kept; the operator sets default and maximum."
    )


class MultipartOptions(JobOptions):
    """Everything about a job but its bytes: the `options` part of a multipart body."""

    document: DocumentOptions | None = Field(None, description="How the form in the part `pdf` is cut.")


class JobRequest(JobOptions):
    """A job: `lines` to be read, or a `document` to be cut into lines."""

    lines: list[LineRequest] = Field(
        default_factory=list, min_length=1, description="The lines, up to `max_lines` of `/v1/limits`."
    )
    document: DocumentRequest | None = Field(None, description="A form PDF, in place of `lines`.")


class WaitQuery(Query):
    """How long to wait for a job to finish."""

    wait: float = Field(
        0.0, ge=0, le=60, allow_inf_nan=False, description="Seconds to wait for the job to finish before answering."
    )


class JobsQuery(Query):
    """Which jobs to list."""

    limit: int = Field(50, ge=1, description="Jobs on the page, up to `max_page_size` of `/v1/limits`.")
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")
    status: JobStatusWord | None = Field(None, description="Only jobs of this status.")
    client_reference: Name | None = Field(None, description="Only jobs with this reference.")
    created_after: dt.datetime | None = Field(None, description="Only jobs created after this time (RFC 3339).")

    @model_validator(mode="after")
    def _is_aware(self) -> "JobsQuery":
        if self.created_after is not None and self.created_after.tzinfo is None:
            raise ValueError("created_after needs a UTC offset")
        return self


class LinesQuery(Query):
    """Which lines of a job to list."""

    limit: int = Field(100, ge=1, description="Lines on the page, up to `max_page_size` of `/v1/limits`.")
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")
    status: LineStatusWord | None = Field(None, description="Only lines of this status.")
    needs_review: bool | None = Field(None, description="Only lines that need review, or only those that do not.")


class ErrorView(BaseModel):
    """Why a line or a job failed."""

    code: str
    detail: str | None


class AlternativeView(BaseModel):
    """One of the n best readings."""

    text: str
    confidence: float


class LineView(BaseModel):
    """A line as it stands."""

    index: int
    custom_id: str | None
    page: int | None = Field(description="Of a document; from 1.")
    box: list[float] | None = Field(
        description="Where the line stands on its page: `[x0, y0, x1, y1]` in points from the top left corner."
    )
    status: LineStatusWord
    source: LineSourceWord = Field(description="`typed`: the text stood in the form's field and was not recognised.")
    text: str | None
    confidence: float | None
    min_token_confidence: float | None
    alternatives: list[AlternativeView]
    truncated: bool
    needs_review: bool
    review_reasons: list[str]
    error: ErrorView | None


class CountsView(BaseModel):
    """The job's lines by status, and how many of them need review."""

    total: int
    queued: int
    running: int
    succeeded: int
    failed: int
    canceled: int
    needs_review: int


class LinksView(BaseModel):
    """Where to go from here."""

    self: str
    cancel: str
    lines: str
    transcript: str


class JobSummary(BaseModel):
    """A job as it stands, without its lines."""

    object: Literal["job"]
    id: str
    status: JobStatusWord
    model: str
    model_revision: str | None
    client_reference: str | None
    metadata: dict[str, str]
    priority: PriorityWord
    counts: CountsView
    created_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    expires_at: dt.datetime | None
    error: ErrorView | None
    document: DocumentSummary | None = Field(description="Null for a job of lines.")
    links: LinksView


class JobView(JobSummary):
    """A job as it stands, with all its lines."""

    document: DocumentView | None = Field(description="Null for a job of lines.")
    lines: list[LineView]


class JobPage(BaseModel):
    """A page of jobs, newest first."""

    data: list[JobSummary]
    next_cursor: str | None


class LinePage(BaseModel):
    """A page of lines, by rising index."""

    data: list[LineView]
    next_cursor: str | None
