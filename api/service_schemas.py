"""The shapes of what the service says of itself: its limits, its models, how busy and how well it is."""

from typing import Literal

from pydantic import BaseModel, Field

from api.schemas import PriorityWord


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


class CapacityView(BaseModel):
    """How busy the service is."""

    models: list[ModelCapacity]


class CheckView(BaseModel):
    """The state of what the service stands on."""

    status: Literal["ok", "degraded", "unavailable"]
    database: Literal["ok", "unreachable"]
    broker: Literal["ok", "unreachable"]


class AliveView(BaseModel):
    """The process answers."""

    status: Literal["ok"]
