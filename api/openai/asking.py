"""From a checked body to a job of interactive lines, and the wait for what becomes of them."""

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import structlog
from flask import request
from sqlalchemy.orm import Session
from werkzeug.http import parse_options_header

from api.bodies import read_body
from api.idempotency_keys import read_idempotency_key
from api.operations import Call, NoQuery
from api.services import Services
from api.waiting_room import remaining
from core.bells import lines_queue
from core.errors import ModelNotFound, Overloaded, StillReading, UnsupportedMediaType
from core.faults import Model, validate_body
from core.idempotency import recall_answer, remember_answer
from core.ids import public_id
from core.jobs import NewJob, create_job, find_job, list_lines
from core.openai.readings import failure_of
from core.openai.repeats import key_of_body, recall_job
from core.openai.wishes import Asked, Wish
from core.presence import is_served
from core.representation import JOB_PREFIX
from core.settings import Limits
from core.strict_json import parse_object
from core.tables import Job, Line
from core.words import FINISHED_LINE, Priority

log = structlog.get_logger(__name__)
JOB_HEADER = "X-Inkpost-Job"
_VALUES_A_LINE = 16
_OTHER_VALUES = 10_000


@dataclass(frozen=True, slots=True)
class Asking:
    """A call whose job is stored: whom to answer, what about, how."""

    services: Services
    client_id: uuid.UUID
    job_id: uuid.UUID
    created: int
    model: str
    wish: Wish


def read_ask(schema: type[Model], limits: Limits) -> tuple[Model, bytes]:
    """Return the current request's body as its schema has it, and as it came.

    Raises:
        CallerError: what is wrong with it; see api.problems.
    """
    media_type, parameters = parse_options_header(request.environ.get("CONTENT_TYPE", ""))
    if media_type != "application/json" or parameters.get("charset", "utf-8").lower() != "utf-8":
        raise UnsupportedMediaType("Send application/json in UTF-8.")
    body = read_body(limits.max_body_bytes)
    value = parse_object(body, max_values=limits.max_lines * _VALUES_A_LINE + _OTHER_VALUES)
    return validate_body(schema, value), body


def ask(call: Call[NoQuery], asked: Asked, body: bytes) -> Asking:
    """Store the job of a call, or find the one that the same call made before.

    Raises:
        CallerError: an image, the model or the Idempotency-Key is refused.
        Overloaded: enough calls fetch images already.
    """
    own, client_id = call.services, call.caller.client_id
    key = read_idempotency_key(request.headers.get("Idempotency-Key"))
    fetch = own.image_urls.fetch if own.image_urls.is_allowed and asked.names_urls else None
    if fetch is not None:  # a repeat finds its job though the URL has expired, and a wrong model costs no fetch
        with own.transaction() as session:
            job = _earlier_job(session, client_id, key, body)
            if job is None:
                _refuse_unserved(session, asked, own)
        if job is not None:
            return _asking(call, job, asked)
    lines = asked.lines(own.settings.limits, fetch)
    with own.transaction() as session:
        job = _earlier_job(session, client_id, key, body)
        is_new = job is None
        if job is None:
            _refuse_unserved(session, asked, own)
            new = NewJob(
                model=asked.model,
                lines=lines,
                retention_seconds=own.settings.retention_seconds,
                priority=Priority.INTERACTIVE,
                decoding=asked.decoding,
            )
            job = create_job(session, client_id, new)
            remember_answer(
                session,
                client_id,
                key or key_of_body(request.path, body),
                body_sha256=_fingerprint(body),
                job_id=job.id,
                answer={"job": job.id.hex},
            )
    if is_new:
        own.bells.ring(lines_queue(job.model))
        log.info("job.accepted", job_id=public_id(JOB_PREFIX, job.id), lines=len(lines), model=job.model)
    return _asking(call, job, asked)


def _asking(call: Call[NoQuery], job: Job, asked: Asked) -> Asking:
    created = int(job.created_at.timestamp())
    return Asking(call.services, call.caller.client_id, job.id, created, job.model, asked.wish)


def _refuse_unserved(session: Session, asked: Asked, own: Services) -> None:
    if asked.model != own.default_model and not is_served(session, asked.model):
        raise ModelNotFound(f"The model {asked.model!r} is not served here; see /v1/models.")


def _earlier_job(session: Session, client_id: uuid.UUID, key: str | None, body: bytes) -> Job | None:
    if key is None:
        return recall_job(session, client_id, key_of_body(request.path, body))
    answer = recall_answer(session, client_id, key, _fingerprint(body))
    return None if answer is None else find_job(session, client_id, uuid.UUID(hex=answer["job"]))


def _fingerprint(body: bytes) -> bytes:
    return bytes.fromhex(key_of_body(request.path, body).rpartition(" ")[2])


def finished_lines(asking: Asking) -> tuple[Job, Sequence[Line]]:
    """Wait until every line was read, and return the job and its lines.

    Raises:
        StillReading, Overloaded, Gone: it did not come to that.
        InvalidRequest, LineNotRead: a line could not be read.
    """
    lines = list(lines_as_they_finish(asking))
    with asking.services.statements() as session:
        return find_job(session, asking.client_id, asking.job_id), lines


def lines_as_they_finish(asking: Asking) -> Iterator[Line]:
    """Give the lines in their order, each as soon as it and all before it were read.

    Raises:
        StillReading, Overloaded, Gone: it did not come to that.
        InvalidRequest, LineNotRead: a line could not be read.
    """
    own = asking.services
    deadline = time.monotonic() + own.settings.openai.answer_seconds
    total, given = len(asking.wish.pointers), 0
    with own.waiting_room.seat(asking.job_id) as seat:
        while True:
            lines = _unseen(asking, given)
            for line in lines:
                if line.status not in FINISHED_LINE:
                    break
                _refuse_unread(line, asking.wish)
                given += 1
                yield line
            if given == total:
                return
            if seat is None or own.waiting_room.is_closed:
                raise Overloaded(f"Too many calls wait already; {_name(asking)} goes on. Send the same again.")
            if remaining(deadline) <= 0:
                raise StillReading(f"{_name(asking)} is still being read. Send the same again, or ask /v1/jobs for it.")
            seat.wait(remaining(deadline))


def _unseen(asking: Asking, given: int) -> Sequence[Line]:
    with asking.services.statements() as session:
        find_job(session, asking.client_id, asking.job_id)  # Gone when it was deleted
        return list_lines(session, asking.job_id, after=given - 1)


def _refuse_unread(line: Line, wish: Wish) -> None:
    one = Wish(wish.readings, wish.tells_tokens, (wish.pointers[line.index],))
    failure = failure_of([line], one)
    if failure is not None:
        raise failure


def _name(asking: Asking) -> str:
    return f"Job {public_id(JOB_PREFIX, asking.job_id)}"
