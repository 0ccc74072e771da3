"""/v1/responses: as chat completions, in OpenAI's newer shape."""

from collections.abc import Iterator

from flask import Response

from api.answers import json_response
from api.openai.asking import JOB_HEADER, Asking, ask, finished_lines, lines_as_they_finish, read_ask
from api.openai.chat import ANSWER_HEADERS, ASK_ERRORS, ASK_HEADERS
from api.openai.schemas import ResponseView
from api.openai.streams import event, streamed
from api.operations import Answer, Call, Content, NoQuery, Operations
from core.ids import public_id
from core.openai.bodies import ResponseRequest
from core.openai.readings import Value
from core.openai.responses import ResponseHead, closing_events, line_event, opening_events, response
from core.openai.wishes import asked_by_response
from core.representation import JOB_PREFIX
from core.tables import Line
from core.words import Scope

operations = Operations("OpenAI's dialect")


@operations.add(
    "POST",
    "/v1/responses",
    summary="Read images now, as a response",
    scope=Scope.WRITE,
    headers=ASK_HEADERS,
    bodies=(Content("application/json", ResponseRequest),),
    answers={
        200: Answer(
            "The texts, a line for each image in the order of the input; with `stream` as server-sent events.",
            Content("application/json", ResponseView),
            ANSWER_HEADERS,
        )
    },
    errors=ASK_ERRORS,
)
def create_response(call: Call[NoQuery]) -> Response:
    """Read the images of the user's input and wait for their texts. Texts are accepted and ignored.

    Responses are not stored; the job is, and has their texts. After a while it says 504 with the job's id.
    """
    limits = call.services.settings.limits
    wanted, body = read_ask(ResponseRequest, limits)
    asking = ask(call, asked_by_response(wanted, limits), body)
    head = ResponseHead(
        asking.job_id, asking.created, asking.model, asking.wish.tells_tokens, dict(wanted.metadata or {})
    )
    if wanted.stream:
        answer = streamed(_events(asking, head))
    else:
        answer = json_response(response(head, finished_lines(asking)[1]))
    answer.headers[JOB_HEADER] = public_id(JOB_PREFIX, asking.job_id)
    return answer


def _events(asking: Asking, head: ResponseHead) -> Iterator[bytes]:
    for number, value in enumerate(_values(asking, head)):
        yield event({**value, "sequence_number": number}, name=str(value["type"]))


def _values(asking: Asking, head: ResponseHead) -> Iterator[Value]:
    yield from opening_events(head)
    lines: list[Line] = []
    for line in lines_as_they_finish(asking):
        yield line_event(head, line, is_first=not lines)
        lines.append(line)
    yield from closing_events(head, lines)
