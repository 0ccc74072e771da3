"""The invariants that every scenario must leave behind it, however many processes were killed on the way.

Install the watch before the scenario, since a status that was left again cannot be seen afterwards:

    watch_transitions(sessions)
    ... the scenario ...
    check_invariants(sessions, {job_id: ["text of line 0", None, ...]}, sweep_seconds=0.5)

Checked here: I1 every accepted job is finished, I2 one outcome per line and the right text, I3 no transition out of a
finished status, I5 no lease long expired, I6 one job per idempotency key, I8 no orphaned bytes. `check_events` checks
I4, one event per finished job and each of them received.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, sessionmaker

from core.tables import Delivery, Document, Event, IdempotencyKey, Job, Line, Rendition, StoredImage
from core.words import ENDED_EVENTS, FINISHED_JOB, FINISHED_LINE, DocumentStatus, JobStatus, LineStatus

_WATCH = """
CREATE TABLE IF NOT EXISTS status_transitions (
    number bigserial PRIMARY KEY, kind text NOT NULL, job_id uuid NOT NULL, index int, before text NOT NULL,
    after text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());

CREATE OR REPLACE FUNCTION log_job_transition() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO status_transitions (kind, job_id, before, after) VALUES ('job', NEW.id, OLD.status, NEW.status);
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION log_line_transition() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO status_transitions (kind, job_id, index, before, after)
    VALUES ('line', NEW.job_id, NEW.index, OLD.status, NEW.status);
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION log_document_transition() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO status_transitions (kind, job_id, before, after)
    VALUES (TG_TABLE_NAME, NEW.job_id, OLD.status, NEW.status);
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER log_transition AFTER UPDATE ON documents FOR EACH ROW
WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION log_document_transition();

CREATE OR REPLACE TRIGGER log_transition AFTER UPDATE ON renditions FOR EACH ROW
WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION log_document_transition();

CREATE OR REPLACE TRIGGER log_transition AFTER UPDATE ON jobs FOR EACH ROW
WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION log_job_transition();

CREATE OR REPLACE TRIGGER log_transition AFTER UPDATE ON lines FOR EACH ROW
WHEN (OLD.status IS DISTINCT FROM NEW.status
      OR OLD.status IN ('succeeded', 'failed', 'canceled') AND OLD.* IS DISTINCT FROM NEW.*)
EXECUTE FUNCTION log_line_transition();
"""

Transition = tuple[str, uuid.UUID, int | None, str, str]


def watch_transitions(sessions: sessionmaker[Session]) -> None:
    """Make the test's database log every change of a status, and every change of a finished line."""
    with sessions.begin() as session:
        session.execute(text(_WATCH))


def transitions(sessions: sessionmaker[Session]) -> list[Transition]:
    """Return what was logged, in order: kind, job, index, status before and after."""
    with sessions() as session:
        query = "SELECT kind, job_id, index, before, after FROM status_transitions ORDER BY number"
        return [tuple(row) for row in session.execute(text(query))]


def check_finished_stays_finished(sessions: sessionmaker[Session]) -> None:
    """Check I3: nothing that had finished was ever touched again."""
    finished = {*map(str, FINISHED_JOB), *map(str, FINISHED_LINE)}
    wrong = [transition for transition in transitions(sessions) if transition[3] in finished]
    assert wrong == [], "I3: left a finished status"


