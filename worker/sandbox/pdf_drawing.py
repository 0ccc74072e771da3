"""Draw a part of a page and encode it as a line image. Runs in a sandbox child only."""

import ctypes
import io

import pypdfium2_raw as pdfium
from PIL import Image

from core.documents.cutting import Box
from core.errors import ImageDimensions
from worker.sandbox.limits import SandboxLimits
from worker.sandbox.pdf_document import OpenPage
from worker.sandbox.pdf_geometry import fitting, pixels_per_point

_WHITE, _CLEAR = 0xFFFFFFFF, 0x00000000
_TRIES = 8


def line_png(page: OpenPage, box: Box, limits: SandboxLimits) -> bytes:
    """Draw what a reader sees in a box, in points, as finely as a line of its size deserves."""
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    scale = pixels_per_point(width, height)
    scale *= fitting(width * scale, height * scale, limits.max_image_side_pixels, limits.max_image_pixels)
    for _ in range(_TRIES):
        columns, rows = max(1, int(width * scale)), max(1, int(height * scale))
        check_dimensions(columns, rows, limits)
        picture = draw(page, (columns, rows), (x0, y0), (columns / width, rows / height), flags=pdfium.FPDF_ANNOT)
        png = encode(picture)
        if len(png) <= limits.max_image_bytes:
            return png
        scale /= 1.5
    raise ImageDimensions("The line does not fit into the largest image.")


def check_dimensions(columns: int, rows: int, limits: SandboxLimits) -> None:
    """Raise ImageDimensions if a picture of this size is no line image."""
    if not limits.allows_dimensions(columns, rows):
        raise ImageDimensions(f"The line would measure {columns} x {rows} pixels, which is outside the limits.")


def draw(
    page: OpenPage,
    size: tuple[int, int],
    origin: tuple[float, float],
    scale: tuple[float, float],
    *,
    flags: int = 0,
    on_white: bool = True,
) -> Image.Image:
    """Draw a part of a page: `origin`, in points as seen, becomes the top left corner; `scale` is pixels per point.

    Returns RGB on white, else RGBA.
    """
    columns, rows = size
    bitmap = pdfium.FPDFBitmap_CreateEx(
        columns, rows, pdfium.FPDFBitmap_BGRx if on_white else pdfium.FPDFBitmap_BGRA, None, 0
    )
    if not bitmap:
        raise MemoryError
    try:
        pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, columns, rows, _WHITE if on_white else _CLEAR)
        width, height = (side / page.space.unit for side in page.space.size)
        # pdfium first draws the page on whole pixels, one a unit, and only then applies the matrix.
        a, d = scale[0] * page.space.unit * width / int(width), scale[1] * page.space.unit * height / int(height)
        matrix = pdfium.FS_MATRIX(a, 0, 0, d, -origin[0] * scale[0], -origin[1] * scale[1])
        pdfium.FPDF_RenderPageBitmapWithMatrix(bitmap, page.handle, matrix, pdfium.FS_RECTF(0, 0, columns, rows), flags)
        stride = pdfium.FPDFBitmap_GetStride(bitmap)
        pixels = ctypes.string_at(pdfium.FPDFBitmap_GetBuffer(bitmap), stride * rows)
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)
    mode, raw = ("RGB", "BGRX") if on_white else ("RGBA", "BGRA")
    return Image.frombuffer(mode, size, pixels, "raw", raw, stride, 1)


def encode(picture: Image.Image) -> bytes:
    """Encode RGB as PNG, as grey where it is."""
    red, green, blue = (channel.tobytes() for channel in picture.split())
    if red == green == blue:
        picture = picture.getchannel(0)
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()
