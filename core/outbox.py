"""The outbox: events about jobs, inserted in the transaction of what they tell, and planned for who listens.

Who listens to a job: its client's registered endpoints that ask for the event, and the URL that the job named. A
disabled endpoint is planned nothing, but the event is kept, so that it can be replayed to it.
"""

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.orm import Session

from core.bells import WEBHOOKS_QUEUE, ring_after_commit
from core.documents.lookup import find_documents
from core.ids import new_uuid
from core.tables import Delivery, Event, Job, Line
from core.webhooks.bodies import LEAST_LINE_BYTES, MAX_BODY_BYTES, job_body, job_body_with_lines
from core.words import EventType, Include, LineStatus


@dataclass(frozen=True, slots=True)
class _Listener:
    """An endpoint of a job's client. `events` and `include` are what counts for this job."""

    job_id: uuid.UUID
    endpoint_id: uuid.UUID
    is_enabled: bool
    events: Sequence[str]
    include: Include


_LISTENERS = text("""
SELECT jobs.id AS job_id, endpoints.id AS endpoint_id, endpoints.disabled_at IS NULL AS is_enabled,
       CASE WHEN endpoints.is_registered THEN endpoints.events ELSE jobs.webhook_events END AS events,
       CASE WHEN endpoints.is_registered THEN endpoints.include ELSE jobs.webhook_include END AS include
FROM jobs
JOIN webhook_endpoints AS endpoints ON endpoints.client_id = jobs.client_id
     AND (endpoints.is_registered OR endpoints.id = jobs.webhook_endpoint_id)
WHERE jobs.id = ANY(:job_ids)
FOR KEY SHARE OF endpoints SKIP LOCKED
""")  # only a deletion is kept waiting by this, or passed over: nobody will listen there


def record_ended(session: Session, job_ids: Sequence[uuid.UUID]) -> None:
    """Store an event for each of these jobs, which end in this transaction and whose rows are locked.

    Costs one look when nobody listens, however many jobs there are.
    """
    if not job_ids:
        return
    listeners = _listeners(session, job_ids)
    if not listeners:
        return
    jobs = session.scalars(
        select(Job).where(Job.id.in_(listeners)).order_by(Job.id).execution_options(populate_existing=True)
    ).all()
    with_lines = {
        job_id for job_id, found in listeners.items() if any(listener.include == Include.RESULTS for listener in found)
    }
    lines = _lines(session, [job for job in jobs if job.id in with_lines])
    documents = find_documents(session, listeners)
    events = []
    for job in jobs:
        event_type, at = EventType(f"job.{job.status}"), job.finished_at or job.created_at
        body_with_lines = None
        if job.id in with_lines:
            body_with_lines = job_body_with_lines(event_type, at, job, lines.get(job.id), documents.get(job.id))
        events.append(
            {
                "id": new_uuid(),
                "client_id": job.client_id,
                "job_id": job.id,
                "type": event_type,
                "body": job_body(event_type, at, job, running=0, document=documents.get(job.id)),
                "body_with_lines": body_with_lines,
            }
        )
    _store(session, events, listeners)


def record_running(session: Session, *, progress_seconds: float) -> int:
    """Store `job.started` and `job.progress` for running jobs of which somebody wants to know; return how many.

    Called by the sweep, so a job that ends before its next sweep sends neither, and the claims of lines pay nothing.
    """
    rows = session.execute(_RUNNING, {"progress_seconds": progress_seconds}).all()
    if not rows:
        return 0
    listeners = _listeners(session, sorted({row.job_id for row in rows}))
    jobs = {job.id: job for job in session.scalars(select(Job).where(Job.id.in_(listeners)))}
    reading = select(Line.job_id, func.count()).where(Line.job_id.in_(jobs), Line.status == LineStatus.RUNNING)
    running = {row[0]: row[1] for row in session.execute(reading.group_by(Line.job_id))}
    documents = find_documents(session, jobs)
    now = session.scalars(select(func.now())).one()
    events = []
    for job_id, event_type in ((row.job_id, EventType(row.type)) for row in rows):
        job = jobs[job_id]
        at: dt.datetime = (job.started_at or now) if event_type == EventType.JOB_STARTED else now
        events.append(
            {
                "id": new_uuid(),
                "client_id": job.client_id,
                "job_id": job_id,
                "type": event_type,
                "body": job_body(event_type, at, job, running=running.get(job_id, 0), document=documents.get(job_id)),
                "body_with_lines": None,
                "lines_finished": job.lines_succeeded + job.lines_failed,
            }
        )
    _store(session, events, listeners)
    return len(events)


