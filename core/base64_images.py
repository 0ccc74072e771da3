"""Images as they are uploaded: in base64 or as bytes, checked by their size, first bytes and header."""

from dataclasses import dataclass

from core.base64_data import BadUpload, Kind, decode_data
from core.image_headers import ACCEPTED_MEDIA_TYPES, check_header
from core.settings import Limits

IMAGE = Kind(
    noun="image",
    article="An",
    too_large="image_too_large",
    media_types=ACCEPTED_MEDIA_TYPES,
    aliases={"image/jpg": "image/jpeg", "image/x-ms-bmp": "image/bmp", "image/x-bmp": "image/bmp"},
)


@dataclass(frozen=True, slots=True)
class Image:
    """The bytes of an image, the media type that they themselves say, and width and height where the header tells."""

    data: bytes
    media_type: str
    size: tuple[int, int] | None = None


def decode_image(text: str, limits: Limits) -> Image:
    """Return the image in a field of a JSON body.

    Raises:
        BadUpload: it is not base64, too large, not an accepted image, or not what its data: URI says.
    """
    data, claimed = decode_data(text, IMAGE, limits.max_image_bytes)
    return check_image(data, claimed, limits)


def check_image(data: bytes, claimed: str | None, limits: Limits) -> Image:
    """Return the image if its size, first bytes and header are acceptable and its claimed media type is right.

    Raises:
        BadUpload: one of them is not.
    """
    IMAGE.check_size(len(data), limits.max_image_bytes)
    header = check_header(data, limits)
    if header.fault is not None:
        raise BadUpload(header.fault.code, header.fault.detail)
    if claimed is not None and IMAGE.media_type(claimed) != header.media_type:
        raise BadUpload("type_mismatch", f"Said to be {claimed}, but the bytes are {header.media_type}.")
    return Image(data, header.media_type, header.size)