def check_invariants(
    sessions: sessionmaker[Session],
    submitted: Mapping[uuid.UUID, Sequence[str | None]],
    *,
    deleted: Collection[uuid.UUID] = (),
    answered: Mapping[str, Collection[uuid.UUID]] | None = None,
    sweep_seconds: float = 5.0,
    keep_images: bool = True,
) -> None:
    """Check I1, I2, I3, I5, I6 and I8.

    Args:
        sessions: on a database that `watch_transitions` was called on before the scenario.
        submitted: for each accepted job the text of each line, None where the line must fail. Jobs that nobody
            submitted must not exist.
        deleted: the jobs that were deleted.
        answered: for each idempotency key the jobs that its requests were answered with.
        sweep_seconds: the pause between sweeps that the scenario ran with.
        keep_images: the setting that the scenario ran with.
    """
    with sessions() as session:
        jobs = {job.id: job for job in session.scalars(select(Job))}
        assert set(jobs) == set(submitted), "I1: a job is lost, or one exists that nobody submitted"
        unfinished = {job.id: job.status for job in jobs.values() if job.status not in FINISHED_JOB}
        assert unfinished == {}, "I1: a job is not finished"
        documents = {document.job_id: document for document in session.scalars(select(Document))}
        _check_documents(jobs, documents, keep_images=keep_images)
        gone = {job.id for job in jobs.values() if job.gone_at is not None}
        assert gone >= set(deleted), "a deleted job is still there"
        lines: dict[uuid.UUID, list[Line]] = {job_id: [] for job_id in jobs}
        for line in session.scalars(select(Line).order_by(Line.job_id, Line.index)):
            lines[line.job_id].append(line)
        for job_id, texts in submitted.items():
            if job_id not in gone:
                _check_lines(jobs[job_id], lines[job_id], texts, documents.get(job_id))
        _check_leases(session, sweep_seconds)
        _check_keys(session, answered or {})
        _check_bytes(session, gone, lines, documents, keep_images=keep_images)
    check_finished_stays_finished(sessions)


def _check_documents(
    jobs: Mapping[uuid.UUID, Job], documents: Mapping[uuid.UUID, Document], *, keep_images: bool
) -> None:
    """Check I1 and I8 for documents: each has ended as its job has, and what is needed no more is gone."""
    for job_id, document in documents.items():
        ended = DocumentStatus(document.status)
        assert ended not in {DocumentStatus.QUEUED, DocumentStatus.RUNNING}, f"I1: not cut: {job_id}"
        if ended != DocumentStatus.SUCCEEDED:
            assert jobs[job_id].status == ended.value, f"I1: the job ended otherwise than its document: {job_id}"
        assert jobs[job_id].gone_at is None, f"I8: the document of a deleted job: {job_id}"
        is_kept = keep_images and ended != DocumentStatus.FAILED
        assert (document.data is not None) == is_kept, f"I8: the bytes of a document: {job_id}"
        assert is_kept or document.password is None, f"I8: the password of a document: {job_id}"


def _check_lines(job: Job, lines: Sequence[Line], texts: Sequence[str | None], document: Document | None) -> None:
    assert [line.index for line in lines] == list(range(len(texts))), f"I2: lines are lost: {job.id}"
    statuses = Counter(LineStatus(line.status) for line in lines)
    assert not statuses.keys() - FINISHED_LINE, f"I2: a line without an outcome: {job.id} {statuses}"
    counted = (job.lines_total, job.lines_succeeded, job.lines_failed, job.lines_canceled, job.lines_needing_review)
    assert counted == (
        len(lines),
        statuses[LineStatus.SUCCEEDED],
        statuses[LineStatus.FAILED],
        statuses[LineStatus.CANCELED],
        sum(line.needs_review for line in lines),
    ), f"I2: the job's counts differ from its lines: {job.id}"
    if document is not None and document.status == DocumentStatus.FAILED:
        assert (job.status, len(lines)) == (JobStatus.FAILED, 0), f"I2: lines of a document that was not cut: {job.id}"
    else:
        expected_status = _status_of(statuses, is_canceled=job.status == JobStatus.CANCELED)
        assert job.status == expected_status, f"I2: {job.id} {statuses}"
    for line, expected in zip(lines, texts, strict=True):
        if line.status == LineStatus.CANCELED:
            continue
        assert line.text == expected, f"I2: another text: {job.id} line {line.index}"
        assert (line.error_code is not None) == (expected is None), f"I2: {job.id} line {line.index}"


