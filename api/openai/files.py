"""/v1/files: what batches read and write."""

import re
import uuid
from collections.abc import Iterator
from typing import Literal

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.http import parse_options_header

from api.answers import json_response
from api.bodies import read_body
from api.multipart import Part, parse_multipart
from api.openai.schemas import DeletedFileView, FileListView, FileView
from api.operations import Answer, Call, Content, NoQuery, Operations
from api.services import Services
from core import errors
from core.errors import BadRequest, Fault, InvalidRequest, NotFound, UnsupportedMediaType
from core.ids import parse_public_id, public_id
from core.openai.files import FILE_PREFIX, create_file, delete_file, file_value, find_file, list_files, read_part
from core.words import Scope

operations = Operations("OpenAI's dialect")
_MOST_FIELDS = 8
_MOST_LISTED = 10_000
_NUMBER = re.compile(r"[0-9]{1,9}")


class FileUpload(BaseModel):
    """The parts of an upload."""

    model_config = ConfigDict(extra="forbid")

    file: str = Field(
        json_schema_extra={"contentMediaType": "application/jsonl"}, description="A request on each line."
    )
    purpose: Literal["batch"] = Field(description="Files are for batches.")
    expires_after: dict[str, str] | None = Field(
        None, description="`anchor` is `created_at`; `seconds` is how long the file is kept, within the limits."
    )


class FilesQuery(BaseModel):
    """Which files to list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(_MOST_LISTED, ge=1, le=_MOST_LISTED, description="Files on the page.")
    after: str | None = Field(None, max_length=100, description="The last file of the page before.")
    order: Literal["asc", "desc"] = Field("desc", description="By age; `desc` has the newest first.")
    purpose: str | None = Field(None, max_length=100, description="Only files of this purpose.")


@operations.add(
    "POST",
    "/v1/files",
    summary="Upload a file",
    scope=Scope.WRITE,
    bodies=(Content("multipart/form-data", FileUpload, "A part `file` with the bytes, and `purpose`."),),
    answers={200: Answer("The file is stored.", Content("application/json", FileView))},
    errors=(
        errors.UnsupportedMediaType,
        errors.UnsupportedEncoding,
        errors.LengthRequired,
        errors.BodyTooLarge,
        errors.RequestTimeout,
    ),
)
def upload_file(call: Call[NoQuery]) -> Response:
    """Store a file of requests for `/v1/batches`. It is kept as long as a job, unless it asks for less or more."""
    own = call.services
    media_type, parameters = parse_options_header(request.environ.get("CONTENT_TYPE", ""))
    if media_type != "multipart/form-data":
        raise UnsupportedMediaType("Send multipart/form-data with a part `file`.")
    boundary = parameters.get("boundary", "")
    if not boundary or len(boundary) > 200:
        raise BadRequest("multipart/form-data needs a boundary.")
    parts = parse_multipart(read_body(own.settings.limits.max_body_bytes), boundary, max_parts=_MOST_FIELDS)
    file, keep_seconds = _checked(parts, own)
    with own.transaction() as session:
        stored = create_file(
            session,
            call.caller.client_id,
            name=_storable(file.filename or "file"),
            purpose="batch",
            data=file.data,
            keep_seconds=keep_seconds,
        )
    return json_response(file_value(stored))


def _checked(parts: list[Part], own: Services) -> tuple[Part, int]:
    by_name: dict[str, Part] = {}
    for part in parts:
        pointer = f"/{part.name[:100]}"
        if part.name not in {"file", "purpose", "expires_after[anchor]", "expires_after[seconds]"}:
            raise InvalidRequest([Fault(pointer, "This field is not known here.", "unknown_field")])
        if part.name in by_name:
            raise InvalidRequest([Fault(pointer, "Given more than once.", "duplicate_key")])
        by_name[part.name] = part
    for name in ("file", "purpose"):
        if name not in by_name:
            raise InvalidRequest([Fault(f"/{name}", "This field is required.", "required")])
    if by_name["purpose"].data != b"batch":
        raise InvalidRequest([Fault("/purpose", "Files are for batches: purpose is `batch`.", "invalid_value")])
    if not by_name["file"].data:
        raise InvalidRequest([Fault("/file", "The file is empty.", "too_few")])
    return by_name["file"], _keep_seconds(by_name, own)


def _keep_seconds(by_name: dict[str, Part], own: Services) -> int:
    asked, anchor = by_name.get("expires_after[seconds]"), by_name.get("expires_after[anchor]")
    if asked is None and anchor is None:
        return own.settings.retention_seconds
    written = "" if asked is None else asked.data.decode(errors="replace")
    if anchor is None or anchor.data != b"created_at" or not _NUMBER.fullmatch(written):
        detail = "Give `anchor`, which is `created_at`, and a number of `seconds`."
        raise InvalidRequest([Fault("/expires_after", detail, "invalid_value")])
    return checked_seconds(int(written), own, "/expires_after/seconds")


def checked_seconds(seconds: int, own: Services, pointer: str) -> int:
    """Return how long a file is to be kept.

    Raises:
        InvalidRequest: no time at all, or longer than the operator allows.
    """
    most = own.settings.limits.max_retention_seconds
    if not 60 <= seconds <= most:
        raise InvalidRequest([Fault(pointer, f"From 60 to {most} seconds.", "out_of_range")])
    return seconds


def _storable(name: str) -> str:
    return name.replace("\0", "").encode("utf-8", "replace").decode()[:255]


@operations.add(
    "GET",
    "/v1/files",
    summary="List files",
    scope=Scope.READ,
    query=FilesQuery,
    answers={200: Answer("A page of files.", Content("application/json", FileListView))},
)
def list_own_files(call: Call[FilesQuery]) -> Response:
    """List the client's files, those that batches wrote among them."""
    query = call.query
    with call.services.statements() as session:
        files = list_files(
            session,
            call.caller.client_id,
            limit=query.limit + 1,
            after=after_id(FILE_PREFIX, query.after),
            purpose=query.purpose,
            is_ascending=query.order == "asc",
        )
    return json_response(
        page_value([file_value(file) for file in files[: query.limit]], has_more=len(files) > query.limit)
    )


