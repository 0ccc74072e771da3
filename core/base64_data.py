"""Bytes in base64, plain or as a data: URI (RFC 2397, RFC 4648 section 4): images and documents in JSON bodies.

Strict, because whoever sends a broken encoder's output wants to hear so at once and where; lenient only about line
breaks and blanks, which MIME encoders insert.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_NOT_IN_ALPHABET = re.compile(r"[^A-Za-z0-9+/= \t\r\n]")
_BLANKS = str.maketrans("", "", " \t\r\n")
_DATA_URI = re.compile(r"data:([^,;]{0,127})((?:;[^,;]{0,127}){0,8}),", re.IGNORECASE)


class BadUpload(Exception):
    """What is wrong with one image or document, by its encoding, size, first bytes or header."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Kind:
    """What the bytes are to be: how it is called, the code of too many bytes, the media types that it may claim."""

    noun: str
    article: str
    too_large: str
    media_types: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)

    def media_type(self, claimed: str) -> str:
        """Return the media type that another name of it means."""
        return self.aliases.get(claimed, claimed)

    def accepts(self, media_type: str) -> bool:
        """Tell whether such bytes may claim this media type."""
        return self.media_type(media_type) in self.media_types

    def check_size(self, byte_count: int, max_bytes: int) -> None:
        """Refuse more bytes than there may be.

        Raises:
            BadUpload: there are more.
        """
        if byte_count > max_bytes:
            raise BadUpload(self.too_large, f"{self.article} {self.noun} has at most {max_bytes} bytes.")


def decode_data(text: str, kind: Kind, max_bytes: int) -> tuple[bytes, str | None]:
    """Return the bytes in a field of a JSON body, and the media type that a data: URI claims for them.

    Raises:
        BadUpload: it is not base64, a data: URI of another media type, or too large.
    """
    claimed, start = _data_uri_head(text, kind)
    return decode_base64(text[start:] if start else text, kind, max_bytes=max_bytes, offset=start), claimed


def decode_base64(text: str, kind: Kind, *, max_bytes: int, offset: int = 0) -> bytes:
    """Return the decoded bytes; positions in errors count from `offset`.

    Raises:
        BadUpload: not canonical base64, empty, or more than `max_bytes`, which is told before decoding.
    """
    if len(text) * 3 // 4 > max_bytes + 3:  # worth the cost of taking the blanks out
        text = _without_blanks(text, offset)
        kind.check_size(len(text) // 4 * 3 - text.count("=", -2), max_bytes)
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # binascii.Error, or characters beyond ASCII
        text = _without_blanks(text, offset)
        try:
            data = binascii.a2b_base64(text, strict_mode=True)
        except ValueError as error:
            raise BadUpload("invalid_base64", _why(text, kind)) from error
    if not data:
        raise BadUpload("invalid_base64", f"The {kind.noun} is empty.")
    kind.check_size(len(data), max_bytes)
    _check_end(text.rstrip(" \t\r\n"), data)
    return data


def _check_end(text: str, data: bytes) -> None:
    """Refuse what Python's strict mode lets pass: too much padding, and bits that belong to no byte."""
    if len(text) - len(text.rstrip("=")) != -len(data) % 3:
        raise BadUpload("invalid_base64", "Too much padding.")
    if len(data) % 3 and base64.b64encode(data[len(data) // 3 * 3 :]).decode() != text[-4:]:
        raise BadUpload("invalid_base64", "Not canonical: bits after the last byte are not zero.")


def _data_uri_head(text: str, kind: Kind) -> tuple[str | None, int]:
    """Return the media type that a data: URI claims, and where its data starts."""
    if text[:5].lower() != "data:":
        return None, 0
    head = _DATA_URI.match(text)
    if head is None:
        raise BadUpload("invalid_data_uri", "Not a data: URI of the form data:<media type>;base64,<data>.")
    media_type = head[1].strip().lower()
    if not kind.accepts(media_type):
        known = ", ".join(kind.media_types)
        raise BadUpload("unsupported_media_type", f"{kind.article} {kind.noun} is one of {known}.")
    if not head[2].lower().endswith(";base64"):
        raise BadUpload("invalid_data_uri", "Only data: URIs in base64 are accepted.")
    return media_type, head.end()


def _without_blanks(text: str, offset: int) -> str:
    """Take out blanks and line breaks, if nothing else is outside the alphabet."""
    wrong = _NOT_IN_ALPHABET.search(text)
    if wrong is not None:
        hint = " This is the URL-safe alphabet; use the standard one." if wrong[0] in "-_" else ""
        raise BadUpload("invalid_base64", f"Character {offset + wrong.start()} is not base64.{hint}")
    return text.translate(_BLANKS)


def _why(text: str, kind: Kind) -> str:
    """Say what is wrong with text of the alphabet only."""
    if not text.strip("="):
        return f"The {kind.noun} is empty."
    if "=" in text.rstrip("="):
        return "Padding in the middle."
    return f"Wrong padding: {len(text)} characters, {len(text) - len(text.rstrip('='))} of them padding."
