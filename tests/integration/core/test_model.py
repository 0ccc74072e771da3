"""The rules of lines and jobs against a model of them in plain Python, in sequences that Hypothesis makes up."""

import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, precondition, rule
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.claims import ClaimedLine, Outcome
from core.errors import AlreadyTerminal, CorruptImage, Gone
from core.tables import Job, Line
from core.transcription import Transcription
from core.words import Priority
from tests.integration.core.scenario import MAX_CRASHES, Scenario
from tests.invariants import check_finished_stays_finished


@dataclass
class ModelLine:
    """What the model knows of a line."""

    job: "ModelJob"
    index: int
    tag: int
    status: str = "queued"
    attempt: int = 0
    crashes: int = 0
    text: str | None = None
    error: str | None = None
    slot: uuid.UUID | None = None

    def crash(self) -> None:
        self.crashes += 1
        self.status = "queued"
        if self.crashes == MAX_CRASHES:
            self.status, self.error = "failed", "worker_crash"
            self.job.settle()


@dataclass
class ModelJob:
    """What the model knows of a job."""

    id: uuid.UUID
    client: uuid.UUID
    priority: Priority
    status: str = "queued"
    is_gone: bool = False
    lines: list[ModelLine] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        return Counter(line.status for line in self.lines)

    def settle(self) -> None:
        if self.status == "queued":
            self.status = "running"
        counts = self.counts
        if counts["succeeded"] + counts["failed"] == len(self.lines):
            self.status = "partial" if counts["succeeded"] and counts["failed"] else max(counts)


