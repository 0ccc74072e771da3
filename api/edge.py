"""What happens around every request: its id, its Host, its failure, its headers, its log line, its metrics."""

import time
from collections.abc import Callable, Iterable

import structlog
from flask import Flask, Response, g, request
from werkzeug import exceptions
from werkzeug.wrappers import Response as BaseResponse

from api.bodies import close_if_unread
from api.problems import SECURITY_HEADERS, body_of, headers_of, status_of
from api.request_ids import request_id_of
from api.services import Services
from core.errors import (
    BadRequest,
    BodyTooLarge,
    InkpostError,
    InternalError,
    InvalidHost,
    MethodNotAllowed,
    NotFound,
    code_of,
)

log = structlog.get_logger(__name__)
_PROBES = frozenset({"/livez", "/readyz"})  # orchestrators ask by address


def guard(app: Flask, services: Services) -> None:
    """Put the edge around an application."""
    app.before_request(_begin(frozenset(host.lower() for host in services.settings.trusted_hosts)))
    app.after_request(_end(services))
    app.register_error_handler(Exception, _fail)
    app.wsgi_app = _last_resort(app.wsgi_app)  # type: ignore[method-assign]  # Flask's documented way


def _begin(trusted_hosts: frozenset[str]) -> Callable[[], None]:
    def begin() -> None:
        g.started = time.perf_counter()
        g.request_id = request_id_of(request.environ.get("HTTP_X_REQUEST_ID"))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)
        if (
            trusted_hosts
            and request.path not in _PROBES
            and _host(request.environ.get("HTTP_HOST", "")) not in trusted_hosts
        ):
            raise InvalidHost

    return begin


def _host(header: str) -> str:
    """Return the name in a Host header, without its port."""
    name, _, port = header.lower().rpartition(":")
    return name if name and port.isdigit() else header.lower()


def _end(services: Services) -> Callable[[Response], Response]:
    def end(response: Response) -> Response:
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["X-Request-Id"] = g.request_id
        if response.status_code == 204:
            response.headers.pop("Content-Type", None)
        close_if_unread(request.environ)
        operation = request.url_rule.endpoint if request.url_rule is not None else "none"
        seconds = time.perf_counter() - g.started
        services.metrics.count(
            method=_method(request.method), operation=operation, status=response.status_code, seconds=seconds
        )
        event = log.debug if response.status_code < 400 else log.info  # what changed something has its own event
        event(
            "request.answered",
            method=_method(request.method),
            operation=operation,
            status=response.status_code,
            milliseconds=round(seconds * 1000, 1),
        )
        return response

    return end


def _method(method: str) -> str:
    """Return a method that is fit for a label: a stranger may invent any number of them."""
    return method if method in {"GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE"} else "OTHER"


def _fail(failure: Exception) -> Response:
    error = _translate(failure)
    response = problem_response(error, path=request.path, request_id=g.request_id)
    if isinstance(failure, exceptions.MethodNotAllowed) and failure.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(failure.valid_methods))
    if response.status_code >= 500:
        log.warning("request.failed", code=code_of(error), cause=type(error.__cause__ or failure).__name__)
    return response


def _translate(failure: Exception) -> InkpostError:
    if isinstance(failure, InkpostError):
        return failure
    if isinstance(failure, exceptions.NotFound):
        return NotFound()
    if isinstance(failure, exceptions.MethodNotAllowed):
        return MethodNotAllowed()
    if isinstance(failure, exceptions.RequestEntityTooLarge):
        return BodyTooLarge()
    if isinstance(failure, exceptions.HTTPException) and (failure.code or 500) < 500:
        return BadRequest()
    log.error("request.crashed", exc_info=failure)
    return InternalError()


def problem_response(error: InkpostError, *, path: str, request_id: str) -> Response:
    """Return the response that tells an error."""
    content_type, body = body_of(error, path=path, request_id=request_id)
    response = Response(body, int(status_of(error)), content_type=content_type)
    response.headers.update(headers_of(error, path=path))
    return response


WsgiApp = Callable[..., Iterable[bytes]]


def _last_resort(wsgi_app: WsgiApp) -> WsgiApp:
    """Answer like everywhere else when Flask fails before or after its own error handling."""

    def guarded(environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
        try:
            return wsgi_app(environ, start_response)
        except Exception:
            log.exception("request.crashed")
            request_id = request_id_of(None)
            response: BaseResponse = problem_response(InternalError(), path="", request_id=request_id)
            response.headers.update({**SECURITY_HEADERS, "X-Request-Id": request_id})
            return response(environ, start_response)  # type: ignore[arg-type]

    return guarded
