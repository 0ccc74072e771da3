"""Reading a request's body: whole, within the limit, with an honest length."""

from typing import Any

from flask import g, request

from api.arrivals import TooManySlowBodies
from core.errors import BadRequest, BodyTooLarge, LengthRequired, Overloaded, RequestTimeout, UnsupportedEncoding


def read_body(max_bytes: int) -> bytes:
    """Return the current request's body.

    Raises:
        UnsupportedEncoding, LengthRequired, BodyTooLarge: told by the head alone; not a byte is read.
        BadRequest, RequestTimeout: the body ended early, or did not arrive in time.
        Overloaded: it arrives slowly, and so do too many others.
    """
    environ = request.environ
    if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in {"identity", ""}:
        raise UnsupportedEncoding
    if "HTTP_TRANSFER_ENCODING" in environ:
        raise LengthRequired
    length = int(environ.get("CONTENT_LENGTH") or 0)  # gunicorn has refused what is no number
    if length > max_bytes:
        raise BodyTooLarge(f"A body has at most {max_bytes} bytes.")
    try:
        body: bytes = environ["wsgi.input"].read(length)
    except TooManySlowBodies as error:
        raise Overloaded("Too many bodies arrive slowly; try again shortly.") from error
    except TimeoutError as error:
        raise RequestTimeout from error
    except OSError as error:
        raise BadRequest("The connection broke before the body had arrived.") from error
    if len(body) != length:
        raise BadRequest(f"The body ended after {len(body)} of {length} bytes.")
    g.is_body_read = True
    return body


def close_if_unread(environ: dict[str, Any]) -> None:
    """Have the connection closed after the answer when the body was left unread, rather than read it for nothing."""
    has_body = environ.get("CONTENT_LENGTH", "0") not in {"0", ""} or "HTTP_TRANSFER_ENCODING" in environ
    message = getattr(environ.get("wsgi.input"), "message", None)  # set by api.connections
    if has_body and message is not None and not g.get("is_body_read", False):
        message.force_close()
