"""Line images for tests: good ones in every accepted format and mode, and hostile ones. Pillow is used here freely.

A good image shows a line drawn from its `text`: same text and size, same pixels, so two encodings can be compared.

    line_png(text, width=200, height=40)       grey PNG, the usual small line
    line_jpeg, line_webp, line_tiff, line_bmp  the same line in the other formats
    line_picture(text, width, height)          the Pillow image ("L") behind them, and `encode` to save any of them
    line_pixels(text, width, height)           what a decoder must hand back for the lossless ones: (h, w, 3) uint8
    ACCEPTED                                   name -> bytes of one line in every accepted format and mode
    TRANSPARENT, ORIENTED                      the same for alpha and for EXIF orientations 1 to 8

Hostile ones are functions, each with a sentence.
"""

import io
import struct
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXT = "Okafor, 12 May 1987"
EXIF_ORIENTATION = 0x0112

# What a camera held that way would have stored: the inverse of what the orientation asks a reader to do.
_STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


# good ones


def line_picture(text: str | int = TEXT, width: int = 200, height: int = 40) -> Image.Image:
    """Draw dark text on white, grey ("L")."""
    picture = Image.new("L", (width, height), 255)
    ImageDraw.Draw(picture).text((4, height // 4), str(text), fill=20)
    return picture


def encode(picture: Image.Image, format_: str, **options: object) -> bytes:
    """Save a Pillow image to bytes."""
    file = io.BytesIO()
    picture.save(file, format_, **options)
    return file.getvalue()


def line_pixels(text: str | int = TEXT, width: int = 200, height: int = 40) -> NDArray[np.uint8]:
    """Return the line as RGB pixels, shape (height, width, 3)."""
    return np.asarray(line_picture(text, width, height).convert("RGB"))


def line_png(text: str | int = TEXT, width: int = 200, height: int = 40) -> bytes:
    """Encode a line as a grey PNG."""
    return encode(line_picture(text, width, height), "PNG")


def line_jpeg(text: str | int = TEXT, width: int = 200, height: int = 40, *, progressive: bool = False) -> bytes:
    """Encode a line as a grey JPEG of high quality."""
    return encode(line_picture(text, width, height), "JPEG", quality=95, progressive=progressive)


def line_webp(text: str | int = TEXT, width: int = 200, height: int = 40) -> bytes:
    """Encode a line as a lossless WebP."""
    return encode(line_picture(text, width, height).convert("RGB"), "WEBP", lossless=True)


def line_tiff(text: str | int = TEXT, width: int = 200, height: int = 40, compression: str = "tiff_lzw") -> bytes:
    """Encode a line as a grey TIFF of one page."""
    return encode(line_picture(text, width, height), "TIFF", compression=compression)


def line_bmp(text: str | int = TEXT, width: int = 200, height: int = 40) -> bytes:
    """Encode a line as a grey BMP."""
    return encode(line_picture(text, width, height), "BMP")


def grey_16_bit_png(text: str | int = TEXT) -> bytes:
    """Encode the line with 16 bits a pixel, using the whole range."""
    return encode(_wide(text, "<u2", "I;16"), "PNG")


def rgb_16_bit_png(text: str | int = TEXT) -> bytes:
    """Encode the line as 16-bit RGB, which Pillow cannot write."""
    samples = (line_pixels(text).astype(">u2") * 257).tobytes()
    return png(200, 40, samples, bit_depth=16, colour_type=2)


def adobe_cmyk_jpeg(text: str | int = TEXT) -> bytes:
    """Encode the line as CMYK with Adobe's marker and inverted values, as Photoshop does."""
    return encode(line_picture(text).convert("RGB").convert("CMYK"), "JPEG", quality=95)


def polyglot_png(text: str | int = TEXT) -> bytes:
    """Encode a line as a PNG that is an empty ZIP archive and holds a script as well."""
    return line_png(text) + b"<script>alert(1)</script>" + b"PK\x05\x06" + bytes(18)


def oriented(orientation: int, format_: str = "PNG", text: str | int = TEXT) -> bytes:
    """Encode a line as a camera held in one of the eight ways stores it, with the EXIF tag that says so."""
    picture = line_picture(text)
    stored = _STORED_AS[orientation]
    if stored is not None:
        picture = picture.transpose(stored)
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    options: dict[str, object] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}.get(format_, {})
    return encode(picture.convert("RGB"), format_, exif=exif.tobytes(), **options)


def _wide(text: str | int, dtype: str, mode: str, factor: float = 257) -> Image.Image:
    values = (np.asarray(line_picture(text)).astype(np.float64) * factor).astype(dtype)
    return Image.frombytes(mode, (values.shape[1], values.shape[0]), values.tobytes())


def _accepted() -> dict[str, bytes]:
    """Give one line in every format and mode that promises the very pixels of `line_pixels()`."""
    grey = line_picture()
    rgb = grey.convert("RGB")
    images = {
        "PNG grey": line_png(),
        "PNG RGB": encode(rgb, "PNG"),
        "PNG palette": encode(rgb.quantize(256), "PNG"),
        "PNG 16-bit grey": grey_16_bit_png(),
        "PNG 16-bit RGB": rgb_16_bit_png(),
        "PNG interlaced": interlaced_png(),
        "PNG and ZIP": polyglot_png(),
        "WebP lossless": line_webp(),
        "BMP grey": line_bmp(),
        "BMP RGB": encode(rgb, "BMP"),
        "TIFF 16-bit big-endian": encode(_wide(TEXT, ">u2", "I;16B"), "TIFF"),
        "TIFF 16-bit little-endian": encode(_wide(TEXT, "<u2", "I;16"), "TIFF"),
        "TIFF 32-bit integer": encode(_wide(TEXT, "<i4", "I", 257), "TIFF"),
        "TIFF float 0 to 1": encode(_wide(TEXT, "<f4", "F", 1 / 255), "TIFF"),
        "TIFF float 0 to 255": encode(_wide(TEXT, "<f4", "F", 1), "TIFF"),
        "TIFF CMYK": encode(rgb.convert("CMYK"), "TIFF"),
        "TIFF tiles of white is zero": white_is_zero_tiff(),
        "BigTIFF": encode(grey, "TIFF", big_tiff=True),
    }
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        images[f"TIFF {compression}"] = line_tiff(compression=compression)
    return images


def interlaced_png(text: str | int = TEXT) -> bytes:
    """Encode the line with Adam7 interlacing, which Pillow cannot write."""
    pixels = np.asarray(line_picture(text))
    raw = b""
    for left, top, step_x, step_y in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        raw += b"".join(b"\0" + row.tobytes() for row in pixels[top::step_y, left::step_x])
    return _png_of(pixels.shape[1], pixels.shape[0], zlib.compress(raw), interlaced=True)


def white_is_zero_tiff(text: str | int = TEXT) -> bytes:
    """Encode the line as a 16-bit TIFF in which 0 is white, as some scanners do."""
    inverted = ImageOps.invert(line_picture(text))
    values = np.asarray(inverted).astype("<u2") * 257
    picture = Image.frombytes("I;16", inverted.size, values.tobytes())
    return encode(picture, "TIFF", tiffinfo={262: 0})


def _transparent() -> dict[str, bytes]:
    """Give the line as black ink whose strength is in the alpha channel, or on a colour declared transparent."""
    grey = line_picture()
    ink = ImageOps.invert(grey)
    rgba = Image.merge("RGBA", (*[Image.new("L", grey.size, 0)] * 3, ink))
    palette = grey.convert("RGB").quantize(256)
    white = max(range(256), key=lambda index: sum(palette.getpalette()[index * 3 : index * 3 + 3] or [0]))
    palette.putpalette([*palette.getpalette()[: white * 3], 200, 0, 0, *palette.getpalette()[white * 3 + 3 :]])
    return {
        "PNG RGBA": encode(rgba, "PNG"),
        "PNG LA": encode(Image.merge("LA", (Image.new("L", grey.size, 0), ink)), "PNG"),
        "PNG palette with a transparent colour": encode(palette, "PNG", transparency=white),
        "PNG grey with a transparent colour": encode(grey.point(lambda v: 7 if v == 255 else v), "PNG", transparency=7),
        "PNG 16-bit with a transparent colour": encode(_marked_16_bit(), "PNG", transparency=4660),
        "WebP RGBA": encode(rgba, "WEBP", lossless=True, exact=True),
        "TIFF RGBA": encode(rgba, "TIFF"),
        "TIFF LA": encode(Image.merge("LA", (Image.new("L", grey.size, 0), ink)), "TIFF"),
    }


def _marked_16_bit() -> Image.Image:
    values = np.asarray(line_picture()).astype("<u2") * 257
    values[values == 65535] = 4660
    return Image.frombytes("I;16", (values.shape[1], values.shape[0]), values.tobytes())


# bricks for hostile ones


def png_chunk(name: bytes, body: bytes) -> bytes:
    """Build one PNG chunk with its checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, samples: bytes, bit_depth: int = 8, colour_type: int = 0, extra: bytes = b"") -> bytes:
    """Build a PNG from raw samples, row after row; `extra` are whole chunks before the pixel data."""
    stride = len(samples) // height
    raw = b"".join(b"\0" + samples[start : start + stride] for start in range(0, len(samples), stride))
    return _png_of(width, height, zlib.compress(raw), bit_depth=bit_depth, colour_type=colour_type, extra=extra)


def _png_of(
    width: int,
    height: int,
    idat: bytes,
    *,
    bit_depth: int = 8,
    colour_type: int = 0,
    interlaced: bool = False,
    extra: bytes = b"",
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bit_depth, colour_type, 0, 0, interlaced)
    chunks = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", idat) + png_chunk(b"IEND", b"")
    return PNG_SIGNATURE + chunks


def png_with(extra: bytes) -> bytes:
    """Build a good line PNG with more chunks before its pixel data."""
    picture = line_picture()
    return png(*picture.size, picture.tobytes(), extra=extra)


# hostile ones


def deflated_zeros(length: int) -> bytes:
    """Deflate this many zero bytes, at once however many they are: one block repeated, and Adler-32 by formula."""
    block_length = 1024 * 1024
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = compressor.compress(bytes(block_length)) + compressor.flush(zlib.Z_FULL_FLUSH)
    blocks, rest = divmod(length, block_length)
    tail = zlib.compressobj(9, zlib.DEFLATED, -15)
    checksum = (length % 65521) << 16 | 1
    return b"\x78\xda" + block * blocks + tail.compress(bytes(rest)) + tail.flush() + struct.pack(">I", checksum)


def png_bomb(width: int = 50_000, height: int = 50_000) -> bytes:
    """Build a 1-bit PNG that is small as a file and huge as a picture."""
    return _png_of(width, height, deflated_zeros(height * (1 + (width + 7) // 8)), bit_depth=1)


def transparent_png(width: int, height: int) -> bytes:
    """Build an empty RGBA PNG: small as a file, and within the limits the costliest kind to decode."""
    return _png_of(width, height, deflated_zeros(height * (1 + width * 4)), colour_type=6)


def text_bomb_png(name: bytes = b"zTXt", inflated_bytes: int = 100 * 1024 * 1024) -> bytes:
    """Build a PNG whose compressed comment (zTXt, iTXt or iCCP) inflates to a hundred megabytes."""
    deflated = deflated_zeros(inflated_bytes)
    keyword = {b"zTXt": b"Comment\0\0", b"iTXt": b"Comment\0\1\0\0\0", b"iCCP": b"Profile\0\0"}[name]
    return png_with(png_chunk(name, keyword + deflated))


def long_text_png(length: int = 4 * 1024 * 1024) -> bytes:
    """Build a PNG with an uncompressed, overlong comment."""
    return png_with(png_chunk(b"iTXt", b"Comment\0\0\0\0\0" + b"a" * length))


def bad_checksum_png() -> bytes:
    """Build a PNG whose pixel data does not match its checksum."""
    data = bytearray(line_png())
    start = data.index(b"IDAT")
    (length,) = struct.unpack_from(">I", data, start - 4)
    data[start + 4 + length] ^= 0xFF
    return bytes(data)


def no_pixels_png() -> bytes:
    """Build a PNG without any IDAT chunk."""
    header = struct.pack(">IIBBBBB", 200, 40, 8, 0, 0, 0, 0)
    return PNG_SIGNATURE + png_chunk(b"IHDR", header) + png_chunk(b"IEND", b"")


def half_pixels_png() -> bytes:
    """Build a PNG, whole in every chunk and checksum, whose pixel data ends half-way down the picture."""
    raw = b"".join(b"\0" + bytes([200]) * 200 for _ in range(20))
    return _png_of(200, 40, zlib.compress(raw))


def sized_png(width: int, height: int) -> bytes:
    """Build a PNG of any size, even 0 x 0."""
    return _png_of(width, height, zlib.compress(bytes((1 + width) * height)))


def truncated(data: bytes, kept: float = 0.6) -> bytes:
    """Keep the first part of a file."""
    return data[: int(len(data) * kept)]


def truncated_png() -> bytes:
    """Cut a PNG within its pixel data."""
    return truncated(line_png())


def truncated_jpeg() -> bytes:
    """Cut a JPEG within its pixel data."""
    return truncated(line_jpeg(), 0.8)


def animated_png() -> bytes:
    """Build an APNG of two frames."""
    return encode(line_picture(1), "PNG", save_all=True, append_images=[line_picture(2)], duration=100)


def animated_webp() -> bytes:
    """Build an animated WebP of two frames."""
    first, second = (line_picture(number).convert("RGB") for number in (1, 2))
    return encode(first, "WEBP", save_all=True, append_images=[second], duration=100)


def multi_page_tiff(pages: int = 3) -> bytes:
    """Build a TIFF of several pages."""
    others = [line_picture(number) for number in range(1, pages)]
    return encode(line_picture(0), "TIFF", save_all=True, append_images=others)


def tiff_with_many_directories(count: int = 10_000) -> bytes:
    """Build a TIFF whose directories form a chain of this length over the same pixels."""
    return _tiff_chain(count, last_points_at=0)


def tiff_that_loops() -> bytes:
    """Build a TIFF whose only directory names itself as the next one."""
    return _tiff_chain(1, last_points_at=8)


def tiff_that_loops_later(count: int = 3) -> bytes:
    """Build a TIFF whose last directory names the first as the next one."""
    return _tiff_chain(count, last_points_at=8)


def _tiff_chain(count: int, last_points_at: int) -> bytes:
    width, height = 20, 10
    size = 2 + 12 * 8 + 4
    pixels_at = 8 + count * size
    short = [(256, 3, width), (257, 3, height), (258, 3, 8), (259, 3, 1), (262, 3, 1)]
    long = [(273, 4, pixels_at), (278, 4, height), (279, 4, width * height)]
    entries = b"".join(
        struct.pack("<HHII" if kind == 4 else "<HHIHxx", tag, kind, 1, value) for tag, kind, value in short + long
    )
    chain = b""
    for index in range(count):
        following = 8 + (index + 1) * size if index + 1 < count else last_points_at
        chain += struct.pack("<H", 8) + entries + struct.pack("<I", following)
    return b"II*\0" + struct.pack("<I", 8) + chain + bytes([255]) * (width * height)


def jpeg_scan_bomb(width: int = 4000, height: int = 4000, scans: int = 400) -> bytes:
    """Build a progressive JPEG, small as a file, whose many scans make a decoder cross the whole picture each time."""
    data = encode(Image.new("L", (width, height), 128), "JPEG", progressive=True)
    starts = [index for index in range(len(data) - 1) if data[index : index + 2] == b"\xff\xda"]
    last_scan = data[starts[-1] : -2]
    return data[:-2] + last_scan * scans + data[-2:]


def noise_png(width: int, height: int, mode: str = "RGBA") -> bytes:
    """Build a PNG that hardly compresses, for budgets of memory and time."""
    generator = np.random.default_rng(1)
    channels = len(Image.new(mode, (1, 1)).getbands())
    values = generator.integers(0, 256, width * height * channels, dtype=np.uint8)
    return encode(Image.frombytes(mode, (width, height), values.tobytes()), "PNG", compress_level=1)


def not_images() -> Iterable[bytes]:
    """Give bytes of kinds that are never parsed as a line image."""
    picture = line_picture()
    yield b""
    yield b"\0"
    yield b"<!doctype html><p>hello"
    yield b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    yield b"%PDF-1.7\n"
    yield b"%!PS-Adobe-3.0 EPSF-3.0\n"
    yield b"PK\x05\x06" + bytes(18)
    yield b"\x7fELF" + bytes(60)
    yield b"8BPS\0\1" + bytes(60)
    yield b"SIMPLE  =                    T" + bytes(60)
    for format_ in ("GIF", "ICO", "JPEG2000", "PPM", "TGA", "PCX"):
        yield encode(picture, format_)


ACCEPTED = _accepted()
TRANSPARENT = _transparent()
ORIENTED = {orientation: oriented(orientation) for orientation in _STORED_AS}
