"""Telling waiting requests that a job has finished or come further, through Postgres NOTIFY.

A notice is a hint like a bell: it leaves with the commit of what it announces, and one that is lost costs a waiting
request one look at the row.
"""

import uuid
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

CHANNEL = "inkpost_finished"
PROGRESS_CHANNEL = "inkpost_progress"
# Postgres refuses payloads of 8,000 bytes; a job id takes 33.
_IDS_PER_NOTICE = 200
_NOTIFY = text("SELECT pg_notify(:channel, :payload)")


def announce_finished(session: Session, job_ids: Sequence[uuid.UUID]) -> None:
    """Announce finished jobs, when the session's transaction commits."""
    _announce(session, CHANNEL, job_ids)


def announce_progress(session: Session, job_ids: Sequence[uuid.UUID]) -> None:
    """Announce jobs of which more lines have finished, but not all, when the session's transaction commits."""
    _announce(session, PROGRESS_CHANNEL, job_ids)


def _announce(session: Session, channel: str, job_ids: Sequence[uuid.UUID]) -> None:
    for start in range(0, len(job_ids), _IDS_PER_NOTICE):
        payload = ",".join(job_id.hex for job_id in job_ids[start : start + _IDS_PER_NOTICE])
        session.execute(_NOTIFY, {"channel": channel, "payload": payload})


def parse_notice(payload: str) -> list[uuid.UUID]:
    """Return the job ids in a notice."""
    return [uuid.UUID(hex=text_id) for text_id in payload.split(",") if text_id]