class Rules(RuleBasedStateMachine):
    """One step is one transaction of a client, a worker or the sweeper."""

    sessions: ClassVar[sessionmaker[Session]]
    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        with self.sessions.begin() as session:
            session.execute(text("TRUNCATE clients, status_transitions CASCADE"))
        self.real = Scenario(self.sessions)
        self.clients = [self.real.client("one"), self.real.client("other")]
        self.slots = [uuid.uuid4(), uuid.uuid4()]
        self.jobs: list[ModelJob] = []

    def lines(self, *statuses: str) -> list[ModelLine]:
        return [line for job in self.jobs for line in job.lines if line.status in statuses]

    def next_tag(self, client: uuid.UUID, priority: Priority) -> int:
        queued = [line for line in self.lines("queued") if line.job.priority == priority]
        running = [line.tag for line in self.lines("running") if line.job.priority == priority]
        virtual_time = min((line.tag for line in queued), default=max(running, default=0))
        return max([virtual_time, *(line.tag + 1 for line in queued if line.job.client == client)])

    def mine(self, claimed: ClaimedLine) -> ModelLine | None:
        """Return the model's line when the claim still holds it."""
        for line in self.lines("running"):
            if (line.job.id, line.index, line.attempt) == (*claimed.key, claimed.attempt):
                return line
        return None

    @rule(
        client=st.integers(0, 1), count=st.integers(1, 4), priority=st.sampled_from([Priority.DEFAULT, Priority.BULK])
    )
    def submit(self, client: int, count: int, priority: Priority) -> None:
        owner = self.clients[client]
        first_tag = self.next_tag(owner, priority)
        job = ModelJob(self.real.submit(owner, count, priority=priority), owner, priority)
        job.lines = [ModelLine(job, index, first_tag + index) for index in range(count)]
        self.jobs.append(job)

    @rule(target=held, limit=st.integers(1, 4), slot=st.integers(0, 1))
    def claim(self, limit: int, slot: int) -> object:
        queued = sorted(self.lines("queued"), key=lambda line: (line.job.priority, line.tag, line.job.id, line.index))
        claimed = self.real.claim(limit, slot=self.slots[slot])

        by_key = {(line.job.id, line.index): line for line in queued}
        taken = [by_key[line.key] for line in claimed]
        suspects = [line for line in queued if line.crashes]
        if suspects:
            assert len(taken) == 1
            assert taken[0].crashes
            first = min((line.job.priority, line.tag) for line in suspects)
            assert (taken[0].job.priority, taken[0].tag) == first
        else:
            assert taken == queued[:limit]
        for line in taken:
            line.status, line.slot = "running", self.slots[slot]
            line.attempt += 1
            line.job.status = "running"
        return multiple(*claimed)

    @rule(lines=st.lists(held, max_size=4), is_damaged=st.booleans())
    def record(self, lines: list[ClaimedLine], is_damaged: bool) -> None:
        kept = 0
        for number, claimed in enumerate(lines):
            line = self.mine(claimed)
            if line is None:
                continue
            kept += 1
            if is_damaged and number == 0:
                line.status, line.error = "failed", "corrupt_image"
            else:
                line.status, line.text = "succeeded", f"{claimed.index} at {claimed.attempt}"
            line.job.settle()
        outcomes = [
            Outcome(
                claimed,
                CorruptImage()
                if is_damaged and claimed == lines[0]
                else Transcription(f"{claimed.index} at {claimed.attempt}", 0.5, 0.5),
            )
            for claimed in lines
        ]
        assert self.real.record(outcomes) == len(lines) - kept

    @rule(lines=st.lists(held, max_size=4))
    def release(self, lines: list[ClaimedLine]) -> None:
        for claimed in lines:
            line = self.mine(claimed)
            if line is not None:
                line.status = "queued"
        self.real.release(lines)

    @rule(lines=st.lists(held, max_size=4))
    def renew(self, lines: list[ClaimedLine]) -> None:
        self.real.renew(lines)

    @rule(lines=st.lists(held, max_size=2))
    def give_up(self, lines: list[ClaimedLine]) -> None:
        for claimed in lines:
            line = self.mine(claimed)
            if line is not None:
                line.crash()
        self.real.give_up(lines)

    @rule(slot=st.integers(0, 1))
    def take_over(self, slot: int) -> None:
        for line in self.lines("running"):
            if line.slot == self.slots[slot]:
                line.crash()
        self.real.take_over(self.slots[slot])

    @precondition(lambda self: self.lines("running"))
    @rule()
    def expire(self) -> None:
        for line in self.lines("running"):
            line.crash()
        self.real.expire_leases()
        self.real.recover()

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        if job.is_gone or job.status not in ("queued", "running"):
            with pytest.raises(Gone if job.is_gone else AlreadyTerminal):
                self.real.cancel(job.client, job.id)
            return
        self.real.cancel(job.client, job.id)
        job.status = "canceled"
        for line in job.lines:
            if line.status in ("queued", "running"):
                line.status = "canceled"

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        self.real.delete(job.client, job.id)
        if job.status in ("queued", "running"):
            job.status = "canceled"
        job.is_gone = True
        job.lines = []

    @invariant()
    def the_database_says_what_the_model_says(self) -> None:
        with self.sessions() as session:
            jobs = {job.id: job for job in session.query(Job)}
            lines = {(line.job_id, line.index): line for line in session.query(Line)}
        assert {job.id: (job.status, job.gone_at is not None) for job in jobs.values()} == {
            job.id: (job.status, job.is_gone) for job in self.jobs
        }
        assert {
            key: (line.status, line.attempt, line.crash_attempts, line.fair_tag, line.text, line.error_code)
            for key, line in lines.items()
        } == {
            (job.id, line.index): (line.status, line.attempt, line.crashes, line.tag, line.text, line.error)
            for job in self.jobs
            for line in job.lines
        }
        for job in self.jobs:
            row = jobs[job.id]
            assert (row.finished_at is not None) == (job.status not in ("queued", "running"))
            if not job.is_gone:
                counts = job.counts
                stored = (row.lines_succeeded, row.lines_failed, row.lines_canceled)
                assert stored == (counts["succeeded"], counts["failed"], counts["canceled"])

    def teardown(self) -> None:
        check_finished_stays_finished(self.sessions)


Rules.TestCase.settings = settings(
    max_examples=10,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


class TestRules:
    """Gives the machine its database."""

    @pytest.fixture(autouse=True)
    def database(self, sessions: sessionmaker[Session]) -> None:
        Rules.sessions = sessions

    def test_any_sequence_of_steps_leaves_what_the_model_says(self) -> None:
        Rules.TestCase("runTest").runTest()
