"""What every format is written from: a finished job, its pages and its lines, as plain values."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from core.documents.cutting import Box, Page
from core.transcription import Alternative
from core.words import LineSource, LineStatus, ReviewReason


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    """A line as it ended.

    `page` and `box` (points, from the page's top left corner) are given for lines of a document. `image_size` is the
    width and height in pixels of an image that a client sent as a line, where its header told them: such a line is a
    page of its own. `text` is None when the line has none: it failed or was canceled, and `error_code` says why.
    `alternatives` are best first and include the text itself, or empty.
    """

    index: int
    custom_id: str | None
    status: LineStatus
    source: LineSource = LineSource.RECOGNISED
    page: int | None = None
    box: Box | None = None
    image_size: tuple[int, int] | None = None
    text: str | None = None
    confidence: float | None = None
    min_token_confidence: float | None = None
    alternatives: tuple[Alternative, ...] = ()
    truncated: bool = False
    needs_review: bool = False
    review_reasons: tuple[ReviewReason, ...] = ()
    error_code: str | None = None
    error_detail: str | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """A finished job. `pages` are those of its document, or empty when lines were sent as images."""

    job_id: str
    model: str
    model_revision: str | None
    client_reference: str | None
    metadata: Mapping[str, str]
    created_at: dt.datetime
    finished_at: dt.datetime
    lines: tuple[TranscriptLine, ...]
    pages: tuple[Page, ...] = ()
