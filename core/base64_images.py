"""Images in base64, plain or as a data: URI (RFC 2397, RFC 4648 section 4).

Strict, because whoever sends a broken encoder's output wants to hear so at once and where; lenient only about line
breaks and blanks, which MIME encoders insert.
"""

import base64
import binascii
import re
from dataclasses import dataclass

from core.image_headers import ACCEPTED_MEDIA_TYPES, check_header
from core.settings import Limits

_NOT_IN_ALPHABET = re.compile(r"[^A-Za-z0-9+/= \t\r\n]")
_BLANKS = str.maketrans("", "", " \t\r\n")
_DATA_URI = re.compile(r"data:([^,;]{0,127})((?:;[^,;]{0,127}){0,8}),", re.IGNORECASE)
_ALIASES = {"image/jpg": "image/jpeg", "image/x-ms-bmp": "image/bmp", "image/x-bmp": "image/bmp"}


class BadImage(Exception):
    """What is wrong with one encoded image."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Image:
    """The bytes of an image and the media type that they themselves say."""

    data: bytes
    media_type: str


def decode_image(text: str, limits: Limits) -> Image:
    """Return the image in a field of a JSON body.

    Raises:
        BadImage: it is not base64, too large, not an accepted image, or not what its data: URI says.
    """
    claimed, start = _data_uri_head(text)
    data = decode_base64(text[start:] if start else text, offset=start, max_bytes=limits.max_image_bytes)
    return check_image(data, claimed, limits)


def check_image(data: bytes, claimed: str | None, limits: Limits) -> Image:
    """Return the image if its size, first bytes and header are acceptable and its claimed media type is right.

    Raises:
        BadImage: one of them is not.
    """
    if len(data) > limits.max_image_bytes:
        raise BadImage("image_too_large", f"An image has at most {limits.max_image_bytes} bytes.")
    media_type, fault = check_header(data, limits)
    if fault is not None:
        raise BadImage(fault.code, fault.detail)
    if claimed is not None and _ALIASES.get(claimed, claimed) != media_type:
        raise BadImage("type_mismatch", f"Said to be {claimed}, but the bytes are {media_type}.")
    return Image(data, media_type)


def is_accepted(media_type: str) -> bool:
    """Tell whether images of this media type may be sent."""
    return _ALIASES.get(media_type, media_type) in ACCEPTED_MEDIA_TYPES


def decode_base64(text: str, *, max_bytes: int, offset: int = 0) -> bytes:
    """Return the decoded bytes; positions in errors count from `offset`.

    Raises:
        BadImage: not canonical base64, empty, or more than `max_bytes`, which is told before decoding.
    """
    if len(text) * 3 // 4 > max_bytes + 3:  # worth the cost of taking the blanks out
        text = _without_blanks(text, offset)
        if len(text) // 4 * 3 - text.count("=", -2) > max_bytes:
            raise BadImage("image_too_large", f"An image has at most {max_bytes} bytes.")
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # binascii.Error, or characters beyond ASCII
        text = _without_blanks(text, offset)
        try:
            data = binascii.a2b_base64(text, strict_mode=True)
        except ValueError as error:
            raise BadImage("invalid_base64", _why(text)) from error
    if not data:
        raise BadImage("invalid_base64", "The image is empty.")
    if len(data) > max_bytes:
        raise BadImage("image_too_large", f"An image has at most {max_bytes} bytes.")
    _check_end(text.rstrip(" \t\r\n"), data)
    return data


def _check_end(text: str, data: bytes) -> None:
    """Refuse what Python's strict mode lets pass: too much padding, and bits that belong to no byte."""
    if len(text) - len(text.rstrip("=")) != -len(data) % 3:
        raise BadImage("invalid_base64", "Too much padding.")
    if len(data) % 3 and base64.b64encode(data[len(data) // 3 * 3 :]).decode() != text[-4:]:
        raise BadImage("invalid_base64", "Not canonical: bits after the last byte are not zero.")


def _data_uri_head(text: str) -> tuple[str | None, int]:
    """Return the media type that a data: URI claims, and where its data starts."""
    if text[:5].lower() != "data:":
        return None, 0
    head = _DATA_URI.match(text)
    if head is None:
        raise BadImage("invalid_data_uri", "Not a data: URI of the form data:<media type>;base64,<data>.")
    media_type = head[1].strip().lower()
    if not is_accepted(media_type):
        raise BadImage("unsupported_media_type", f"An image is one of {', '.join(ACCEPTED_MEDIA_TYPES)}.")
    if not head[2].lower().endswith(";base64"):
        raise BadImage("invalid_data_uri", "Only data: URIs in base64 are accepted.")
    return media_type, head.end()


def _without_blanks(text: str, offset: int) -> str:
    """Take out blanks and line breaks, if nothing else is outside the alphabet."""
    wrong = _NOT_IN_ALPHABET.search(text)
    if wrong is not None:
        hint = " This is the URL-safe alphabet; use the standard one." if wrong[0] in "-_" else ""
        raise BadImage("invalid_base64", f"Character {offset + wrong.start()} is not base64.{hint}")
    return text.translate(_BLANKS)


def _why(text: str) -> str:
    """Say what is wrong with text of the alphabet only."""
    if not text.strip("="):
        return "The image is empty."
    if "=" in text.rstrip("="):
        return "Padding in the middle."
    return f"Wrong padding: {len(text)} characters, {len(text) - len(text.rstrip('='))} of them padding."
