"""Claims on lines: take, renew, record, give back.

A claim is a lease with a fencing number. The claim bumps the line's `attempt`; every later write says
`WHERE status = 'running' AND attempt = :mine`, so whoever lost its lease writes nothing. Leases run on the database's
clock only. A line whose worker died (`crash_attempts > 0`) is claimed alone, so that a poison line cannot take its
neighbours down with it.
"""

import datetime as dt
import json
import math
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.errors import InkpostError
from core.settlement import FinishedLine, lock_jobs, settle
from core.storable import storable_text
from core.transcription import Alternative, Decoding, Transcription
from core.words import LineStatus, ReviewReason


@dataclass(frozen=True, slots=True)
class ClaimedLine:
    """A line that this worker may read, with everything it needs to do so."""

    job_id: uuid.UUID
    index: int
    attempt: int
    crash_attempts: int
    image: bytes
    decoding: Decoding
    review_threshold: float | None
    submitted_at: dt.datetime

    @property
    def key(self) -> tuple[uuid.UUID, int]:
        """What identifies the line."""
        return self.job_id, self.index

    @property
    def is_suspect(self) -> bool:
        """Whether a worker has died while it held this line."""
        return self.crash_attempts > 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a claimed line: a transcription, or the error that fails it."""

    line: ClaimedLine
    result: Transcription | InkpostError


_IMPOSSIBLE = -9999.0  # OpenAI's log-probability of what practically never happens

# MATERIALIZED, because a planner that inlines the LIMIT may run it more than once and lock more rows than asked for.
# The jobs' rows are taken with SKIP LOCKED too: a claim holds lines already, so it must not wait for a job's row that
# is held by a cancellation waiting for those lines. A job that is skipped here is marked by its next claim or record.
_CLAIM = text("""
WITH suspect AS MATERIALIZED (
    SELECT job_id, index FROM lines
    WHERE status = 'queued' AND model = :model AND crash_attempts > 0
    ORDER BY priority, fair_tag LIMIT 1 FOR UPDATE SKIP LOCKED
), fresh AS MATERIALIZED (
    SELECT job_id, index FROM lines
    WHERE status = 'queued' AND model = :model AND crash_attempts = 0 AND NOT EXISTS (SELECT FROM suspect)
    ORDER BY priority, fair_tag, job_id, index LIMIT :limit FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE lines SET
        status = 'running', attempt = lines.attempt + 1, leased_by = :slot,
        lease_expires_at = clock_timestamp() + make_interval(secs => :lease_seconds)
    FROM (SELECT * FROM suspect UNION ALL SELECT * FROM fresh) AS picked
    WHERE lines.job_id = picked.job_id AND lines.index = picked.index
    RETURNING lines.job_id, lines.index, lines.attempt, lines.crash_attempts, lines.priority, lines.fair_tag
), started AS (
    UPDATE jobs SET status = 'running', started_at = now(), model_revision = :revision
    WHERE id IN (
        SELECT id FROM jobs
        WHERE id IN (SELECT job_id FROM claimed) AND status = 'queued'
        ORDER BY id FOR UPDATE SKIP LOCKED
    )
)
SELECT claimed.job_id, claimed.index, claimed.attempt, claimed.crash_attempts, line_images.data AS image,
       jobs.decoding, jobs.review_threshold, jobs.created_at AS submitted_at
