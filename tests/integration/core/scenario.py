"""Short words for what clients and workers do, each in a transaction of its own, as the API and the workers have it."""

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session, sessionmaker

from core.claims import ClaimedLine, Outcome, claim_lines, record_outcomes, release_lines, renew_leases
from core.clients import create_client
from core.errors import CorruptImage, RecognitionError, WorkerCrash
from core.jobs import NewJob, NewLine, cancel_job, create_job, delete_job
from core.recovery import Recovered, give_up, recover_expired, take_over
from core.tables import Job, Line
from core.transcription import Transcription

MODEL = "fake"
MAX_CRASHES = 3


def reading_of(image: bytes) -> str | None:
    """Return what the recogniser of these tests reads; None for a damaged image."""
    return None if image.startswith(b"damaged") else f"reading of {image.decode()}"


def outcome_of(line: ClaimedLine, confidence: float = 0.9) -> Outcome:
    """Read a line."""
    words = reading_of(line.image)
    return Outcome(line, CorruptImage() if words is None else Transcription(words, confidence, confidence / 2))


@dataclass(frozen=True, slots=True)
class Scenario:
    """Clients and workers on one database."""

    sessions: sessionmaker[Session]

    def client(self, name: str) -> uuid.UUID:
        with self.sessions.begin() as session:
            return create_client(session, name).id

    def submit(self, client_id: uuid.UUID, lines: int | Sequence[bytes] = 1, **options: Any) -> uuid.UUID:
        images = [f"line {index}".encode() for index in range(lines)] if isinstance(lines, int) else lines
        new = NewJob(
            model=MODEL,
            lines=[NewLine(image, "image/png") for image in images],
            retention_seconds=options.pop("retention_seconds", 3600),
        )
        with self.sessions.begin() as session:
            return create_job(session, client_id, replace(new, **options)).id

    def claim(
        self, limit: int = 16, *, slot: uuid.UUID | None = None, model: str = MODEL, lease_seconds: float = 30.0
    ) -> list[ClaimedLine]:
        with self.sessions.begin() as session:
            return claim_lines(
                session,
                model=model,
                revision="r1",
                slot=slot or uuid.uuid4(),
                limit=limit,
                lease_seconds=lease_seconds,
            )

    def record(self, lines: Sequence[ClaimedLine | Outcome], *, keep_images: bool = True) -> int:
        outcomes = [line if isinstance(line, Outcome) else outcome_of(line) for line in lines]
        with self.sessions.begin() as session:
            return record_outcomes(session, outcomes, keep_images=keep_images)

    def drain(self, limit: int = 64) -> int:
        """Claim and record until nothing is queued, and return how many lines were read."""
        count = 0
        while lines := self.claim(limit):
            self.record(lines)
            count += len(lines)
        return count

    def renew(self, lines: Sequence[ClaimedLine], lease_seconds: float = 30.0) -> None:
        with self.sessions.begin() as session:
            renew_leases(session, lines, lease_seconds)

    def release(self, lines: Sequence[ClaimedLine]) -> None:
        with self.sessions.begin() as session:
            release_lines(session, lines)

    def expire_leases(self) -> None:
        """Let the leases of all running lines run out."""
        with self.sessions.begin() as session:
            session.execute(
                text("UPDATE lines SET lease_expires_at = now() - interval '1 minute' WHERE status = 'running'")
            )

    def recover(self, *, keep_images: bool = True) -> Recovered:
        with self.sessions.begin() as session:
            return recover_expired(session, max_crashes=MAX_CRASHES, keep_images=keep_images)

    def take_over(self, slot: uuid.UUID) -> Recovered:
        with self.sessions.begin() as session:
            return take_over(session, slot, max_crashes=MAX_CRASHES, keep_images=True)

    def give_up(self, lines: Sequence[ClaimedLine], error: type[RecognitionError] = WorkerCrash) -> Recovered:
        with self.sessions.begin() as session:
            return give_up(session, lines, error=error, max_crashes=MAX_CRASHES, keep_images=True)

    def cancel(self, client_id: uuid.UUID, job_id: uuid.UUID) -> None:
        with self.sessions.begin() as session:
            cancel_job(session, client_id, job_id)

    def delete(self, client_id: uuid.UUID, job_id: uuid.UUID) -> None:
        with self.sessions.begin() as session:
            delete_job(session, client_id, job_id)

    def job(self, job_id: uuid.UUID) -> Job:
        with self.sessions() as session:
            return session.get_one(Job, job_id)

    def lines(self, job_id: uuid.UUID) -> Sequence[Line]:
        with self.sessions() as session:
            return session.scalars(select(Line).where(Line.job_id == job_id).order_by(Line.index)).all()

    def scalar(self, query: str, **values: object) -> Any:
        with self.sessions() as session:
            return session.execute(text(query), values).scalar_one()

    def count_waiting(self) -> int:
        """Return how many backends of this database wait for a lock."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return int(self.scalar(query))


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls in a thread each and return what they returned, or the exception that they raised."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.exception() or future.result() for future in [pool.submit(call) for call in calls]]
