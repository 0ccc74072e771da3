"""Everything at once on the same jobs: no deadlock, no lost line, no second outcome.

A bounded number of operations, not a time: the machine decides how they meet.
"""

import contextlib
import itertools
import random
import threading
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.claims import ClaimedLine
from core.database import create_database_engine, create_session_factory
from core.errors import AlreadyTerminal, Gone, NotFound
from core.housekeeping import sweep, tidy
from core.settings import Settings
from tests.integration.core.scenario import Scenario, at_once, reading_of
from tests.invariants import check_invariants

THREADS = 6
STEPS = 120


@pytest.fixture
def patient(sessions: sessionmaker[Session], database_settings: Settings) -> Iterator[Scenario]:
    """Give a scenario in which a lock is waited for long enough that only a deadlock ends the wait."""
    engine = create_database_engine(
        database_settings.model_copy(update={"database_timeout_seconds": 60.0}), "inkpost-test"
    )
    yield Scenario(create_session_factory(engine))
    engine.dispose()


class Chaos:
    """What the threads share: the jobs, and what was done to them."""

    def __init__(self, scenario: Scenario, settings: Settings) -> None:
        self.scenario = scenario
        self.settings = settings
        self.clients = [scenario.client("one"), scenario.client("other")]
        self.slots = [uuid.uuid4() for _ in range(THREADS)]
        self.images: dict[uuid.UUID, list[bytes]] = {}
        self.owners: dict[uuid.UUID, uuid.UUID] = {}
        self.deleted: set[uuid.UUID] = set()
        self.counter = itertools.count()

    def run(self, number: int, start: threading.Barrier) -> None:
        dice = random.Random(number)
        held: list[ClaimedLine] = []
        slot = self.slots[number]
        start.wait()
        for _ in range(STEPS):
            what = dice.choices(
                [
                    "submit",
                    "claim",
                    "record",
                    "renew",
                    "release",
                    "give up",
                    "die",
                    "expire",
                    "sweep",
                    "cancel",
                    "delete",
                ],
                weights=[8, 25, 25, 6, 5, 3, 3, 4, 5, 4, 4],
            )[0]
            if what == "submit":
                self.submit(dice)
            elif what == "claim":
                held += self.scenario.claim(dice.randint(1, 24), slot=slot)
            elif what == "record":
                dice.shuffle(held)
                mine, held = held[:20], held[20:]
                self.scenario.record(mine)
                if dice.random() < 0.2:
                    self.scenario.record(mine)
            elif what == "renew":
                self.scenario.renew(held)
            elif what == "release":
                mine, held = held[:5], held[5:]
                self.scenario.release(mine)
            elif what == "give up":
                mine, held = held[:2], held[2:]
                self.scenario.give_up(mine)
            elif what == "die":
                self.scenario.take_over(slot)  # and `held` stays: its late results must be dropped
            elif what == "expire":
                self.scenario.recover()
            elif what == "sweep":
                with self.scenario.sessions.begin() as session:
                    sweep(session, self.settings)
                with self.scenario.sessions.begin() as session:
                    tidy(session, self.settings)
            else:
                self.end_job(dice, what)

    def submit(self, dice: random.Random) -> None:
        images = [f"{next(self.counter)}".encode() for _ in range(dice.choice([1, 1, 4, 30]))]
        if dice.random() < 0.3:
            images[0] = b"damaged"
        owner = dice.choice(self.clients)
        job_id = self.scenario.submit(owner, images)
        self.owners[job_id] = owner
        self.images[job_id] = images

    def end_job(self, dice: random.Random, what: str) -> None:
        if not self.images:
            return
        job_id = dice.choice(list(self.images))
        with contextlib.suppress(AlreadyTerminal, Gone, NotFound):
            if what == "cancel":
                self.scenario.cancel(self.owners[job_id], job_id)
            else:
                self.scenario.delete(self.owners[job_id], job_id)
                self.deleted.add(job_id)


def test_everything_at_once_ends_well(
    patient: Scenario, sessions: sessionmaker[Session], database_settings: Settings
) -> None:
    chaos = Chaos(patient, database_settings)
    start = threading.Barrier(THREADS)

    failures = at_once(*[lambda number=number: chaos.run(number, start) for number in range(THREADS)])
    for slot in chaos.slots:
        patient.take_over(slot)
    patient.drain()

    assert failures == [None] * THREADS
    assert patient.scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    expected = {job_id: [reading_of(image) for image in images] for job_id, images in chaos.images.items()}
    for job_id, texts in expected.items():
        for line in patient.lines(job_id):
            if line.error_code == "worker_crash":
                texts[line.index] = None
    check_invariants(sessions, expected, deleted=chaos.deleted)
