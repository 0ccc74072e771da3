"""What a user would pick instead of Inkpost to cut a document: poppler's pdftoppm at 300 dpi and Pillow, or pikepdf.

None of them is confined, and none knows rotation, clips, masks, several places of a field or typed text; they do the
part of the work that the bench's plain documents need.
"""

import io
import shutil
import subprocess
import tempfile
from pathlib import Path

import pikepdf
from PIL import Image

_DPI = 300


def has_poppler() -> bool:
    return shutil.which("pdftoppm") is not None


def fields_by_poppler(pdf: bytes) -> int:
    """Draw all pages with pdftoppm, crop each field with Pillow, encode it as PNG; return how many lines came of it."""
    scale, count = _DPI / 72, 0
    with tempfile.TemporaryDirectory() as folder, pikepdf.open(io.BytesIO(pdf)) as document:
        drawn = _drawn(pdf, Path(folder))
        for page, file in zip(document.pages, drawn, strict=True):
            height = float(page.mediabox[3])
            with Image.open(file) as picture:
                for annotation in page.obj.Annots:
                    x0, y0, x1, y1 = (float(number) for number in annotation.Rect)
                    box = (x0 * scale, (height - y1) * scale, x1 * scale, (height - y0) * scale)
                    _encode(picture.crop(tuple(map(round, box))))
                    count += 1
    return count


def pages_by_poppler(pdf: bytes) -> int:
    """Draw all pages with pdftoppm as PNG and read them."""
    with tempfile.TemporaryDirectory() as folder:
        return len([file.read_bytes() for file in _drawn(pdf, Path(folder))])


def images_by_pikepdf(pdf: bytes) -> int:
    """Take each picture out with pikepdf and encode it as PNG with Pillow."""
    count = 0
    with pikepdf.open(io.BytesIO(pdf)) as document:
        for page in document.pages:
            for image in page.images.values():
                _encode(pikepdf.PdfImage(image).as_pil_image())
                count += 1
    return count


def _drawn(pdf: bytes, folder: Path) -> list[Path]:
    file = folder / "document.pdf"
    file.write_bytes(pdf)
    subprocess.run(["pdftoppm", "-r", str(_DPI), "-png", file, folder / "page"], check=True)
    return sorted(folder.glob("page*.png"))


def _encode(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
