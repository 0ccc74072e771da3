"""The pictures that a page places. Runs in a sandbox child only."""

import ctypes
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2_raw as pdfium
from PIL import Image

from core.documents.cutting import Box
from core.errors import CorruptImage, ImageDimensions, LineError
from worker.sandbox.limits import SandboxLimits
from worker.sandbox.pdf_document import OpenPage
from worker.sandbox.pdf_drawing import check_dimensions, draw_alone, encode_within
from worker.sandbox.pdf_geometry import (
    IDENTITY,
    Matrix,
    around,
    common,
    fitting,
    in_reading_order,
    is_finite,
    then,
)

_UNIT_SQUARE = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
_MAX_DEPTH = 30
_MOST_STORED_PIXELS = 5  # times the largest line image: what a picture may have before it is shrunk to one
_EVEN = 0.02  # a picture whose pixels are so nearly square is taken as it is
_INSET = 0.01  # pixels; keeps rounding from making a picture one pixel larger, which would blur it


@dataclass(frozen=True, slots=True)
class Placement:
    """A picture at its place: the page object, its matrix to points as seen, and what is seen of it."""

    handle: Any
    matrix: Matrix
    box: Box


def placements_of(page: OpenPage) -> list[Placement]:
    """Return the placed pictures of a page that are seen, in reading order."""
    whole = (0.0, 0.0, *page.space.size)
    found = []
    for handle, to_seen, clip in _objects(page, whole):
        if pdfium.FPDFPageObj_GetType(handle) == pdfium.FPDF_PAGEOBJ_IMAGE and clip is not None:
            matrix = then(_matrix_of(handle), to_seen)
            if is_finite(matrix) and (box := common(around(_UNIT_SQUARE, matrix), clip)):
                found.append(Placement(handle, matrix, box))
    return in_reading_order(found, lambda placement: placement.box)


def holds_only_images(page: OpenPage) -> bool:
    """Say whether a page shows pictures and nothing else; a scan's invisible text layer and a white ground are fine."""
    whole = (0.0, 0.0, *page.space.size)
    has_image = False
    for handle, _, _ in _objects(page, whole):
        if pdfium.FPDFPageObj_GetType(handle) == pdfium.FPDF_PAGEOBJ_IMAGE:
            has_image = True
        elif not _is_unseen(handle):
            return False
    return has_image


def image_pngs(
    page: OpenPage, placements: list[Placement], limits: SandboxLimits
) -> Iterator[bytes | LineError | None]:
    """Yield each placed picture as a line image, or why it is none, or None when nothing of it is seen.

    A picture is drawn by itself, whatever lies over or under it on the page, and at its own resolution.
    """
    whole = (0.0, 0.0, *page.space.size)
    for handle, _, _ in _objects(page, whole):
        pdfium.FPDFPageObj_SetIsActive(handle, False)
    for placement in placements:
        pdfium.FPDFPageObj_SetIsActive(placement.handle, True)
        try:
            yield _image_png(page, placement, limits)
        except LineError as error:
            yield error
        pdfium.FPDFPageObj_SetIsActive(placement.handle, False)


def _image_png(page: OpenPage, placement: Placement, limits: SandboxLimits) -> bytes | None:
    columns, rows = ctypes.c_uint(), ctypes.c_uint()
    pdfium.FPDFImageObj_GetImagePixelSize(placement.handle, columns, rows)
    if not columns.value or not rows.value:
        raise CorruptImage
    if columns.value * rows.value > _MOST_STORED_PIXELS * limits.max_image_pixels:
        raise ImageDimensions(f"The image measures {columns.value} x {rows.value} pixels.")
    own_scale = _own_scale(placement, columns.value, rows.value)

    def draw(factor: float) -> Image.Image:
        size, origin, scale = _grid(placement, own_scale, factor, limits)
        check_dimensions(size, limits)
        return draw_alone(page, size, origin, scale)

    picture = draw(1.0)
    if picture.getchannel("A").getbbox() is None:
        _check_decodable(placement)
        return None
    return encode_within(limits, lambda factor: _on_white(picture if factor == 1 else draw(factor)))


def _on_white(picture: Image.Image) -> Image.Image:
    alpha = picture.getchannel("A")
    if not any(alpha.histogram()[:255]):
        return picture.convert("RGB")
    ground = Image.new("RGB", picture.size, "white")
    ground.paste(picture, mask=alpha)
    return ground


def _check_decodable(placement: Placement) -> None:
    """Raise CorruptImage if a picture that left no trace cannot be decoded; else it is hidden or wholly transparent."""
    bitmap = pdfium.FPDFImageObj_GetBitmap(placement.handle)
    if not bitmap:
        raise CorruptImage
    pdfium.FPDFBitmap_Destroy(bitmap)


