"""Failures as clients see them: application/problem+json (RFC 9457), and OpenAI's shape under OpenAI's paths.

`STATUSES` is the one table from an error's class to its HTTP status.
"""

import json
from dataclasses import asdict
from http import HTTPStatus

from core import errors
from core.errors import InkpostError, InvalidRequest, TransientError, code_of
from core.openai.failures import openai_error

STATUSES: dict[type[InkpostError], HTTPStatus] = {
    errors.InvalidJson: HTTPStatus.BAD_REQUEST,
    errors.JsonTooDeep: HTTPStatus.BAD_REQUEST,
    errors.DuplicateKey: HTTPStatus.BAD_REQUEST,
    errors.EmptyBody: HTTPStatus.BAD_REQUEST,
    errors.BadRequest: HTTPStatus.BAD_REQUEST,
    errors.InvalidHost: HTTPStatus.BAD_REQUEST,
    errors.InvalidIdempotencyKey: HTTPStatus.BAD_REQUEST,
    errors.UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.UnsupportedEncoding: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.LengthRequired: HTTPStatus.LENGTH_REQUIRED,
    errors.BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.RequestTimeout: HTTPStatus.REQUEST_TIMEOUT,
    errors.UriTooLong: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.HeadersTooLarge: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.InvalidRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ImageTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.DocumentTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.MissingCredentials: HTTPStatus.UNAUTHORIZED,
    errors.InvalidCredentials: HTTPStatus.UNAUTHORIZED,
    errors.KeyRevoked: HTTPStatus.UNAUTHORIZED,
    errors.InsufficientScope: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.ModelNotFound: HTTPStatus.NOT_FOUND,
    errors.MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    errors.Gone: HTTPStatus.GONE,
    errors.AlreadyTerminal: HTTPStatus.CONFLICT,
    errors.NotFinished: HTTPStatus.CONFLICT,
    errors.NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    errors.NotOffered: HTTPStatus.CONFLICT,
    errors.NotKept: HTTPStatus.GONE,
    errors.TemplateExists: HTTPStatus.CONFLICT,
    errors.FileInUse: HTTPStatus.CONFLICT,
    errors.EndpointDisabled: HTTPStatus.CONFLICT,
    errors.IdempotencyMismatch: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.IdempotencyInFlight: HTTPStatus.CONFLICT,
    errors.DatabaseUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StillReading: HTTPStatus.GATEWAY_TIMEOUT,
    errors.StillRendering: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.LineNotRead: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.InternalError: HTTPStatus.INTERNAL_SERVER_ERROR,
}

# On every answer, whatever its status. /docs brings a Content-Security-Policy of its own.
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
OPENAI_PATHS = ("/v1/chat/", "/v1/files", "/v1/batches", "/v1/models", "/v1/responses")


def status_of(error: InkpostError) -> HTTPStatus:
    """Return the HTTP status of an error."""
    return STATUSES[type(error)]


def is_worth_retrying(error: InkpostError) -> bool:
    """Tell whether the same call, sent again soon, may be answered better."""
    return isinstance(error, TransientError) and not isinstance(error, errors.LineNotRead)


def body_of(error: InkpostError, *, path: str, request_id: str) -> tuple[str, bytes]:
    """Return the content type and the body that describe an error to whoever asked for `path`."""
    if path.startswith(OPENAI_PATHS):
        return "application/json", _dump(_openai_error(error))
    problem: dict[str, object] = {
        "type": f"/docs#{code_of(error)}",
        "title": error.title,
        "status": int(status_of(error)),
        "detail": error.detail,
        "code": code_of(error),
        "request_id": request_id,
    }
    if isinstance(error, InvalidRequest):
        problem["errors"] = [asdict(fault) for fault in error.faults]
    return "application/problem+json", _dump(problem)


def headers_of(error: InkpostError, *, path: str = "") -> dict[str, str]:
    """Return the headers that belong to an error, told to whoever asked for `path`."""
    headers = {}
    if path.startswith(OPENAI_PATHS):  # OpenAI's clients obey it; by themselves they would try any 5xx again
        headers["X-Should-Retry"] = str(is_worth_retrying(error)).lower()
    if isinstance(error, TransientError | errors.NotFinished):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if status_of(error) == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="inkpost"'
    return headers


def _openai_error(error: InkpostError) -> dict[str, object]:
    return openai_error(error, code=code_of(error), is_ours=status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR)


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
