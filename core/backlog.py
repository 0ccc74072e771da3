"""How much waits for each model, and how fast it goes; cheap enough to ask every second."""

import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.presence import served_models
from core.words import Priority

MOST_COUNTED = 100_000
_RECENT_SECONDS = 60
_RECENT_JOBS = 5_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """One model's queue. `is_capped`: all models together have more lines waiting than are counted."""

    model: str
    live_workers: int
    queued_lines: dict[Priority, int]
    is_capped: bool
    oldest_queued_seconds: float | None
    recent_lines_per_second: float | None

    def estimated_wait_seconds(self) -> float | None:
        """Return how long a line of default priority would wait, or None when nothing was read lately."""
        ahead = self.queued_lines[Priority.INTERACTIVE] + self.queued_lines[Priority.DEFAULT]
        if ahead == 0:
            return 0.0
        return ahead / self.recent_lines_per_second if self.recent_lines_per_second else None


@dataclass(frozen=True, slots=True)
class DocumentBacklog:
    """What waits for the documents worker: forms to be cut, and PDFs to be written."""

    queued_documents: int
    queued_renditions: int
    oldest_queued_seconds: float | None


@dataclass(frozen=True, slots=True)
class Backlogs:
    """Everything that waits."""

    models: Sequence[Backlog]
    documents: DocumentBacklog


# The oldest is told by the job's id, which begins with the milliseconds of its creation; as text, because PostgreSQL
# knows the least of two uuids only since version 18.
_QUEUED = text("""
SELECT model, priority, count(*), min(CAST(job_id AS text))
FROM (SELECT model, priority, job_id FROM lines WHERE status = 'queued' LIMIT :most) AS waiting
GROUP BY model, priority
""")
# Only the newest jobs are looked at, so that no index is needed for this alone.
_RECENT = text("""
SELECT model, sum(lines_succeeded + lines_failed)
FROM (SELECT model, lines_succeeded, lines_failed, finished_at FROM jobs ORDER BY id DESC LIMIT :jobs) AS recent
WHERE finished_at > now() - make_interval(secs => :seconds)
GROUP BY model
""")


def measure_backlogs(session: Session, *, sweep_seconds: float) -> Sequence[Backlog]:
    """Return the backlog of every model that is served or waited for, by name."""
    live = {model.name: model.live_workers for model in served_models(session, sweep_seconds=sweep_seconds)}
    counts: defaultdict[str, dict[Priority, int]] = defaultdict(lambda: dict.fromkeys(Priority, 0))
    oldest: dict[str, str] = {}
    for model, priority, count, job_id in session.execute(_QUEUED, {"most": MOST_COUNTED + 1}):
        counts[model][Priority(priority)] = count
        oldest[model] = min(job_id, oldest.get(model, job_id))
    recent = session.execute(_RECENT, {"seconds": _RECENT_SECONDS, "jobs": _RECENT_JOBS})
    rates: dict[str, float] = {model: count / _RECENT_SECONDS for model, count in recent}
    is_capped = sum(sum(of_model.values()) for of_model in counts.values()) > MOST_COUNTED
    return [
        Backlog(
            model=model,
            live_workers=live.get(model, 0),
            queued_lines=counts[model],
            is_capped=is_capped,
            oldest_queued_seconds=_age(oldest[model]) if model in oldest else None,
            recent_lines_per_second=float(rates[model]) if rates.get(model) else None,
        )
        for model in sorted({*live, *counts})
    ]


# Both counts are of a partial index of what waits.
_DOCUMENTS = text("""
SELECT (SELECT count(*) FROM documents WHERE status = 'queued'),
       (SELECT count(*) FROM renditions WHERE status = 'queued'),
       extract(epoch FROM clock_timestamp() - least(
           (SELECT min(created_at) FROM documents WHERE status = 'queued'),
           (SELECT min(created_at) FROM renditions WHERE status = 'queued')))
""")


def measure_document_backlog(session: Session) -> DocumentBacklog:
    """Return what waits for the documents worker."""
    documents, renditions, age = session.execute(_DOCUMENTS).one()
    return DocumentBacklog(documents, renditions, None if age is None else max(0.0, float(age)))


def _age(job_id: str) -> float:
    return max(0.0, time.time() - (uuid.UUID(job_id).int >> 80) / 1000)