def page_value(data: list[dict[str, object]], *, has_more: bool) -> dict[str, object]:
    """Return a page of a listing as OpenAI's clients walk it."""
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": has_more,
    }


def after_id(prefix: str, after: str | None) -> uuid.UUID | None:
    """Return the id after which a page begins.

    Raises:
        InvalidRequest: it is no id of this kind.
    """
    if after is None:
        return None
    found = parse_public_id(prefix, after)
    if found is None:
        raise InvalidRequest([Fault("/after", "This is no id of a listing's row.", "invalid_cursor")])
    return found


@operations.add(
    "GET",
    "/v1/files/<file_id>",
    summary="Look at a file",
    scope=Scope.READ,
    answers={200: Answer("The file, without its bytes.", Content("application/json", FileView))},
    errors=(errors.NotFound,),
)
def show_file(call: Call[NoQuery], file_id: str) -> Response:
    """Return what is known of the file."""
    with call.services.statements() as session:
        return json_response(file_value(find_file(session, call.caller.client_id, _file_uuid(file_id))))


@operations.add(
    "GET",
    "/v1/files/<file_id>/content",
    summary="Read a file",
    scope=Scope.READ,
    answers={200: Answer("The bytes of the file.", Content("application/octet-stream"))},
    errors=(errors.NotFound,),
)
def read_content(call: Call[NoQuery], file_id: str) -> Response:
    """Return the bytes of the file, sent part by part."""
    own, own_id = call.services, _file_uuid(file_id)
    with own.statements() as session:
        file = find_file(session, call.caller.client_id, own_id)

    def parts() -> Iterator[bytes]:
        number, sent = 0, 0
        while sent < file.size_bytes:
            with own.statements() as session:
                part = read_part(session, own_id, number)
            if part is None:  # deleted meanwhile: the length tells the client that something is missing
                return
            yield part
            number, sent = number + 1, sent + len(part)

    response = Response(parts(), content_type="application/octet-stream")
    response.content_length = file.size_bytes
    return response


@operations.add(
    "DELETE",
    "/v1/files/<file_id>",
    summary="Delete a file",
    scope=Scope.WRITE,
    answers={200: Answer("It is gone.", Content("application/json", DeletedFileView))},
    errors=(errors.NotFound, errors.FileInUse),
)
def remove_file(call: Call[NoQuery], file_id: str) -> Response:
    """Delete the file and its bytes at once, unless a batch has yet to read it."""
    own_id = _file_uuid(file_id)
    with call.services.transaction() as session:
        delete_file(session, call.caller.client_id, own_id)
    return json_response({"id": public_id(FILE_PREFIX, own_id), "object": "file", "deleted": True})


def _file_uuid(file_id: str) -> uuid.UUID:
    found = parse_public_id(FILE_PREFIX, file_id)
    if found is None:
        raise NotFound("No such file.")
    return found
