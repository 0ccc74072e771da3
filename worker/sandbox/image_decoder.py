"""The entry module for line images: bytes of one file in, plain pixels out. Runs in a sandbox child only.

Only the five accepted formats are ever opened, each by its own class, chosen by first bytes: Pillow's other parsers,
including the one that a JPEG with several pictures would select, stay out of reach.

- exactly one frame; EXIF orientation applied; alpha and transparent colours composited on white
- grey stays grey (one channel on the pipe); everything else becomes RGB
- 16-bit grey keeps its high byte; 32-bit integers and floats are scaled from the range that holds them:
  0..1 for floats, else 0..255, 0..65535 or 0..2^32-1
- a LAB picture is read as its lightness; CMYK is converted by Pillow's formula, with Adobe's inversion undone
"""

import io
import math
import warnings
from collections.abc import Callable, Iterable, Sequence

from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

from worker.sandbox.image_answer import HEADER, Verdict
from worker.sandbox.image_structure import PNG_SIGNATURE, Damaged, check_png, has_more_tiff_pages
from worker.sandbox.limits import SandboxLimits

_EXIF_ORIENTATION = 0x0112
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_SOURCES = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp", "Raw profile type xmp")


class _Refused(Exception):
    """This image ends with a verdict; dimensions are told where they are the reason."""

    def __init__(self, verdict: Verdict, width: int = 0, height: int = 0) -> None:
        self.answer = HEADER.pack(verdict, 0, width, height)


