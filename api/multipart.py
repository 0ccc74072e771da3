"""multipart/form-data, in memory and in order. werkzeug's own form parser would write large parts to disk."""

from dataclasses import dataclass

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData, Preamble

from core.errors import BadRequest, Fault, InvalidRequest


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its field's name, the media type it claims, its bytes, and for a file the name it claims."""

    name: str
    media_type: str | None
    data: bytes
    filename: str | None = None


def parse_multipart(body: bytes, boundary: str, *, max_parts: int) -> list[Part]:
    """Return the parts in the order in which they came.

    Raises:
        BadRequest: the body is not multipart, or not complete.
        InvalidRequest: it has too many parts.
    """
    decoder = MultipartDecoder(boundary.encode(errors="replace"), max_parts=max_parts)
    parts: list[Part] = []
    head: Field | File | None = None
    data: list[bytes] = []
    try:
        decoder.receive_data(body)
        decoder.receive_data(None)
        while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
            if isinstance(event, Field | File):
                head, data = event, []
            elif isinstance(event, Data) and head is not None:
                data.append(event.data)
                if not event.more_data:
                    filename = head.filename if isinstance(head, File) else None
                    parts.append(Part(head.name, _media_type(head), b"".join(data), filename))
            elif not isinstance(event, Preamble):
                raise BadRequest("The multipart body is malformed.")
    except ValueError as error:
        raise BadRequest("The multipart body is malformed.") from error
    except RequestEntityTooLarge as error:
        raise InvalidRequest([Fault("", f"At most {max_parts} parts are accepted.", "too_many")]) from error
    if not isinstance(event, Epilogue) or not parts:
        raise BadRequest("The multipart body is empty or ends before its last boundary.")
    return parts


def _media_type(head: Field | File) -> str | None:
    value = head.headers.get("content-type")
    return parse_options_header(value)[0].lower() if value else None
