"""Get the pixels of reference lines: decoded in a sandbox as the service does it, cut out of their pages."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw

from core.errors import CorruptImage, ImageDimensions, LineError
from worker.evaluation.reference import Point, ReferenceLine
from worker.line_image import LineImage


class Decoder(Protocol):
    """Decodes untrusted bytes; the image sandbox is one."""

    def decode(self, images: Sequence[bytes], /) -> Sequence[LineImage | LineError]:
        """Return the image or the error of each, in order."""


class LineImages:
    """Loads line images; remembers the last page, since the lines of a page come one after the other."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._last_page: dict[Path, LineImage | LineError] = {}

    def load(self, lines: Sequence[ReferenceLine]) -> list[LineImage | LineError]:
        """Return the image or the error of each line, in order."""
        pictures = {line.image: self._last_page[line.image] for line in lines if line.image in self._last_page}
        missing = [path for path in dict.fromkeys(line.image for line in lines) if path not in pictures]
        pictures |= self._decode(missing)
        if lines:
            last = lines[-1]
            self._last_page = {last.image: pictures[last.image]} if last.outline else {}
        return [_line_of(pictures[line.image], line.outline) for line in lines]

    def _decode(self, paths: list[Path]) -> dict[Path, LineImage | LineError]:
        pictures: dict[Path, LineImage | LineError] = {}
        contents: dict[Path, bytes] = {}
        for path in paths:
            try:
                contents[path] = path.read_bytes()
            except OSError as error:
                pictures[path] = CorruptImage(f"The file cannot be read: {error.strerror}.")
        if contents:
            pictures |= zip(contents, self._decoder.decode(list(contents.values())), strict=True)
        return pictures


def _line_of(picture: LineImage | LineError, outline: tuple[Point, ...]) -> LineImage | LineError:
    return picture if isinstance(picture, LineError) or not outline else crop(picture, outline)


def crop(page: LineImage, outline: tuple[Point, ...]) -> LineImage | LineError:
    """Cut the box around the outline out of the page.

    What lies in the box but outside a slanted or curved outline is another line's ink, and is painted over with the
    line's median colour: its paper.
    """
    xs, ys = [x for x, _ in outline], [y for _, y in outline]
    left, top = max(math.floor(min(xs)), 0), max(math.floor(min(ys)), 0)
    right, bottom = min(math.ceil(max(xs)), page.width), min(math.ceil(max(ys)), page.height)
    if left >= right or top >= bottom:
        return ImageDimensions("The line's outline holds no pixel of its page.")
    pixels = page.pixels[top:bottom, left:right].copy()  # (height, width, 3)
    is_box = all(x in {min(xs), max(xs)} and y in {min(ys), max(ys)} for x, y in outline)
    if len(outline) > 2 and not is_box:
        mask = Image.new("1", (right - left, bottom - top))
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in outline], fill=1, outline=1)
        inside = np.asarray(mask)  # (height, width)
        if inside.any():
            pixels[~inside] = np.median(pixels[inside], axis=0).astype(np.uint8)
    return LineImage(pixels)