def prepare(limits: SandboxLimits) -> Callable[[bytes], Iterable[Sequence[bytes]]]:
    """Return the function that decodes one image under these limits."""
    Image.preinit()  # `check` saves pictures, and Pillow would load its plugins only then, when nothing can be opened
    warnings.simplefilter("ignore")
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    # Pillow refuses at twice this number, and checks it for WebP before it allocates the canvas.
    Image.MAX_IMAGE_PIXELS = max(1, limits.max_image_pixels // 2)

    def decode(data: bytes) -> Iterable[Sequence[bytes]]:
        try:
            picture = _flatten(_upright(_load(data, limits)))
        except _Refused as refused:
            return [[refused.answer]]
        except Image.DecompressionBombError:
            return [[HEADER.pack(Verdict.IMAGE_DIMENSIONS, 0, 0, 0)]]
        except MemoryError:
            raise
        except OSError as error:
            if "memory" in str(error):  # how Pillow words a codec's own failure to allocate
                raise MemoryError from error
            return [[HEADER.pack(Verdict.CORRUPT_IMAGE, 0, 0, 0)]]
        except Exception:  # noqa: BLE001  an edge: Pillow's parsers raise nearly anything on damaged bytes
            return [[HEADER.pack(Verdict.CORRUPT_IMAGE, 0, 0, 0)]]
        channels = len(picture.getbands())
        return [[HEADER.pack(Verdict.PIXELS, channels, *picture.size), picture.tobytes()]]

    return decode


def check(decode: Callable[[bytes], Iterable[Sequence[bytes]]]) -> None:
    """Encode and decode a small picture in each format: a codec that the confinement breaks shows itself here."""
    sample = Image.linear_gradient("L").resize((64, 16))
    for format_ in ("PNG", "JPEG", "TIFF", "BMP", "WEBP"):
        if format_ == "WEBP" and not features.check("webp"):
            continue  # a Pillow built without it; such images are refused as unsupported
        for compression in ({}, {"compression": "tiff_lzw"}) if format_ == "TIFF" else ({},):
            file = io.BytesIO()
            sample.convert("RGB").save(file, format_, **compression)
            ((header, *_pixels),) = decode(file.getvalue())
            if HEADER.unpack(header)[0] != Verdict.PIXELS:
                raise RuntimeError(f"{format_} cannot be decoded in this confinement")


def _load(data: bytes, limits: SandboxLimits) -> ImageFile.ImageFile:
    """Open by first bytes, refuse by outline and header, and only then decode the pixels."""
    opened = _open(data)
    if not limits.allows_dimensions(*opened.size):
        raise _Refused(Verdict.IMAGE_DIMENSIONS, *opened.size)
    if getattr(opened, "n_frames", 1) > 1:
        raise _Refused(Verdict.MULTIPLE_FRAMES)
    if isinstance(opened, PngImagePlugin.PngImageFile):
        check_png(data)
    opened.load()
    return opened


def _open(data: bytes) -> ImageFile.ImageFile:
    """Read the header with the one class that the first bytes ask for."""
    file = io.BytesIO(data)
    try:
        if data.startswith(PNG_SIGNATURE):
            return PngImagePlugin.PngImageFile(file)
        if data.startswith(b"\xff\xd8\xff"):
            return JpegImagePlugin.JpegImageFile(file)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and features.check("webp"):
            return WebPImagePlugin.WebPImageFile(file)
        if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
            if has_more_tiff_pages(data):
                raise _Refused(Verdict.MULTIPLE_FRAMES)
            return TiffImagePlugin.TiffImageFile(file)
        if data.startswith(b"BM"):
            return BmpImagePlugin.BmpImageFile(file)
    except Damaged as error:
        raise _Refused(Verdict.CORRUPT_IMAGE) from error
    raise _Refused(Verdict.UNSUPPORTED_IMAGE_FORMAT)


def _upright(picture: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; Pillow has already done so for TIFF. Damaged EXIF leaves the picture as it is."""
    if not any(source in picture.info for source in _ORIENTATION_SOURCES) or isinstance(
        picture, TiffImagePlugin.TiffImageFile
    ):
        return picture
    try:
        orientation = picture.getexif().get(_EXIF_ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  the pixels are whole; a line is not lost to its broken metadata
        return picture
    transposition = _TRANSPOSITIONS.get(orientation) if isinstance(orientation, int) else None
    if transposition is None:
        return picture
    upright = picture.transpose(transposition)
    upright.info.update(picture.info)  # a transparent colour is kept there
    return upright


def _flatten(picture: Image.Image) -> Image.Image:
    """Bring any mode to grey ("L") or "RGB", eight bits, on white."""
    mode, is_transparent = picture.mode, "transparency" in picture.info
    if mode in {"L", "RGB"} and not is_transparent:
        flat = picture
    elif mode.startswith("I;16"):
        flat = _from_16_bits(picture)
    elif mode in {"I", "F"}:
        flat = _from_wide_numbers(picture)
    elif mode == "LAB":
        flat = picture.getchannel("L")
    elif mode in {"LA", "La"}:
        flat = _on_white(picture.convert("LA"), "L")
    elif mode in {"RGBA", "RGBa", "PA"} or is_transparent:
        flat = _on_white(picture.convert("RGBA"), "RGB")
    else:
        flat = picture.convert("L" if mode == "1" else "RGB")
    return flat


def _on_white(picture: Image.Image, mode: str) -> Image.Image:
    page = Image.new(mode, picture.size, "white")
    page.paste(picture.convert(mode), mask=picture.getchannel("A"))
    return page


def _from_16_bits(picture: Image.Image) -> Image.Image:
    """Keep the high byte; Pillow's own conversion would clip at 255 in some of its versions."""
    high = 0 if picture.mode.endswith("B") else 1
    grey = Image.frombytes("L", picture.size, picture.tobytes()[high::2])
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int):
        hole = picture.convert("I").point([255 if value == transparent else 0 for value in range(65536)], "L")
        grey.paste(255, mask=hole)
    is_white_zero = isinstance(picture, TiffImagePlugin.TiffImageFile) and picture.tag_v2.get(262) == 0
    return grey.point(range(255, -1, -1)) if is_white_zero else grey


def _from_wide_numbers(picture: Image.Image) -> Image.Image:
    """Scale 32-bit integers or floats to eight bits from the smallest usual range that holds the largest value."""
    (low, high) = picture.getextrema()
    if not (
        isinstance(low, int | float) and isinstance(high, int | float) and math.isfinite(low) and math.isfinite(high)
    ):
        raise _Refused(Verdict.CORRUPT_IMAGE)
    ranges = (1.0, 255.0, 65535.0, 4294967295.0) if picture.mode == "F" else (255.0, 65535.0, 4294967295.0)
    full = next((limit for limit in ranges if high <= limit), high)
    return picture.convert("F").point(lambda value: value * (255.0 / full) + 0.0).convert("L")