FROM claimed
JOIN jobs ON jobs.id = claimed.job_id
JOIN line_images ON line_images.job_id = claimed.job_id AND line_images.index = claimed.index
ORDER BY claimed.priority, claimed.fair_tag, claimed.job_id, claimed.index
""")


def claim_lines(
    session: Session, *, model: str, revision: str, slot: uuid.UUID, limit: int, lease_seconds: float
) -> list[ClaimedLine]:
    """Claim up to `limit` queued lines of the model over all jobs, by priority and fair share.

    Lines that other workers are claiming at this moment are passed over: workers never wait for each other.
    """
    rows = session.execute(
        _CLAIM,
        {"model": model, "revision": revision, "slot": slot, "limit": limit, "lease_seconds": lease_seconds},
    ).mappings()
    return [ClaimedLine(**{**row, "decoding": Decoding(**row["decoding"])}) for row in rows]


# The statements below say `lease_expires_at IS NOT NULL` for `status = 'running'`; a constraint of the table makes them
# the same. Said plainly, the planner may walk the whole index of running lines for each line of a batch instead of
# taking each by its key: measured with 1,300 running lines, 35 ms for 64 outcomes instead of 1.7.
#
# SKIP LOCKED, because whoever holds a line's row is about to end or requeue it: there is nothing to renew, and waiting
# while holding other lines could end in a deadlock.
_RENEW = text("""
UPDATE lines SET lease_expires_at = clock_timestamp() + make_interval(secs => :lease_seconds)
WHERE (job_id, index) IN (
    SELECT lines.job_id, lines.index FROM lines
    JOIN unnest(CAST(:job_ids AS uuid[]), CAST(:indexes AS int[]), CAST(:attempts AS int[]))
        AS held(job_id, index, attempt) USING (job_id, index, attempt)
    WHERE lines.lease_expires_at IS NOT NULL
    FOR UPDATE OF lines SKIP LOCKED
)
""")


def renew_leases(session: Session, lines: Sequence[ClaimedLine], lease_seconds: float) -> None:
    """Extend the leases that are still ours; those that are not stay lost."""
    session.execute(_RENEW, {**_columns(lines), "lease_seconds": lease_seconds})


# SKIP LOCKED as above. A line that somebody else holds is about to leave us anyway.
_RELEASE_ORPHANS = text("""
UPDATE lines SET status = 'queued', lease_expires_at = NULL
WHERE (job_id, index) IN (
    SELECT job_id, index FROM lines
    WHERE leased_by = :slot AND status = 'running' AND lease_expires_at IS NOT NULL
      AND (job_id, index, attempt) NOT IN (
        SELECT * FROM unnest(CAST(:job_ids AS uuid[]), CAST(:indexes AS int[]), CAST(:attempts AS int[]))
      )
    FOR UPDATE SKIP LOCKED
)
RETURNING index
""")


def release_orphans(session: Session, slot: uuid.UUID, held: Sequence[ClaimedLine]) -> int:
    """Give back, uncharged, what this slot has claimed without knowing: the answer to the claim's commit was lost.

    `held` are the lines that it does know of. Returns how many lines were given back.
    """
    return len(session.execute(_RELEASE_ORPHANS, {**_columns(held), "slot": slot}).all())


_RELEASE = text("""
UPDATE lines SET status = 'queued', lease_expires_at = NULL
FROM unnest(CAST(:job_ids AS uuid[]), CAST(:indexes AS int[]), CAST(:attempts AS int[])) AS held(job_id, index, attempt)
WHERE lines.job_id = held.job_id AND lines.index = held.index
  AND lines.lease_expires_at IS NOT NULL AND lines.attempt = held.attempt
""")


def release_lines(session: Session, lines: Sequence[ClaimedLine]) -> None:
    """Give lines back uncharged: they were claimed but not begun, or the fault was ours and not theirs."""
    lock_jobs(session, {line.job_id for line in lines})
    session.execute(_RELEASE, _columns(lines))


_RECORD = text("""
UPDATE lines SET
    status = outcome.status, lease_expires_at = NULL, finished_at = now(),
    text = outcome.text, confidence = outcome.confidence, min_token_confidence = outcome.min_token_confidence,
    alternatives = outcome.alternatives, tokens = outcome.tokens, truncated = outcome.truncated,
    needs_review = outcome.review_reasons <> '', review_reasons = string_to_array(outcome.review_reasons, ','),
    error_code = outcome.error_code, error_detail = outcome.error_detail
FROM unnest(
    CAST(:job_ids AS uuid[]), CAST(:indexes AS int[]), CAST(:attempts AS int[]), CAST(:statuses AS text[]),
    CAST(:texts AS text[]), CAST(:confidences AS float8[]), CAST(:min_token_confidences AS float8[]),
    CAST(:alternatives AS jsonb[]), CAST(:tokens AS jsonb[]), CAST(:truncated AS bool[]),
    CAST(:review_reasons AS text[]), CAST(:error_codes AS text[]), CAST(:error_details AS text[])
) AS outcome(job_id, index, attempt, status, text, confidence, min_token_confidence, alternatives, tokens,
             truncated, review_reasons, error_code, error_detail)
WHERE lines.job_id = outcome.job_id AND lines.index = outcome.index
  AND lines.lease_expires_at IS NOT NULL AND lines.attempt = outcome.attempt
