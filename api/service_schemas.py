"""The shapes of what the service says of itself: its limits, its models, how busy and how well it is."""

import datetime as dt
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from api.schemas import PriorityWord, Query

MAX_USAGE_DAYS = 92
DEFAULT_USAGE_DAYS = 30
_Day = Annotated[dt.date, Field(ge=dt.date(2000, 1, 1), lt=dt.date(3000, 1, 1))]


class LimitsView(BaseModel):
    """The limits in force."""

    max_body_bytes: int
    max_image_bytes: int
    max_lines: int
    min_image_side_pixels: int
    max_image_side_pixels: int
    max_image_pixels: int
    max_aspect_ratio: float
    max_document_bytes: int
    max_pages: int
    max_page_side_points: float
    max_template_regions: int
    max_templates: int
    max_wait_seconds: float
    max_page_size: int
    retention_seconds: int
    max_retention_seconds: int
    idempotency_seconds: int
    image_media_types: list[str]


class ModelView(BaseModel):
    """A model, in OpenAI's shape with what we know besides."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    revision: str | None
    live_workers: int
    is_default: bool


class ModelList(BaseModel):
    """The models that may be asked for."""

    object: Literal["list"]
    data: list[ModelView]


class ModelCapacity(BaseModel):
    """One model's queue and workers."""

    model: str
    live_workers: int
    queued_lines: dict[PriorityWord, int]
    is_count_capped: bool = Field(description="The queue is longer than was counted.")
    oldest_queued_seconds: float | None
    recent_lines_per_second: float | None
    estimated_wait_seconds: float | None = Field(description="For a line of default priority that is submitted now.")


class DocumentCapacity(BaseModel):
    """What waits for the documents worker."""

    queued_documents: int = Field(description="Forms to be cut into lines.")
    queued_renditions: int = Field(description="PDFs to be written for somebody who asked.")
    oldest_queued_seconds: float | None


class CapacityView(BaseModel):
    """How busy the service is."""

    models: list[ModelCapacity]
    documents: DocumentCapacity


class UsageQuery(Query):
    """Which days to report on."""

    since: _Day | None = Field(None, description="First day, by UTC; else 30 days up to the last one.")
    until: _Day | None = Field(None, description="Last day, by UTC, included; else today.")

    @model_validator(mode="after")
    def _is_in_order(self) -> "UsageQuery":
        first, last = self.days()
        if not 0 <= (last - first).days < MAX_USAGE_DAYS:
            raise ValueError(f"since and until must be in order and span at most {MAX_USAGE_DAYS} days")
        return self

    def days(self) -> tuple[dt.date, dt.date]:
        """Return the first and the last day that are meant."""
        last = self.until or dt.datetime.now(dt.UTC).date()
        return self.since or last - dt.timedelta(days=DEFAULT_USAGE_DAYS - 1), last


class LinesOfUse(BaseModel):
    """Lines of the jobs that were submitted on a day, and what has become of them so far."""

    total: int
    succeeded: int
    failed: int
    canceled: int


class UsageDay(BaseModel):
    """One day, by UTC, on which something was submitted."""

    date: dt.date
    jobs: int
    lines: LinesOfUse


class UsageReport(BaseModel):
    """What this client has submitted. Days without any job are left out."""

    since: dt.date
    until: dt.date
    jobs: int
    lines: LinesOfUse
    days: list[UsageDay]


class CheckView(BaseModel):
    """The state of what the service stands on."""

    status: Literal["ok", "degraded", "unavailable"]
    database: Literal["ok", "unreachable"]
    broker: Literal["ok", "unreachable"]


class AliveView(BaseModel):
    """The process answers."""

    status: Literal["ok"]
