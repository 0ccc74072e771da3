"""/v1/jobs: look at, list, cancel, delete. Submitting is in api.new_jobs."""

import time
import uuid
from collections.abc import Sequence

import structlog
from flask import Response

from api.answers import job_response, json_response, with_etag
from api.cursors import read_cursor, write_cursor
from api.job_schemas import JobPage, JobsQuery, JobSummary, JobView, WaitQuery
from api.operations import Answer, Call, Content, NoQuery, Operations
from api.pages import page_size
from api.services import Services
from api.waiting_room import remaining
from core import errors
from core.documents.lookup import find_documents
from core.errors import NotFound
from core.ids import parse_public_id
from core.jobs import cancel_job, count_running, delete_job, find_job_and_document, has_finished, list_jobs, list_lines
from core.representation import JOB_PREFIX, job_value
from core.tables import Document, Job, Line
from core.words import JobStatus, LineStatus, Scope

operations = Operations("Jobs")
log = structlog.get_logger(__name__)


@operations.add(
    "GET",
    "/v1/jobs/<job_id>",
    summary="Look at a job",
    scope=Scope.READ,
    query=WaitQuery,
    headers={"If-None-Match": "The ETag of an earlier answer: 304 when nothing has changed."},
    answers={
        200: Answer(
            "The job, at any status, with all its lines.",
            Content("application/json", JobView),
            {"ETag": "Changes with the job.", "Retry-After": "Seconds until it is worth asking; absent once finished."},
        ),
        304: Answer("Nothing has changed.", None, {"ETag": "As before."}),
    },
    errors=(errors.NotFound, errors.Gone),
)
def show_job(call: Call[WaitQuery], job_id: str) -> Response:
    """Return the job. With `wait`, answer when it has finished or the time is over.

    When too many requests wait already, it answers at once.
    """
    own_id = job_uuid(job_id)
    wait = min(call.query.wait, call.services.settings.limits.max_wait_seconds)
    if wait > 0:
        _wait(call.services, call.caller.client_id, own_id, wait)
    job, document, lines = _read(call.services, call.caller.client_id, own_id)
    return with_etag(job_response(job_value(job, running=_running(lines), lines=lines, document=document)))


def _wait(services: Services, client_id: uuid.UUID, job_id: uuid.UUID, seconds: float) -> None:
    """Return when the job has finished, the time is over, or nobody else may wait."""
    deadline = time.monotonic() + seconds
    with services.waiting_room.seat(job_id) as seat:
        while seat is not None and not services.waiting_room.is_closed and remaining(deadline) > 0:
            with services.statements() as session:
                if has_finished(session, client_id, job_id):
                    return
            if seat.wait(remaining(deadline)):
                return


def _read(services: Services, client_id: uuid.UUID, job_id: uuid.UUID) -> tuple[Job, Document | None, Sequence[Line]]:
    with services.statements() as session:
        job, document = find_job_and_document(session, client_id, job_id)
        return job, document, list_lines(session, job.id)


@operations.add(
    "GET",
    "/v1/jobs",
    summary="List jobs",
    scope=Scope.READ,
    query=JobsQuery,
    answers={200: Answer("A page of jobs without their lines, newest first.", Content("application/json", JobPage))},
)
def list_all(call: Call[JobsQuery]) -> Response:
    """List the client's jobs. Follow `next_cursor` until it is null."""
    query, client_id = call.query, call.caller.client_id
    limit = page_size(query.limit, call.services.settings.limits)
    before = uuid.UUID(hex=read_cursor(client_id, "jobs", query.cursor)) if query.cursor is not None else None
    with call.services.statements() as session:
        jobs = list_jobs(
            session,
            client_id,
            limit=limit + 1,
            before=before,
            status=JobStatus(query.status) if query.status is not None else None,
            client_reference=query.client_reference,
            created_after=query.created_after,
        )
        page = jobs[:limit]
        running = count_running(session, [job.id for job in page if job.status == JobStatus.RUNNING])
        documents = find_documents(session, [job.id for job in page])
    more = write_cursor(client_id, "jobs", page[-1].id.hex) if len(jobs) > limit else None
    values = [job_value(job, running=running.get(job.id, 0), document=documents.get(job.id)) for job in page]
    return json_response({"data": values, "next_cursor": more})


@operations.add(
    "POST",
    "/v1/jobs/<job_id>/cancel",
    summary="Cancel a job",
    scope=Scope.WRITE,
    answers={202: Answer("The job is canceled.", Content("application/json", JobSummary))},
    errors=(errors.NotFound, errors.Gone, errors.AlreadyTerminal),
)
def cancel(call: Call[NoQuery], job_id: str) -> Response:
    """End the job now. Lines that have finished stay; the others are canceled."""
    with call.services.transaction() as session:
        job = cancel_job(
            session, call.caller.client_id, job_uuid(job_id), keep_images=call.services.settings.keep_images
        )
        answer = job_value(job, running=0, document=find_documents(session, [job.id]).get(job.id))
    log.info("job.canceled", job_id=job_id)
    return json_response(answer, 202)


@operations.add(
    "DELETE",
    "/v1/jobs/<job_id>",
    summary="Delete a job",
    scope=Scope.WRITE,
    answers={204: Answer("Images, texts and the stored answer to an Idempotency-Key are gone.")},
    errors=(errors.NotFound,),
)
def delete(call: Call[NoQuery], job_id: str) -> Response:
    """Forget the job at once, whatever its status. A later GET says 410; deleting again changes nothing."""
    with call.services.transaction() as session:
        delete_job(session, call.caller.client_id, job_uuid(job_id))
    log.info("job.deleted", job_id=job_id)
    return Response(status=204)


def job_uuid(job_id: str) -> uuid.UUID:
    """Return the UUID of a job's id in a path.

    Raises:
        NotFound: no job can have this id.
    """
    found = parse_public_id(JOB_PREFIX, job_id)
    if found is None:
        raise NotFound
    return found


def _running(lines: Sequence[Line]) -> int:
    return sum(line.status == LineStatus.RUNNING for line in lines)
