"""POST /v1/jobs: submit a job."""

import uuid
from dataclasses import replace

import structlog
from flask import Response, request
from sqlalchemy.orm import Session

from api.answers import job_response, new_job_view
from api.idempotency_keys import read_idempotency_key
from api.job_schemas import JobRequest, JobView, JobWebhookRequest, MultipartOptions
from api.operations import Answer, Call, Content, NoQuery, Operations
from api.services import Services
from api.submissions import Submission, read_submission
from core import errors
from core.bells import lines_queue
from core.clients import Principal
from core.documents.new_documents import NewDocument, create_document_job
from core.documents.templates import find_template, wish_of_template
from core.errors import Fault, InvalidRequest, NotFound
from core.idempotency import recall_answer, remember_answer
from core.jobs import JobWebhook, NewJob, create_job
from core.presence import is_served
from core.transcription import Decoding
from core.webhooks.endpoints import named_by_job
from core.words import ENDED_EVENTS, EventType, Include, Priority, Scope

operations = Operations("Jobs")
log = structlog.get_logger(__name__)
_REFUSALS = (
    errors.InvalidJson, errors.JsonTooDeep, errors.DuplicateKey, errors.UnsupportedMediaType,
    errors.UnsupportedEncoding, errors.LengthRequired, errors.BodyTooLarge, errors.ImageTooLarge,
    errors.DocumentTooLarge, errors.RequestTimeout, errors.InvalidIdempotencyKey, errors.IdempotencyMismatch,
    errors.IdempotencyInFlight, errors.Gone,
)  # fmt: skip


@operations.add(
    "POST",
    "/v1/jobs",
    summary="Submit a job",
    scope=Scope.WRITE,
    headers={"Idempotency-Key": "1 to 255 printable characters; the same key and body again get the same answer."},
    bodies=(
        Content("application/json", JobRequest),
        Content(
            "multipart/form-data",
            MultipartOptions,
            "Parts `image`, one a line and in order, or one part `pdf`; and a JSON part `options`.",
        ),
        Content("image/*", None, "The bytes of one image: a job of one line, with every option at its default."),
        Content("application/pdf", None, "The bytes of one form, with every option at its default."),
    ),
    answers={
        202: Answer(
            "The job is stored and will be read.",
            Content("application/json", JobView),
            {
                "Location": "Where to ask for the job.",
                "Retry-After": "Seconds until it is worth asking.",
                "Idempotent-Replayed": "`true` when this answer was given before to the same Idempotency-Key.",
            },
        )
    },
    errors=_REFUSALS,
)
def submit_job(call: Call[NoQuery]) -> Response:
    """Store a job: its lines, or its document that will be cut into lines, wait for a worker from now on.

    Nothing is stored when anything of it is refused.
    """
    key = read_idempotency_key(request.headers.get("Idempotency-Key"))
    submission = read_submission(call.services.settings.limits)
    if submission.options.webhook is not None:
        call.services.webhook_urls.check(submission.options.webhook.url, "/webhook/url")
    # Without a key all is stored by one statement, which needs no transaction around it: two round trips less.
    is_single = key is None and submission.options.webhook is None and submission.document is None
    with call.services.statements() if is_single else call.services.transaction() as session:
        answer = None
        if key is not None:
            answer = recall_answer(session, call.caller.client_id, key, submission.fingerprint)
        is_replay = answer is not None
        if answer is None:
            answer = _create(session, call.services, call.caller, submission, key)
        call.services.failpoints.reach("api.before_commit")
    call.services.failpoints.reach("api.after_commit")
    if not is_replay:
        if submission.document is None:  # a document rings the worker that cuts it, and that one the recognisers
            call.services.bells.ring(lines_queue(str(answer["model"])))
        log.info(
            "job.accepted",
            job_id=answer["id"],
            lines=len(submission.lines),
            document_bytes=len(submission.document.data) if submission.document else 0,
            model=answer["model"],
        )
    call.services.failpoints.reach("api.after_bell")
    response = job_response(answer, 202)
    response.headers["Location"] = f"/v1/jobs/{answer['id']}"
    if is_replay:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _create(
    session: Session, services: Services, caller: Principal, submission: Submission, key: str | None
) -> dict[str, object]:
    new = _new_job(session, services, caller.client_id, submission)
    if submission.document is None:
        job = create_job(session, caller.client_id, new)
        answer = new_job_view(job, submission.lines)
    else:
        document = _with_template(session, caller.client_id, submission.document)
        job = create_document_job(session, caller.client_id, new, document)
        answer = new_job_view(job, (), document)
    if key is not None:
        remember_answer(
            session,
            caller.client_id,
            key,
            body_sha256=submission.fingerprint,
            job_id=job.id,
            answer=answer,
        )
    return answer


def _with_template(session: Session, client_id: uuid.UUID, document: NewDocument) -> NewDocument:
    """Return the document with the wish of the template that it names, if any.

    Raises:
        InvalidRequest: the client has no such template.
    """
    if document.template is None:
        return document
    try:
        of_template = wish_of_template(find_template(session, client_id, document.template))
    except NotFound as error:
        detail = "You have no template of this name; see /v1/templates."
        raise InvalidRequest([Fault("/document/template", detail, "unknown_template")]) from error
    own = document.wish
    pages = own.pages if own.pages is not None else of_template.pages
    return replace(document, wish=replace(of_template, pages=pages, password=own.password))


def _new_job(session: Session, services: Services, client_id: uuid.UUID, submission: Submission) -> NewJob:
    settings, options = services.settings, submission.options
    model = options.model or services.default_model
    if model != services.default_model and not is_served(session, model):
        raise InvalidRequest([Fault("/model", "No worker serves this model; see /v1/models.", "unknown_model")])
    retention = options.retention_seconds or settings.retention_seconds
    if retention > settings.limits.max_retention_seconds:
        detail = f"At most {settings.limits.max_retention_seconds} seconds."
        raise InvalidRequest([Fault("/retention_seconds", detail, "out_of_range")])
    decoding = options.decoding
    return NewJob(
        model=model,
        lines=submission.lines,
        retention_seconds=retention,
        priority=Priority.from_word(options.priority),
        decoding=Decoding(max(decoding.num_beams, decoding.n_best), decoding.n_best, decoding.max_new_tokens),
        review_threshold=options.review_threshold,
        client_reference=options.client_reference,
        metadata=options.metadata,
        webhook=_webhook(session, client_id, options.webhook),
    )


def _webhook(session: Session, client_id: uuid.UUID, asked: JobWebhookRequest | None) -> JobWebhook | None:
    if asked is None:
        return None
    events = ENDED_EVENTS if asked.events is None else [EventType(event) for event in asked.events]
    return JobWebhook(named_by_job(session, client_id, asked.url), asked.url, events, Include(asked.include))
