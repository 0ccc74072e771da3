"""Documents in the queue: claim one, and turn it into the lines of its job."""

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from core.bells import lines_queue, ring_after_commit
from core.database import Blobs
from core.documents.cutting import CutDocument, CutLine, CutWish
from core.documents.leases import Lease
from core.documents.wishes import wish_of
from core.fair_share import next_fair_tag
from core.image_headers import read_size
from core.settlement import FinishedLine, settle
from core.storable import storable_text
from core.tables import Job
from core.words import FINISHED_JOB, DocumentStatus, LineStatus

_LINES_PER_STATEMENT = 500  # one statement's images stay far below the gigabyte that PostgreSQL takes
_IMAGE_TYPE = "image/png"


@dataclass(frozen=True, slots=True)
class ClaimedDocument:
    """A document that this worker may cut."""

    lease: Lease
    data: bytes = field(repr=False)
    wish: CutWish
    submitted_at: dt.datetime


# The oldest of the most urgent. MATERIALIZED for the reason given in `core.claims`.
_CLAIM = text("""
WITH picked AS MATERIALIZED (
    SELECT documents.job_id, jobs.created_at FROM documents JOIN jobs ON jobs.id = documents.job_id
    WHERE documents.status = 'queued' AND jobs.status IN ('queued', 'running')
    ORDER BY jobs.priority, documents.created_at, documents.job_id
    LIMIT 1 FOR UPDATE OF documents SKIP LOCKED
)
UPDATE documents SET
    status = 'running', attempt = documents.attempt + 1, leased_by = :slot,
    lease_expires_at = clock_timestamp() + make_interval(secs => :lease_seconds)
FROM picked WHERE documents.job_id = picked.job_id
RETURNING documents.job_id, documents.attempt, documents.data, documents.password, documents.asked_cut,
          documents.pages, documents.regions, picked.created_at
""")


def claim_document(session: Session, *, slot: uuid.UUID, lease_seconds: float) -> ClaimedDocument | None:
    """Claim a queued document, or return None. What others are claiming at this moment is passed over."""
    row = session.execute(_CLAIM, {"slot": slot, "lease_seconds": lease_seconds}).one_or_none()
    if row is None:
        return None
    wish = wish_of(row.asked_cut, row.pages, row.regions, row.password)
    return ClaimedDocument(Lease(row.job_id, row.attempt), bytes(row.data), wish, row.created_at)


def record_cut(session: Session, lease: Lease, cut: CutDocument, *, keep_images: bool) -> bool:
    """Give the job the lines that its document was cut into; those without an image have finished already.

    Returns:
        Whether they were stored. They are dropped when the lease was lost: another worker has the document, or the job
        was canceled or deleted. Recording the same cut again drops it, so a second run is harmless.
    """
    # Locked before the document, as everywhere; see `core.jobs`.
    job = session.scalars(select(Job).where(Job.id == lease.job_id).with_for_update()).one_or_none()
    if job is None or job.status in FINISHED_JOB:
        return False
    is_recorded = session.execute(
        _RECORD,
        {
            "job_id": lease.job_id,
            "attempt": lease.attempt,
            "status": DocumentStatus.SUCCEEDED.value,
            "cut": cut.cut.value,
            "found_pages": json.dumps([{**asdict(page), "label": _text(page.label)} for page in cut.pages]),
            "skipped": json.dumps([{**asdict(one), "name": _text(one.name)} for one in cut.skipped]),
            "keep": keep_images,
        },
    ).one_or_none()
    if is_recorded is None:
        return False
    tag = next_fair_tag(session, job.client_id, job.model, job.priority)
    for start in range(0, len(cut.lines), _LINES_PER_STATEMENT):
        lines = cut.lines[start : start + _LINES_PER_STATEMENT]
        tag = _insert_lines(session, job, start, lines, tag)
    session.execute(update(Job).where(Job.id == job.id).values(lines_total=len(cut.lines)))
    settle(session, _finished(job.id, cut.lines), keep_images=keep_images)
    if any(line.image for line in cut.lines):
        ring_after_commit(session, lines_queue(job.model))
    return True


