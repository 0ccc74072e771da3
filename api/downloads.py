"""Answers that are files: with a name to be saved under, and tagged."""

import re
import unicodedata
from urllib.parse import quote

from flask import Response

from api.answers import with_etag

_NOT_IN_A_NAME = re.compile(r"[^\w.-]+")
_LONGEST_NAME = 80


def download(body: bytes, media_type: str, name: str) -> Response:
    """Return a file. It is never shown in place: what a client has uploaded may be in it."""
    response = Response(body, content_type=media_type)
    response.headers.set("Content-Disposition", "attachment", **_names(name))
    return with_etag(response)


def file_name(wanted: str | None, otherwise: str) -> str:
    """Return how a file may be called, without its extension: letters, digits, dots, dashes and low lines."""
    name = _NOT_IN_A_NAME.sub("_", wanted or "").strip("._-")[:_LONGEST_NAME]
    return name or otherwise


def _names(name: str) -> dict[str, str]:
    """Return the parameters that carry a name: beyond ASCII as RFC 8187 has it, with what is left for old readers."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = f"file{plain}" if plain.startswith(".") else plain
    return {"filename": plain} if plain == name else {"filename": plain, "filename*": f"UTF-8''{quote(name, safe='')}"}
