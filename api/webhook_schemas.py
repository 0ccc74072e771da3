"""The shapes of requests and answers about webhooks."""

import datetime as dt
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from api.schemas import EVENT_WORDS, Body, IncludeWord, JobEventWord, Query

EventWord = Literal[
    "job.succeeded", "job.partial", "job.failed", "job.canceled", "job.started", "job.progress", "webhook.test"
]
DeliveryStatusWord = Literal["queued", "running", "succeeded", "failed", "exhausted", "canceled"]
Secret = Annotated[
    str,
    StringConstraints(max_length=200),
    Field(description="`whsec_` and base64 of 24 to 64 bytes; else one is made."),
]
Moment = Annotated[AwareDatetime, Field(strict=False)]
_ENDINGS: list[JobEventWord] = ["job.succeeded", "job.partial", "job.failed", "job.canceled"]


class NewEndpoint(Body):
    """An endpoint to register."""

    url: str = Field(description="Where events are POSTed: https, at a public address.")
    events: list[JobEventWord] = Field(
        default_factory=lambda: [*_ENDINGS],
        min_length=1,
        max_length=EVENT_WORDS,
        description="Which events; unset is every way in which a job ends. `job.started` and `job.progress` are extra.",
    )
    include: IncludeWord = Field("summary", description="`results` adds the lines to events of finished jobs.")
    description: str = Field("", max_length=255, description="A note of yours.")
    secret: Secret | None = None


class EndpointChanges(Body):
    """What to change; what is left out stays."""

    url: str | None = None
    events: list[JobEventWord] | None = Field(None, min_length=1, max_length=EVENT_WORDS)
    include: IncludeWord | None = None
    description: str | None = Field(None, max_length=255)


class NewSecret(Body):
    """The secret to use from now on."""

    secret: Secret | None = None


class ReplayRequest(Body):
    """What to send again."""

    since: Moment = Field(description="From when on (RFC 3339).")
    until: Moment | None = Field(None, description="Up to before when; unset is now.")
    scope: Literal["missed", "all"] = Field("missed", description="`all` sends again even what has arrived.")


class DeliveryCounts(BaseModel):
    """An endpoint's deliveries by status."""

    queued: int
    running: int
    succeeded: int
    failed: int
    exhausted: int
    canceled: int


class EndpointView(BaseModel):
    """An endpoint as it stands. One of kind `job` was made for a URL that a job named."""

    object: Literal["webhook_endpoint"]
    id: str
    kind: Literal["registered", "job"]
    url: str
    description: str
    events: list[str]
    include: IncludeWord
    status: Literal["enabled", "disabled"]
    disabled_at: dt.datetime | None
    disabled_reason: Literal["client", "gone", "failing"] | None
    failing_since: dt.datetime | None
    previous_secret_expires_at: dt.datetime | None
    deliveries: DeliveryCounts
    created_at: dt.datetime


class EndpointWithSecret(EndpointView):
    """An endpoint with its secret, which is shown this once."""

    secret: str


class EndpointPage(BaseModel):
    """A page of endpoints, newest first."""

    data: list[EndpointView]
    next_cursor: str | None


class SecretView(BaseModel):
    """The client's own secret, which is shown this once."""

    object: Literal["webhook_secret"]
    secret: str
    previous_secret_expires_at: dt.datetime | None


class ReplayView(BaseModel):
    """What a replay planned. With more than fits into one, `resume_since` is the `since` of the next."""

    object: Literal["webhook_replay"]
    planned: int
    resume_since: dt.datetime | None


class DeliveryView(BaseModel):
    """One attempt to send an event."""

    object: Literal["delivery"]
    id: str
    endpoint_id: str
    event_id: str = Field(description="The `webhook-id` that the receiver sees.")
    event_type: EventWord
    job_id: str | None
    attempt: int
    status: DeliveryStatusWord
    due_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    duration_ms: int | None
    response_status: int | None
    response_start: str | None = Field(description="The first 1,024 bytes of the answer.")
    error: str | None = Field(description="Why it failed, as a code.")


class DeliveryPage(BaseModel):
    """A page of deliveries, newest first."""

    data: list[DeliveryView]
    next_cursor: str | None


class EndpointsQuery(Query):
    """Which endpoints to list."""

    limit: int = Field(50, ge=1, description="Endpoints on the page, up to `max_page_size` of `/v1/limits`.")
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")


class DeliveriesQuery(Query):
    """Which deliveries to list."""

    limit: int = Field(50, ge=1, description="Deliveries on the page, up to `max_page_size` of `/v1/limits`.")
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")
    endpoint_id: str | None = Field(None, max_length=100, description="Only deliveries to this endpoint.")
    event_id: str | None = Field(None, max_length=100, description="Only deliveries of this event.")
    job_id: str | None = Field(None, max_length=100, description="Only deliveries about this job.")
    status: DeliveryStatusWord | None = Field(None, description="Only deliveries of this status.")