RETURNING lines.job_id, lines.index, lines.status, lines.needs_review
""")


def record_outcomes(session: Session, outcomes: Sequence[Outcome], *, keep_images: bool) -> int:
    """Store what became of claimed lines and end the jobs that have no line left.

    Returns:
        How many outcomes were dropped because their lease was lost: another worker has the line, or the job was
        canceled or deleted. Recording the same outcomes again drops them all, so a second run is harmless.
    """
    lock_jobs(session, {outcome.line.job_id for outcome in outcomes})
    rows = [_Row.of(outcome) for outcome in outcomes]
    recorded = session.execute(
        _RECORD,
        {
            **_columns([outcome.line for outcome in outcomes]),
            "statuses": [row.status.value for row in rows],
            "texts": [row.text for row in rows],
            "confidences": [row.confidence for row in rows],
            "min_token_confidences": [row.min_token_confidence for row in rows],
            "alternatives": [row.alternatives for row in rows],
            "tokens": [row.tokens for row in rows],
            "truncated": [row.truncated for row in rows],
            "review_reasons": [",".join(row.review_reasons) for row in rows],
            "error_codes": [row.error_code for row in rows],
            "error_details": [row.error_detail for row in rows],
        },
    ).all()
    finished = [FinishedLine(job_id, index, LineStatus(status), review) for job_id, index, status, review in recorded]
    settle(session, finished, keep_images=keep_images)
    return len(outcomes) - len(recorded)


@dataclass(frozen=True, slots=True)
class _Row:
    """The columns of an outcome."""

    status: LineStatus
    text: str | None = None
    confidence: float | None = None
    min_token_confidence: float | None = None
    alternatives: str | None = None
    tokens: str | None = None
    truncated: bool = False
    review_reasons: tuple[ReviewReason, ...] = ()
    error_code: str | None = None
    error_detail: str | None = None

    @classmethod
    def of(cls, outcome: Outcome) -> "_Row":
        result = outcome.result
        if isinstance(result, InkpostError):
            return cls(LineStatus.FAILED, error_code=result.code, error_detail=storable_text(result.detail))
        stored = _storable(result)
        return cls(
            LineStatus.SUCCEEDED,
            text=stored.text,
            confidence=stored.confidence,
            min_token_confidence=stored.min_token_confidence,
            alternatives=json.dumps([asdict(alternative) for alternative in stored.alternatives]),
            tokens=_tokens(result),
            truncated=stored.truncated,
            review_reasons=review_reasons(stored, outcome.line.review_threshold),
        )


def _storable(transcription: Transcription) -> Transcription:
    """Make sure that Postgres takes every part: one odd line must not stop its whole batch from being recorded."""
    return replace(
        transcription,
        text=storable_text(transcription.text),
        confidence=_storable_number(transcription.confidence),
        min_token_confidence=_storable_number(transcription.min_token_confidence),
        alternatives=tuple(
            Alternative(storable_text(other.text), _storable_number(other.confidence))
            for other in transcription.alternatives
        ),
    )


def _tokens(transcription: Transcription) -> str | None:
    """Return the tokens as `core.tables.Line` describes them, or None when none were asked for."""
    if not transcription.image_tokens:
        return None
    tokens = [
        [
            storable_text(token.text),
            _storable_log(token.log_probability),
            [[storable_text(top.text), _storable_log(top.log_probability)] for top in token.top],
        ]
        for token in transcription.tokens
    ]
    return json.dumps({"image_tokens": transcription.image_tokens, "tokens": tokens})


def _storable_log(log_probability: float) -> float:
    """Take what is no finite number for the least that clients of such values know; JSON has no nan or infinity."""
    return log_probability if math.isfinite(log_probability) else _IMPOSSIBLE


def _storable_number(confidence: float) -> float:
    """Take the nan of an overflown model for no confidence at all: JSON has no nan."""
    return 0.0 if math.isnan(confidence) else confidence


def review_reasons(transcription: Transcription, threshold: float | None) -> tuple[ReviewReason, ...]:
    """Say why a person should look at a transcription; empty when nobody needs to."""
    reasons = []
    if threshold is not None and transcription.confidence < threshold:
        reasons.append(ReviewReason.LOW_CONFIDENCE)
    if transcription.truncated:
        reasons.append(ReviewReason.TRUNCATED)
    return tuple(reasons)


def _columns(lines: Sequence[ClaimedLine]) -> dict[str, object]:
    return {
        "job_ids": [line.job_id for line in lines],
        "indexes": [line.index for line in lines],
        "attempts": [line.attempt for line in lines],
    }