def _status_of(statuses: Counter[LineStatus], *, is_canceled: bool) -> JobStatus:
    if is_canceled:
        return JobStatus.CANCELED
    if not statuses[LineStatus.FAILED]:
        return JobStatus.SUCCEEDED
    return JobStatus.PARTIAL if statuses[LineStatus.SUCCEEDED] else JobStatus.FAILED


def _check_leases(session: Session, sweep_seconds: float) -> None:
    for table in ("lines", "documents", "renditions"):
        late = f"SELECT count(*) FROM {table} WHERE lease_expires_at < clock_timestamp() - make_interval(secs => :late)"
        found = session.execute(text(late), {"late": 2 * sweep_seconds}).scalar_one()
        assert found == 0, f"I5: a lease is long expired: {table}"


def _check_keys(session: Session, answered: Mapping[str, Collection[uuid.UUID]]) -> None:
    stored = {(row.client_id, row.key): row.job_id for row in session.scalars(select(IdempotencyKey))}
    assert len(set(stored.values())) == len(stored), "I6: two keys share a job"
    for key, job_ids in answered.items():
        assert len(set(job_ids)) == 1, f"I6: {key} was answered with several jobs"
        known = {job_id for (_, name), job_id in stored.items() if name == key}
        assert set(job_ids) <= known, f"I6: {key} was answered with a job that is not stored under it"


def _check_bytes(
    session: Session,
    gone: Collection[uuid.UUID],
    lines: Mapping[uuid.UUID, Sequence[Line]],
    documents: Mapping[uuid.UUID, Document],
    *,
    keep_images: bool,
) -> None:
    assert not any(lines[job_id] for job_id in gone), "I8: a deleted job has lines"
    counted = session.execute(select(StoredImage.job_id, func.count()).group_by(StoredImage.job_id))
    images = {row[0]: row[1] for row in counted}
    if keep_images:
        # A line of a document may have no image: it was typed, or its page cannot be drawn.
        expected = Counter(
            line.job_id
            for of_job in lines.values()
            for line in of_job
            if line.job_id not in documents or line.image_width is not None
        )
        assert images == expected, "I8: images without a line, or lines without an image"
    else:
        assert images == {}, "I8: images of finished lines"
    assert session.scalars(select(Rendition.job_id).where(Rendition.job_id.in_(gone))).all() == [], "I8: a rendition"
    answers = select(IdempotencyKey.key).where(IdempotencyKey.job_id.in_(gone), IdempotencyKey.answer.is_not(None))
    assert session.scalars(answers).all() == [], "I8: the answer about a deleted job"
    echoes = select(Delivery.id).join(Event, Event.id == Delivery.event_id).where(Event.job_id.in_(gone))
    assert session.scalars(echoes.where(Delivery.response_start.is_not(None))).all() == [], (
        "I8: an echo of a deleted job"
    )
    bodies = select(Event.id).where(Event.job_id.in_(gone), Event.body_with_lines.is_not(None))
    assert session.scalars(bodies).all() == [], "I8: an event with the lines of a deleted job"


class ReceivedWebhook(Protocol):
    """What a test's receiver kept of a request whose signature it has checked."""

    @property
    def event_id(self) -> str: ...


def check_events(sessions: sessionmaker[Session], received: Sequence[ReceivedWebhook]) -> None:
    """Check I4, in a scenario in which one enabled endpoint that asked for every ending was there from its start.

    Args:
        sessions: on the scenario's database.
        received: what that endpoint's receiver got.
    """
    with sessions() as session:
        ended = Counter(
            session.scalars(select(Event.job_id).where(Event.type.in_(ENDED_EVENTS)).join(Job, Job.id == Event.job_id))
        )
        finished = set(session.scalars(select(Job.id).where(Job.status.in_(FINISHED_JOB), Job.gone_at.is_(None))))
        known = {f"evt_{event_id.hex}" for event_id in session.scalars(select(Event.id))}
    assert set(ended) >= finished, "I4: a job ended without an event"
    assert all(count == 1 for count in ended.values()), "I4: a job ended with two events"
    assert {one.event_id for one in received} == known, "I4: an event was not received, or one that never was"
