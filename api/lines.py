"""/v1/jobs/{id}/lines: a job's lines, page by page."""

from flask import Response

from api.answers import json_response
from api.cursors import read_cursor, write_cursor
from api.job_schemas import LinePage, LinesQuery
from api.jobs import job_uuid
from api.operations import Answer, Call, Content, Operations
from api.pages import page_size
from core import errors
from core.jobs import find_job, list_lines
from core.representation import line_value
from core.words import LineStatus, Scope

operations = Operations("Jobs")


@operations.add(
    "GET",
    "/v1/jobs/<job_id>/lines",
    summary="List a job's lines",
    scope=Scope.READ,
    query=LinesQuery,
    answers={200: Answer("A page of lines, by rising index.", Content("application/json", LinePage))},
    errors=(errors.NotFound, errors.Gone),
)
def list_job_lines(call: Call[LinesQuery], job_id: str) -> Response:
    """List the lines of a job. Follow `next_cursor` until it is null."""
    query, client_id, own_id = call.query, call.caller.client_id, job_uuid(job_id)
    limit = page_size(query.limit, call.services.settings.limits)
    after = int(read_cursor(client_id, own_id.hex, query.cursor)) if query.cursor is not None else None
    with call.services.statements() as session:
        job = find_job(session, client_id, own_id)
        lines = list_lines(
            session,
            job.id,
            limit=limit + 1,
            after=after,
            status=LineStatus(query.status) if query.status is not None else None,
            needs_review=query.needs_review,
        )
    page = lines[:limit]
    more = write_cursor(client_id, own_id.hex, str(page[-1].index)) if len(lines) > limit else None
    return json_response({"data": [line_value(line) for line in page], "next_cursor": more})