def _own_scale(placement: Placement, columns: int, rows: int) -> tuple[float, float]:
    """Return the pixels per point, across and down, at which a picture's own pixels are seen."""
    a, b, c, d, _, _ = placement.matrix
    along, down = columns / ((a * a + b * b) ** 0.5 or 1), rows / ((c * c + d * d) ** 0.5 or 1)
    is_level, is_sideways = abs(b) + abs(c) < 1e-3 * (abs(a) + abs(d)), abs(a) + abs(d) < 1e-3 * (abs(b) + abs(c))
    finest = max(along, down)
    if abs(along - down) <= _EVEN * finest and (is_level or is_sideways):
        return (along, down) if is_level else (down, along)
    return finest, finest  # turned by an odd angle, or with pixels that are not square: as a reader sees it


def _grid(
    placement: Placement, scale: tuple[float, float], factor: float, limits: SandboxLimits
) -> tuple[tuple[int, int], tuple[float, float], tuple[float, float]]:
    """Return the size in pixels, the origin and the scale that put a picture's own pixels on those that are drawn."""
    x0, y0, x1, y1 = around(_UNIT_SQUARE, placement.matrix)
    factor *= fitting((x1 - x0) * scale[0], (y1 - y0) * scale[1], limits.max_image_side_pixels, limits.max_image_pixels)
    sizes, origins, scales = [], [], []
    for low, high, seen_low, seen_high, wanted in (
        (x0, x1, placement.box[0], placement.box[2], scale[0] * factor),
        (y0, y1, placement.box[1], placement.box[3], scale[1] * factor),
    ):
        whole = max(1, round((high - low) * wanted))
        exact = (whole - 2 * _INSET) / (high - low)
        first = math.floor((seen_low - low) * exact + _INSET)
        last = math.ceil((seen_high - low) * exact + _INSET)
        sizes.append(max(1, min(last, whole) - first))
        origins.append(low + (first - _INSET) / exact)
        scales.append(exact)
    return (sizes[0], sizes[1]), (origins[0], origins[1]), (scales[0], scales[1])


def _objects(page: OpenPage, whole: Box) -> Iterator[tuple[Any, Matrix, Box | None]]:
    """Yield every object that draws, also within forms, its matrix to points as seen, and what is seen of it."""
    count = pdfium.FPDFPage_CountObjects(page.handle)
    top = (pdfium.FPDFPage_GetObject(page.handle, index) for index in range(count))
    stack: list[tuple[Iterator[Any], Matrix, Box | None]] = [(top, page.space.to_seen, whole)]
    while stack:
        objects, to_seen, clip = stack[-1]
        handle = next(objects, None)
        if handle is None:
            stack.pop()
            continue
        own_clip = None if clip is None else _clipped(handle, to_seen, clip)
        if pdfium.FPDFPageObj_GetType(handle) != pdfium.FPDF_PAGEOBJ_FORM:
            yield handle, to_seen, own_clip
        elif len(stack) < _MAX_DEPTH:
            count = pdfium.FPDFFormObj_CountObjects(handle)
            inner = (pdfium.FPDFFormObj_GetObject(form, index) for form, index in [(handle, i) for i in range(count)])
            stack.append((inner, then(_matrix_of(handle), to_seen), own_clip))


def _matrix_of(handle: Any) -> Matrix:
    matrix = pdfium.FS_MATRIX()
    if not pdfium.FPDFPageObj_GetMatrix(handle, matrix):
        return IDENTITY
    return matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f


def _clipped(handle: Any, to_seen: Matrix, clip: Box) -> Box | None:
    """Return what of a clip remains after an object's own clip paths, each taken for the box around it."""
    path = pdfium.FPDFPageObj_GetClipPath(handle)
    remaining: Box | None = clip
    for index in range(max(0, pdfium.FPDFClipPath_CountPaths(path)) if path else 0):
        x, y, points = ctypes.c_float(), ctypes.c_float(), []
        for place in range(max(0, pdfium.FPDFClipPath_CountPathSegments(path, index))):
            pdfium.FPDFPathSegment_GetPoint(pdfium.FPDFClipPath_GetPathSegment(path, index, place), x, y)
            points.append((x.value, y.value))
        if not points or remaining is None:
            return None
        remaining = common(remaining, around(points, to_seen))
    return remaining


def _is_unseen(handle: Any) -> bool:
    """Say whether an object leaves no mark on white paper."""
    kind = pdfium.FPDFPageObj_GetType(handle)
    if kind == pdfium.FPDF_PAGEOBJ_TEXT:
        return bool(pdfium.FPDFTextObj_GetTextRenderMode(handle) == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE)
    if kind == pdfium.FPDF_PAGEOBJ_PATH:
        fill, stroke = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDFPath_GetDrawMode(handle, fill, stroke)
        return not stroke.value and (not fill.value or _is_white(handle))
    return False


def _is_white(handle: Any) -> bool:
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    pdfium.FPDFPageObj_GetFillColor(handle, red, green, blue, alpha)
    return bool(red.value == green.value == blue.value == 255)
