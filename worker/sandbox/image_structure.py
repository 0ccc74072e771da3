"""What Pillow forgives and Inkpost does not: a file cut short, pixel data that ends early, a second page.

Pillow fills what a PNG's data stream does not cover with black, reads a PNG without its end, checks no checksum of
pixel data, and treats a TIFF whose directory points at itself as an ordinary picture. Each check here reads only the
outline of a file, in time proportional to the number of its parts.
"""

import struct
import zlib

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_INFLATE_STEP_BYTES = 1024 * 1024
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


class Damaged(Exception):
    """The file's own outline contradicts its bytes."""


def check_png(data: bytes) -> None:
    """Raise Damaged unless all chunks up to IEND are whole, checksums hold and the pixel data covers the picture.

    What follows IEND is not part of the picture and is ignored.
    """
    position = len(PNG_SIGNATURE)
    header = b""
    pixel_data = []
    while True:
        if position + 12 > len(data):
            raise Damaged
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            raise Damaged
        body = memoryview(data)[position + 8 : end]
        if zlib.crc32(body, zlib.crc32(name)) != int.from_bytes(data[end : end + 4], "big"):
            raise Damaged
        if name == b"IDAT":
            pixel_data.append(body)
        elif name == b"IHDR":
            header = bytes(body)
        elif name == b"IEND":
            break
        position = end + 4
    if len(header) != 13:
        raise Damaged
    _check_inflated_length(pixel_data, _png_raw_length(header))


def _png_raw_length(header: bytes) -> int:
    """Compute how many bytes the pixel data of a PNG inflates to: per row and pass, a filter byte and the pixels."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _PNG_CHANNELS.get(colour, 4)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, step_x, step_y in passes:
        columns = -(-(width - left) // step_x)
        rows = -(-(height - top) // step_y)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total


def _check_inflated_length(pixel_data: list[memoryview], expected: int) -> None:
    """Inflate without keeping anything; raise Damaged when it breaks or yields less than expected."""
    inflater = zlib.decompressobj()
    seen = 0
    try:
        for part in pixel_data:
            pending: bytes | memoryview = part
            while pending and not inflater.eof and seen < expected:
                seen += len(inflater.decompress(pending, _INFLATE_STEP_BYTES))
                pending = inflater.unconsumed_tail
    except zlib.error as error:
        raise Damaged from error
    if seen < expected:
        raise Damaged


def has_more_tiff_pages(data: bytes) -> bool:
    """Say whether the first directory of a TIFF names another one, be it itself; raise Damaged if it is cut."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        if struct.unpack_from(order + "H", data, 2)[0] == 43:  # BigTIFF
            (first,) = struct.unpack_from(order + "Q", data, 8)
            (entries,) = struct.unpack_from(order + "Q", data, first)
            (following,) = struct.unpack_from(order + "Q", data, first + 8 + 20 * entries)
        else:
            (first,) = struct.unpack_from(order + "I", data, 4)
            (entries,) = struct.unpack_from(order + "H", data, first)
            (following,) = struct.unpack_from(order + "I", data, first + 2 + 12 * entries)
    except struct.error as error:
        raise Damaged from error
    return bool(following)