_RECORD = text("""
UPDATE documents SET
    status = :status, lease_expires_at = NULL, cut = :cut, found_pages = CAST(:found_pages AS jsonb),
    skipped = CAST(:skipped AS jsonb),
    data = CASE WHEN :keep THEN data END, password = CASE WHEN :keep THEN password END
WHERE job_id = :job_id AND attempt = :attempt AND lease_expires_at IS NOT NULL
RETURNING job_id
""")

_INSERT_LINES = text("""
INSERT INTO lines (job_id, index, client_id, model, priority, fair_tag, custom_id, page, box, image_width, image_height,
                   status, source, text, error_code, error_detail, finished_at)
SELECT :job_id, line.index, :client_id, :model, :priority, line.fair_tag, line.custom_id, line.page,
       ARRAY[line.x0, line.y0, line.x1, line.y1], line.image_width, line.image_height,
       CASE WHEN line.text IS NOT NULL THEN 'succeeded'
            WHEN line.error_code IS NOT NULL THEN 'failed' ELSE 'queued' END,
       CASE WHEN line.text IS NOT NULL THEN 'typed' ELSE 'recognised' END,
       line.text, line.error_code, line.error_detail,
       CASE WHEN line.text IS NOT NULL OR line.error_code IS NOT NULL THEN now() END
FROM unnest(
    CAST(:indexes AS int[]), CAST(:fair_tags AS bigint[]), CAST(:custom_ids AS text[]), CAST(:pages AS int[]),
    CAST(:x0 AS float8[]), CAST(:y0 AS float8[]), CAST(:x1 AS float8[]), CAST(:y1 AS float8[]),
    CAST(:image_widths AS int[]), CAST(:image_heights AS int[]),
    CAST(:texts AS text[]), CAST(:error_codes AS text[]), CAST(:error_details AS text[])
) AS line(index, fair_tag, custom_id, page, x0, y0, x1, y1, image_width, image_height, text, error_code, error_detail)
""")

_INSERT_IMAGES = text("""
INSERT INTO line_images (job_id, index, media_type, data)
SELECT :job_id, image.index, :media_type, image.data
FROM unnest(CAST(:indexes AS int[]), CAST(:images AS bytea[])) AS image(index, data)
""")


def _insert_lines(session: Session, job: Job, first: int, lines: Sequence[CutLine], tag: int) -> int:
    """Store lines, the first with this index, and return the fair tag that comes after theirs.

    Only a line that waits to be read uses a tag up: what was typed costs its client no share.
    """
    images: list[tuple[int, bytes]] = []
    sizes: list[tuple[int, int] | None] = []
    tags: list[int] = []
    for index, line in enumerate(lines, first):
        tags.append(tag)
        sizes.append(read_size(line.image, _IMAGE_TYPE) if line.image else None)
        if line.image:
            images.append((index, line.image))
            tag += 1
    session.execute(
        _INSERT_LINES,
        {
            "job_id": job.id,
            "client_id": job.client_id,
            "model": job.model,
            "priority": job.priority,
            "indexes": list(range(first, first + len(lines))),
            "fair_tags": tags,
            "custom_ids": [_text(line.name) for line in lines],
            "pages": [line.page for line in lines],
            **{side: [line.box[place] for line in lines] for place, side in enumerate(("x0", "y0", "x1", "y1"))},
            "image_widths": [size[0] if size else None for size in sizes],
            "image_heights": [size[1] if size else None for size in sizes],
            "texts": [_text(line.text) for line in lines],
            "error_codes": [line.error.code if line.error else None for line in lines],
            "error_details": [_text(line.error.detail) if line.error else None for line in lines],
        },
    )
    if images:
        session.execute(
            _INSERT_IMAGES,
            {
                "job_id": job.id,
                "media_type": _IMAGE_TYPE,
                "indexes": [index for index, _ in images],
                "images": Blobs(image for _, image in images),
            },
        )
    return tag


def _finished(job_id: uuid.UUID, lines: Sequence[CutLine]) -> list[FinishedLine]:
    """Return the lines that need no reading: they were typed, or they cannot be drawn."""
    return [
        FinishedLine(job_id, index, LineStatus.FAILED if line.error else LineStatus.SUCCEEDED, needs_review=False)
        for index, line in enumerate(lines)
        if line.image is None
    ]


def _text(words: str | None) -> str | None:
    return None if words is None else storable_text(words)
