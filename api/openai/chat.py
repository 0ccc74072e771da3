"""/v1/chat/completions: the text of the images in a conversation."""

from collections.abc import Iterator

from flask import Response

from api.answers import json_response
from api.openai.asking import JOB_HEADER, Asking, ask, finished_lines, lines_as_they_finish, read_ask
from api.openai.schemas import CompletionView
from api.openai.streams import DONE, event, streamed
from api.operations import Answer, Call, Content, NoQuery, Operations
from core import errors
from core.ids import public_id
from core.openai.bodies import ChatRequest
from core.openai.completions import chunk, completion, delta, finish_reason, line_deltas, usage_value
from core.openai.readings import Usage, Value
from core.openai.wishes import asked_by_chat
from core.representation import JOB_PREFIX
from core.tables import Line
from core.words import Scope

operations = Operations("OpenAI's dialect")
COMPLETION_PREFIX = "chatcmpl"
ASK_HEADERS = {
    "Idempotency-Key": "As for jobs. Without one the same body, sent again within a minute, finds the same job."
}
ANSWER_HEADERS = {JOB_HEADER: "The job that reads the images; see `/v1/jobs`."}
ASK_ERRORS = (
    errors.InvalidJson, errors.JsonTooDeep, errors.DuplicateKey, errors.UnsupportedMediaType,
    errors.UnsupportedEncoding, errors.LengthRequired, errors.BodyTooLarge, errors.ImageTooLarge,
    errors.RequestTimeout, errors.InvalidIdempotencyKey, errors.IdempotencyMismatch, errors.IdempotencyInFlight,
    errors.Gone, errors.ModelNotFound, errors.StillReading, errors.LineNotRead,
)  # fmt: skip


@operations.add(
    "POST",
    "/v1/chat/completions",
    summary="Read images now",
    scope=Scope.WRITE,
    headers=ASK_HEADERS,
    bodies=(Content("application/json", ChatRequest),),
    answers={
        200: Answer(
            "The texts, a line for each image in the order of the messages; with `stream` as server-sent events.",
            Content("application/json", CompletionView),
            ANSWER_HEADERS,
        )
    },
    errors=ASK_ERRORS,
)
def complete_chat(call: Call[NoQuery]) -> Response:
    """Read the images of the user messages and wait for their texts. Texts in messages are accepted and ignored.

    After a while it says 504 with the job's id; the job goes on, and the same call again waits on for it.
    """
    limits = call.services.settings.limits
    wanted, body = read_ask(ChatRequest, limits)
    asking = ask(call, asked_by_chat(wanted, limits), body)
    if wanted.stream:
        tells_usage = bool(wanted.stream_options and wanted.stream_options.include_usage)
        response = streamed(_events(asking, tells_usage=tells_usage))
    else:
        job, lines = finished_lines(asking)
        answer = completion(
            completion_id=public_id(COMPLETION_PREFIX, asking.job_id),
            created=asking.created,
            model=asking.model,
            revision=job.model_revision,
            wish=asking.wish,
            lines=lines,
        )
        response = json_response(answer)
    response.headers[JOB_HEADER] = public_id(JOB_PREFIX, asking.job_id)
    return response


def _events(asking: Asking, *, tells_usage: bool) -> Iterator[bytes]:
    ranks = range(asking.wish.readings)
    yield _chunk(asking, [delta(rank, {"role": "assistant", "content": "", "refusal": None}) for rank in ranks])
    lines: list[Line] = []
    for line in lines_as_they_finish(asking):
        yield _chunk(asking, line_deltas(line, asking.wish, is_first=not lines))
        lines.append(line)
    yield _chunk(asking, [delta(rank, {}, finish_reason=finish_reason(lines)) for rank in ranks])
    if tells_usage:
        yield _chunk(asking, [], usage_value(Usage.of(lines)))
    yield DONE


def _chunk(asking: Asking, choices: list[Value], usage: Value | None = None) -> bytes:
    return event(
        chunk(
            completion_id=public_id(COMPLETION_PREFIX, asking.job_id),
            created=asking.created,
            model=asking.model,
            revision=None,
            choices=choices,
            usage=usage,
        )
    )