# The jobs' rows are locked, so that none of them ends before its event is in; one that is held is left to the next
# sweep. A job is worth an event when it has none of that type yet or, for progress, when more of its lines have
# finished since the last.
_RUNNING = text("""
WITH running AS MATERIALIZED (
    SELECT jobs.id, jobs.lines_succeeded + jobs.lines_failed AS lines_finished, wanted.type
    FROM jobs
    CROSS JOIN (VALUES ('job.started'), ('job.progress')) AS wanted(type)
    WHERE jobs.status = 'running' AND jobs.gone_at IS NULL
      AND jobs.id IN (SELECT job_id FROM lines WHERE lines.status = 'running') AND EXISTS (
        SELECT FROM webhook_endpoints AS endpoints
        WHERE endpoints.client_id = jobs.client_id AND endpoints.disabled_at IS NULL
          AND (endpoints.is_registered AND endpoints.events @> ARRAY[wanted.type]
               OR endpoints.id = jobs.webhook_endpoint_id AND jobs.webhook_events @> ARRAY[wanted.type])
    )
    ORDER BY jobs.id LIMIT 500
    FOR NO KEY UPDATE OF jobs SKIP LOCKED
)
SELECT running.id AS job_id, running.type
FROM running
WHERE CASE running.type
    WHEN 'job.started' THEN NOT EXISTS (
        SELECT FROM events WHERE events.job_id = running.id AND events.type = 'job.started')
    ELSE running.lines_finished > 0 AND NOT EXISTS (
        SELECT FROM events WHERE events.job_id = running.id AND events.type = 'job.progress'
          AND (events.lines_finished >= running.lines_finished
               OR events.created_at > now() - make_interval(secs => :progress_seconds)))
    END
""")


def forget_events(session: Session, job_ids: Sequence[uuid.UUID]) -> None:
    """Leave of the events of these jobs no more than that they happened; what is still to be sent is sent so."""
    session.execute(_FORGET, {"job_ids": list(job_ids)})
    events = select(Event.id).where(Event.job_id.in_(job_ids))
    echoes = update(Delivery).where(Delivery.event_id.in_(events), Delivery.response_start.is_not(None))
    session.execute(echoes.values(response_start=None))


_FORGET = text("""
UPDATE events SET body_with_lines = NULL, body = convert_to(json_build_object(
    'type', type,
    'timestamp', convert_from(body, 'UTF8')::json -> 'timestamp',
    'data', json_build_object(
        'object', 'job',
        'id', convert_from(body, 'UTF8')::json #> '{data,id}',
        'status', convert_from(body, 'UTF8')::json #> '{data,status}',
        'gone', true))::text, 'UTF8')
WHERE job_id = ANY(:job_ids)
""")


def _listeners(session: Session, job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[_Listener]]:
    """Return who listens to each job; jobs of clients without any endpoint are left out."""
    found: dict[uuid.UUID, list[_Listener]] = defaultdict(list)
    for row in session.execute(_LISTENERS, {"job_ids": list(job_ids)}):
        found[row.job_id].append(
            _Listener(row.job_id, row.endpoint_id, row.is_enabled, row.events, Include(row.include))
        )
    return dict(found)


def _lines(session: Session, jobs: Sequence[Job]) -> dict[uuid.UUID, list[Line]]:
    """Return the lines of those jobs whose lines may fit into a body."""
    small = [job.id for job in jobs if job.lines_total <= MAX_BODY_BYTES // LEAST_LINE_BYTES]
    lines: dict[uuid.UUID, list[Line]] = {job_id: [] for job_id in small}
    if small:
        query = select(Line).where(Line.job_id.in_(small)).order_by(Line.job_id, Line.index)
        for line in session.scalars(query.execution_options(populate_existing=True)):
            lines[line.job_id].append(line)
    return lines


def _store(session: Session, events: Sequence[dict[str, object]], listeners: dict[uuid.UUID, list[_Listener]]) -> None:
    session.execute(insert(Event), events)
    deliveries = [
        {
            "id": new_uuid(),
            "client_id": event["client_id"],
            "endpoint_id": listener.endpoint_id,
            "event_id": event["id"],
            "include": listener.include,
        }
        for event in events
        for listener in listeners[event["job_id"]]  # type: ignore[index]
        if listener.is_enabled and event["type"] in listener.events
    ]
    if deliveries:
        session.execute(insert(Delivery), deliveries)
        ring_after_commit(session, WEBHOOKS_QUEUE)
