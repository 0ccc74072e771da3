"""Draw a part of a page and encode it as a line image. Runs in a sandbox child only."""

import ctypes
import io
from collections.abc import Callable
from typing import Self

import pypdfium2_raw as pdfium
from PIL import Image, ImageChops

from core.documents.cutting import Box
from core.errors import ImageDimensions
from worker.sandbox.limits import SandboxLimits
from worker.sandbox.pdf_document import OpenPage
from worker.sandbox.pdf_geometry import fitting, pixels_per_point

_WHITE, _CLEAR = 0xFFFFFFFF, 0x00000000
_COARSER = 1.5


def line_png(page: OpenPage, box: Box, limits: SandboxLimits) -> bytes:
    """Draw what a reader sees in a box, in points, as finely as a line of its size deserves."""
    width, height = box[2] - box[0], box[3] - box[1]
    scale = pixels_per_point(width, height)
    scale *= fitting(width * scale, height * scale, limits.max_image_side_pixels, limits.max_image_pixels)

    def draw(factor: float) -> Image.Image:
        size = max(1, round(width * scale * factor)), max(1, round(height * scale * factor))
        check_dimensions(size, limits)
        return _draw_page(page, size, box[:2], scale * factor)

    return encode_within(limits, draw)


def encode_within(limits: SandboxLimits, draw: Callable[[float], Image.Image]) -> bytes:
    """Encode what `draw` gives for a factor of 1, or for smaller ones until a line may have so many bytes."""
    factor = 1.0
    while True:
        png = _encode(draw(factor))
        if len(png) <= limits.max_image_bytes:
            return png
        factor /= _COARSER


def check_dimensions(size: tuple[int, int], limits: SandboxLimits) -> None:
    """Raise ImageDimensions if a picture of this size, in pixels, is no line image."""
    if not limits.allows_dimensions(*size):
        raise ImageDimensions(f"The line would measure {size[0]} x {size[1]} pixels, which is outside the limits.")


def _encode(picture: Image.Image) -> bytes:
    """Encode RGB as PNG, as grey where it is."""
    red, green, blue = (channel.tobytes() for channel in picture.split())
    if red == green == blue:
        picture = picture.getchannel(0)
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _draw_page(page: OpenPage, size: tuple[int, int], origin: tuple[float, float], scale: float) -> Image.Image:
    """Draw a part of a page with its annotations and form fields, as RGB on white.

    The fields are drawn apart and the darker of both counts: a field with a white ground, as many producers make them,
    would else hide the ink that a scanner put on the page below it.
    """
    width, height = page.space.size
    # The whole page in pixels and where it begins, which is usually far outside of what is drawn.
    place = (-round(origin[0] * scale), -round(origin[1] * scale), round(width * scale), round(height * scale))
    with Canvas(size, pdfium.FPDFBitmap_BGRx, _WHITE) as canvas:
        pdfium.FPDF_RenderPageBitmap(canvas.handle, page.handle, *place, 0, pdfium.FPDF_ANNOT)
        picture = canvas.picture("RGB", "BGRX")
    if not page.document.has_form:
        return picture
    with Canvas(size, pdfium.FPDFBitmap_BGRx, _WHITE) as canvas:
        pdfium.FPDF_FFLDraw(page.document.form, canvas.handle, page.handle, *place, 0, 0)
        return ImageChops.darker(picture, canvas.picture("RGB", "BGRX"))


def draw_alone(
    page: OpenPage, size: tuple[int, int], origin: tuple[float, float], scale: tuple[float, float]
) -> Image.Image:
    """Draw a part of a page's own content, as RGBA on nothing.

    `origin`, in points as seen, becomes the top left corner; `scale` is pixels per point, across and down.
    """
    a, d = scale[0] * page.space.unit, scale[1] * page.space.unit
    matrix = pdfium.FS_MATRIX(a, 0, 0, d, -origin[0] * scale[0], -origin[1] * scale[1])
    with Canvas(size, pdfium.FPDFBitmap_BGRA, _CLEAR) as canvas:
        pdfium.FPDF_RenderPageBitmapWithMatrix(canvas.handle, page.handle, matrix, pdfium.FS_RECTF(0, 0, *size), 0)
        return canvas.picture("RGBA", "BGRA")


class Canvas:
    """A bitmap of pdfium's for as long as a block lasts."""

    def __init__(self, size: tuple[int, int], format_: int, ground: int) -> None:
        self._size = size
        self.handle = pdfium.FPDFBitmap_CreateEx(*size, format_, None, 0)
        if not self.handle:
            raise MemoryError
        pdfium.FPDFBitmap_FillRect(self.handle, 0, 0, *size, ground)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pdfium.FPDFBitmap_Destroy(self.handle)

    def picture(self, mode: str, raw_mode: str) -> Image.Image:
        """Copy the pixels."""
        stride = pdfium.FPDFBitmap_GetStride(self.handle)
        pixels = ctypes.string_at(pdfium.FPDFBitmap_GetBuffer(self.handle), stride * self._size[1])
        return Image.frombuffer(mode, self._size, pixels, "raw", raw_mode, stride, 1)
