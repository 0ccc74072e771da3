"""A desk from which a test submits lines straight into the core, and watches what a real worker makes of them."""

import io
import itertools
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from core.bells import Bells, lines_queue
from core.clients import create_client
from core.database import create_database_engine, create_session_factory
from core.jobs import NewJob, NewLine, create_job, list_lines
from core.settings import Settings
from core.tables import Job, Line
from core.words import FINISHED_JOB
from tests.invariants import check_invariants, watch_transitions
from tests.waiting import eventually
from worker.recognizer.fake import fake_text

_seeds = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Picture:
    """A line image with the text that the fake recogniser reads from it."""

    png: bytes
    text: str


def picture(marker: tuple[int, int, int] = (255, 255, 255)) -> Picture:
    """Make a line image unlike any other; `marker` colours its top left pixel."""
    pixels: NDArray[np.uint8] = np.random.default_rng(next(_seeds)).integers(0, 256, (12, 40, 3)).astype(np.uint8)
    pixels[0, 0] = marker
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return Picture(file.getvalue(), fake_text(pixels))


@dataclass
class Desk:
    """Submits jobs and looks at them."""

    settings: Settings
    sessions: sessionmaker[Session]
    bells: Bells
    client_id: uuid.UUID
    submitted: dict[uuid.UUID, Sequence[Picture]] = field(default_factory=dict)
    failing: set[tuple[uuid.UUID, int]] = field(default_factory=set)

    def submit(self, pictures: Sequence[Picture], *, is_ringing: bool = True) -> uuid.UUID:
        """Store a job, as the API does, and ring."""
        lines = [NewLine(one.png, "image/png") for one in pictures]
        with self.sessions.begin() as session:
            job = create_job(session, self.client_id, NewJob(model="fake", lines=lines, retention_seconds=3600))
        self.submitted[job.id] = pictures
        if is_ringing:
            self.bells.ring(lines_queue("fake"))
        return job.id

    def job(self, job_id: uuid.UUID) -> Job:
        """Return the job as it stands."""
        with self.sessions() as session:
            return session.get_one(Job, job_id)

    def lines(self, job_id: uuid.UUID) -> Sequence[Line]:
        """Return the job's lines as they stand."""
        with self.sessions() as session:
            return list_lines(session, job_id)

    def finished(self, job_id: uuid.UUID, timeout_seconds: float = 60.0) -> Job:
        """Wait until the job has finished, and return it."""
        eventually(
            lambda: self.job(job_id).status in FINISHED_JOB,
            timeout_seconds,
            "the job never finished",
        )
        return self.job(job_id)

    def assert_read(self, job_id: uuid.UUID, *, but: frozenset[int] = frozenset()) -> None:
        """Check that each line, but for the named ones, holds the text of its own picture."""
        self.failing |= {(job_id, index) for index in but}
        for line, one in zip(self.lines(job_id), self.submitted[job_id], strict=True):
            if line.index not in but:
                assert (line.status, line.text) == ("succeeded", one.text), line.index

    def check_invariants(self) -> None:
        """Check what must hold when every submitted job has had its time; `assert_read` told which lines must fail."""
        expected = {
            job_id: [None if (job_id, index) in self.failing else one.text for index, one in enumerate(pictures)]
            for job_id, pictures in self.submitted.items()
        }
        check_invariants(self.sessions, expected, sweep_seconds=self.settings.leases.sweep_seconds)

    def running(self, job_id: uuid.UUID) -> int:
        """Count the lines that a worker holds now."""
        with self.sessions() as session:
            return len(session.scalars(select(Line).where(Line.job_id == job_id, Line.status == "running")).all())

    def changed(self, **groups: dict[str, object]) -> Settings:
        """Return the settings with fields of their groups changed: `changed(worker={"model": "fake:500"})`."""
        updates = {name: getattr(self.settings, name).model_copy(update=fields) for name, fields in groups.items()}
        return self.settings.model_copy(update=updates)


@pytest.fixture
def desk(settings: Settings) -> Iterator[Desk]:
    """Give a desk over the test's own database and broker."""
    engine = create_database_engine(settings, "test-desk")
    sessions = create_session_factory(engine)
    with sessions.begin() as session:
        client_id = create_client(session, "desk").id
    watch_transitions(sessions)
    bells = Bells(settings)
    yield Desk(settings, sessions, bells, client_id)
    bells.close()
    engine.dispose()
