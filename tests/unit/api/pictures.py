"""Small pictures for tests of what their headers say."""

import io
import struct
import zlib

from PIL import Image


def png(width: int = 60, height: int = 20, *, depth: int = 8, data: bytes = b"") -> bytes:
    """A PNG whose header says so; whether its data agree is another matter."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def image_of(kind: str, size: tuple[int, int] = (60, 20), mode: str = "L", **options: object) -> bytes:
    """A picture as Pillow writes it."""
    stream = io.BytesIO()
    Image.new(mode, size, 255).save(stream, kind, **options)
    return stream.getvalue()
