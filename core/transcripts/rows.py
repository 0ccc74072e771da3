"""From the rows of a finished job to what every format is written from."""

from collections.abc import Sequence

from core.documents.cutting import Box, Page
from core.ids import public_id
from core.representation import JOB_PREFIX
from core.tables import Document, Job, Line
from core.transcription import Alternative
from core.transcripts.transcript import Transcript, TranscriptLine
from core.words import LineSource, LineStatus, ReviewReason


def transcript_of(job: Job, lines: Sequence[Line], document: Document | None) -> Transcript:
    """Return the transcript of a job that has finished."""
    return Transcript(
        job_id=public_id(JOB_PREFIX, job.id),
        model=job.model,
        model_revision=job.model_revision,
        client_reference=job.client_reference,
        metadata=job.client_metadata,
        created_at=job.created_at,
        finished_at=job.finished_at or job.created_at,
        lines=tuple(_line(line) for line in lines),
        pages=_pages(document),
    )


def _pages(document: Document | None) -> tuple[Page, ...]:
    found = document.found_pages if document is not None else None
    return tuple(Page(**page) for page in found or ())  # type: ignore[arg-type]  # JSON, as it was stored


def _line(line: Line) -> TranscriptLine:
    has_size = line.image_width is not None and line.image_height is not None and line.page is None
    return TranscriptLine(
        index=line.index,
        custom_id=line.custom_id,
        status=LineStatus(line.status),
        source=LineSource(line.source),
        page=line.page,
        box=_box(line.box),
        image_size=(line.image_width or 0, line.image_height or 0) if has_size else None,
        text=line.text,
        confidence=line.confidence,
        min_token_confidence=line.min_token_confidence,
        alternatives=tuple(Alternative(**each) for each in line.alternatives or ()),  # type: ignore[arg-type]
        truncated=line.truncated,
        needs_review=line.needs_review,
        review_reasons=tuple(ReviewReason(reason) for reason in line.review_reasons),
        error_code=line.error_code,
        error_detail=line.error_detail,
    )


def _box(numbers: Sequence[float] | None) -> Box | None:
    if numbers is None:
        return None
    x0, y0, x1, y1 = numbers
    return x0, y0, x1, y1
