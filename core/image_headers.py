"""What an image's first bytes and header say, read without decoding it.

Only what is certain is refused here. A header that cannot be read, or not in a bounded number of steps, is left to the
sandbox child, which decodes the image and is the real judge.
"""

import io
from dataclasses import dataclass

import imagesize

from core.settings import Limits

_MAX_READS = 4_096  # imagesize scans a JPEG without markers byte by byte: seconds for 8 MiB


@dataclass(frozen=True, slots=True)
class HeaderFault:
    """What is wrong with an image, by its header."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Header:
    """What an image's first bytes and header say, and what that has against it."""

    media_type: str
    size: tuple[int, int] | None = None
    fault: HeaderFault | None = None


def media_type_of(image: bytes) -> str | None:
    """Return the media type that the first bytes say, or None when it is none of the accepted ones."""
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if image.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if image.startswith(b"RIFF") and image[8:12] == b"WEBP":
        return "image/webp"
    if image.startswith((b"II*\0", b"MM\0*", b"II+\0")):
        return "image/tiff"
    if image.startswith(b"BM") and image[6:10] == b"\0\0\0\0":  # two letters alone would let texts through
        return "image/bmp"
    return None


ACCEPTED_MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp", "image/tiff", "image/bmp")


def check_header(image: bytes, limits: Limits) -> Header:
    """Return what the image's first bytes and dimensions say."""
    media_type = media_type_of(image)
    if media_type is None:
        return Header(
            "", None, HeaderFault("unsupported_image_format", "The bytes are no PNG, JPEG, WebP, TIFF or BMP.")
        )
    size = read_size(image, media_type)
    return Header(media_type, size, None if size is None else _check_size(*size, limits))


def read_size(image: bytes, media_type: str) -> tuple[int, int] | None:
    """Return width and height as the header gives them, or None when it cannot be told."""
    if media_type == "image/bmp" and image[14:18] == b"\x0c\0\0\0" and len(image) >= 22:
        # The OS/2 header has 16-bit sides, which imagesize does not know.
        return int.from_bytes(image[18:20], "little"), int.from_bytes(image[20:22], "little")
    if media_type == "image/png" and image[12:16] == b"IHDR" and len(image) >= 24:
        # The commonest header has its sides at a fixed place; imagesize takes 25 us to find them, for each line.
        return int.from_bytes(image[16:20], "big"), int.from_bytes(image[20:24], "big")
    width, height = imagesize.get(_BoundedReader(image), exif_rotation=False)
    if width < 0 or height < 0:
        return None
    if media_type == "image/webp" and image[12:16] == b"VP8 ":
        return width & 0x3FFF, height & 0x3FFF  # the top two bits are a scale for display
    return width, height


def _check_size(width: int, height: int, limits: Limits) -> HeaderFault | None:
    shortest, longest = sorted((width, height))
    said = f"The image is {width} x {height} pixels; "
    if shortest < limits.min_image_side_pixels:
        return HeaderFault("image_dimensions", f"{said}a side has at least {limits.min_image_side_pixels}.")
    if longest > limits.max_image_side_pixels:
        return HeaderFault("image_dimensions", f"{said}a side has at most {limits.max_image_side_pixels}.")
    if width * height > limits.max_image_pixels:
        return HeaderFault("image_dimensions", f"{said}all have at most {limits.max_image_pixels}.")
    if longest > shortest * limits.max_aspect_ratio:
        return HeaderFault(
            "image_dimensions", f"{said}one side is at most {limits.max_aspect_ratio:g} times the other."
        )
    return None


class _BoundedReader(io.BytesIO):
    """Bytes that can be read a bounded number of times; imagesize takes the error for an unreadable header."""

    _reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _MAX_READS:
            raise ValueError("too many reads for a header")
        return super().read(size)
