"""The documents that bench/documents.py cuts: made here, alike on every machine."""

import io
import itertools
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

WIDTH, HEIGHT = 595, 842
TOP, ROW, FIELD_WIDTH, FIELD_HEIGHT = 40, 26, 300, 20


def field_form(pages: int, rows: int, *, scan_dpi: int | None = None) -> bytes:
    """Build a form with fields below each other, inked with strokes, or on a scan of inked paper."""
    random = np.random.default_rng(7)

    def draw(canvas: Canvas, page: int) -> None:
        if scan_dpi is not None:
            canvas.drawImage(ImageReader(_jpeg(_paper(random, scan_dpi, rows))), 0, 0, WIDTH, HEIGHT)
        for row in range(rows):
            bottom = HEIGHT - TOP - ROW * row - FIELD_HEIGHT
            if scan_dpi is None:
                _strokes(canvas, random, 60, bottom)
            canvas.acroForm.textfield(name=f"p{page}r{row}", x=50, y=bottom, width=FIELD_WIDTH, height=FIELD_HEIGHT)

    return _document(pages, (WIDTH, HEIGHT), draw)


def picture_document(lines: int, per_page: int) -> bytes:
    """Build a document of scanned lines, 1000 x 130 pixels of grey JPEG each."""
    random = np.random.default_rng(8)

    def draw(canvas: Canvas, page: int) -> None:
        for row in range(min(per_page, lines - page * per_page)):
            bottom = HEIGHT - 40 - 26 * row - 22
            canvas.drawImage(ImageReader(_jpeg(line_picture(random))), 50, bottom, 170, 22)

    return _document(-(-lines // per_page), (WIDTH, HEIGHT), draw)


def page_document(pages: int) -> bytes:
    """Build a document whose pages are as large as a line, with strokes."""
    random = np.random.default_rng(9)
    return _document(pages, (400, 40), lambda canvas, _page: _strokes(canvas, random, 20, 10))


def line_picture(random: np.random.Generator) -> Image.Image:
    """Draw a line of ink on grey, noisy paper."""
    picture = Image.fromarray(random.normal(240, 4, (130, 1000)).clip(0, 255).astype(np.uint8))
    _scribble(ImageDraw.Draw(picture), random, (20, 20, 980, 110))
    return picture


def _paper(random: np.random.Generator, dpi: int, rows: int) -> Image.Image:
    scale = dpi / 72
    noise = random.normal(244, 2, (round(HEIGHT * scale), round(WIDTH * scale)))
    picture = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for row in range(rows):
        top = (TOP + ROW * row) * scale
        _scribble(draw, random, (55 * scale, top, 340 * scale, top + FIELD_HEIGHT * scale))
    return picture


def _scribble(draw: ImageDraw.ImageDraw, random: np.random.Generator, box: tuple[float, float, float, float]) -> None:
    columns = np.linspace(box[0], box[2], 40)
    heights = random.uniform(box[1], box[3], 40)
    draw.line(list(zip(columns, heights, strict=True)), fill=40, width=4)


def _strokes(canvas: Canvas, random: np.random.Generator, left: float, bottom: float) -> None:
    columns = np.linspace(left, left + 250, 40)
    heights = random.uniform(bottom, bottom + FIELD_HEIGHT, 40)
    points = list(zip(columns, heights, strict=True))
    canvas.lines([(*one, *other) for one, other in itertools.pairwise(points)])


def _jpeg(picture: Image.Image) -> io.BytesIO:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=75)
    file.seek(0)
    return file


def _document(pages: int, size: tuple[float, float], draw: Callable[[Canvas, int], None]) -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=size, invariant=1)
    for page in range(pages):
        draw(canvas, page)
        canvas.showPage()
    canvas.save()
    return file.getvalue()
