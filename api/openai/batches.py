"""/v1/batches: many requests in a file, read when nothing more urgent is."""

import uuid
from typing import Annotated, Literal

from flask import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.answers import json_response
from api.json_bodies import read_json
from api.openai.files import after_id, checked_seconds, page_value
from api.openai.schemas import BatchListView, BatchView
from api.operations import Answer, Call, Content, NoQuery, Operations
from core import errors
from core.errors import Fault, InvalidRequest, NotFound
from core.ids import parse_public_id
from core.openai.batches import BATCH_PREFIX, batch_value, cancel_batch, create_batch, find_batch, list_batches
from core.openai.files import FILE_PREFIX
from core.openai.parts import Body
from core.words import Scope

operations = Operations("OpenAI's dialect")
_BATCH = Content("application/json", BatchView)
_MOST_LISTED = 100


class ExpiresAfter(Body):
    """How long the files of answers are kept."""

    anchor: Literal["created_at"]
    seconds: int


class BatchRequestBody(Body):
    """A batch."""

    input_file_id: str = Field(max_length=100, description="A file of `/v1/files`: a request on each line, as JSON.")
    endpoint: Literal["/v1/chat/completions"] = Field(description="What every request calls.")
    completion_window: Literal["24h"] = Field(description="What is not read by then expires.")
    metadata: Annotated[
        dict[
            Annotated[str, StringConstraints(min_length=1, max_length=64)],
            Annotated[str, StringConstraints(max_length=512)],
        ]
        | None,
        Field(max_length=16),
    ] = Field(None, description="Up to 16 pairs of strings; echoed.")
    output_expires_after: ExpiresAfter | None = Field(None, description="Unset is as long as a job.")


class BatchesQuery(BaseModel):
    """Which batches to list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=_MOST_LISTED, description="Batches on the page.")
    after: str | None = Field(None, max_length=100, description="The last batch of the page before.")


@operations.add(
    "POST",
    "/v1/batches",
    summary="Start a batch",
    scope=Scope.WRITE,
    bodies=(Content("application/json", BatchRequestBody),),
    answers={200: Answer("The batch is stored and will be read.", _BATCH)},
    errors=(
        errors.InvalidJson,
        errors.JsonTooDeep,
        errors.DuplicateKey,
        errors.UnsupportedMediaType,
        errors.UnsupportedEncoding,
        errors.LengthRequired,
        errors.BodyTooLarge,
        errors.RequestTimeout,
    ),
)
def start_batch(call: Call[NoQuery]) -> Response:
    """Store a batch of chat completions. A worker checks its file, reads its images as bulk work, writes the answers.

    A request that is refused or cannot be read has its line in the error file; every other one is in the output file.
    """
    wanted, own = read_json(BatchRequestBody), call.services
    file_id = parse_public_id(FILE_PREFIX, wanted.input_file_id)
    if file_id is None:
        raise InvalidRequest([Fault("/input_file_id", "No such file.", "file_not_found")])
    keep = wanted.output_expires_after
    with own.transaction() as session:
        batch = create_batch(
            session,
            call.caller.client_id,
            own.settings,
            input_file_id=file_id,
            endpoint=wanted.endpoint,
            metadata=wanted.metadata,
            output_keep_seconds=checked_seconds(keep.seconds, own, "/output_expires_after/seconds") if keep else None,
        )
        answer = batch_value(batch)
    return json_response(answer)


@operations.add(
    "GET",
    "/v1/batches",
    summary="List batches",
    scope=Scope.READ,
    query=BatchesQuery,
    answers={200: Answer("A page of batches, the newest first.", Content("application/json", BatchListView))},
)
def list_own_batches(call: Call[BatchesQuery]) -> Response:
    """List the client's batches."""
    query = call.query
    after = after_id(BATCH_PREFIX, query.after)
    with call.services.statements() as session:
        batches = list_batches(session, call.caller.client_id, limit=query.limit + 1, after=after)
    page = [batch_value(batch) for batch in batches[: query.limit]]
    return json_response(page_value(page, has_more=len(batches) > query.limit))


@operations.add(
    "GET",
    "/v1/batches/<batch_id>",
    summary="Look at a batch",
    scope=Scope.READ,
    answers={200: Answer("The batch as it stands.", _BATCH)},
    errors=(errors.NotFound,),
)
def show_batch(call: Call[NoQuery], batch_id: str) -> Response:
    """Return the batch. Its counts follow what is read every few seconds."""
    with call.services.statements() as session:
        return json_response(batch_value(find_batch(session, call.caller.client_id, _batch_uuid(batch_id))))


@operations.add(
    "POST",
    "/v1/batches/<batch_id>/cancel",
    summary="Cancel a batch",
    scope=Scope.WRITE,
    answers={200: Answer("The batch is being cancelled.", _BATCH)},
    errors=(errors.NotFound, errors.AlreadyTerminal),
)
def stop_batch(call: Call[NoQuery], batch_id: str) -> Response:
    """Stop reading. A worker writes down what was read by then, and the batch is `cancelled`."""
    with call.services.transaction() as session:
        answer = batch_value(cancel_batch(session, call.caller.client_id, _batch_uuid(batch_id)))
    return json_response(answer)


def _batch_uuid(batch_id: str) -> uuid.UUID:
    found = parse_public_id(BATCH_PREFIX, batch_id)
    if found is None:
        raise NotFound("No such batch.")
    return found
