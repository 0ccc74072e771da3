"""Synthetic line images: text in a handwriting font, bent, inked, put on paper and scanned, all from one seed."""

import functools
import io
import string
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from training.fonts import FontFace
from training.texts import TextSource

Pixels = NDArray[np.uint8]
# Letters must be wider than the model's strips (7/48 of the height), or nothing can be aligned: narrower hands are
# stretched. This is the mean advance of the alphabet over the height of the line.
MIN_LETTER_WIDTH = 0.27
ALPHABET = string.ascii_lowercase + string.digits


@dataclass(frozen=True, slots=True)
class Line:
    """A rendered line: grey pixels (height, width), its text, and where each character's centre is (pixels)."""

    pixels: Pixels
    text: str
    centers: NDArray[np.float32]
    font: str


@dataclass(frozen=True, slots=True)
class Cut:
    """What to cut out of the drawn ink (left, top, right, bottom), and how wide its letters are."""

    box: tuple[int, int, int, int]
    letter_width: float


@functools.lru_cache(maxsize=512)
def load_face(path: str, size: int) -> tuple[ImageFont.FreeTypeFont, int, int, int, float]:
    """Open a font; also tell the tops of `d` and `x`, the bottom of `g`, and the mean width of a letter."""
    font = ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    return (
        font,
        int(font.getbbox("d", anchor="ls")[1]),
        int(font.getbbox("x", anchor="ls")[1]),
        int(font.getbbox("g", anchor="ls")[3]),
        font.getlength(ALPHABET) / len(ALPHABET),
    )


@functools.lru_cache(maxsize=1)
def noise_bank() -> NDArray[np.float32]:
    """Return a big field of unit noise that lines cut their grain from: drawing it anew would cost more than a line."""
    return np.random.default_rng(0).standard_normal(1 << 20).astype(np.float32)


class LineSource:
    """Render one line after another; the same seed renders the same lines."""

    def __init__(
        self,
        fonts: list[FontFace],
        seed: int,
        strength: float = 1.0,
        emphasis: Mapping[str, float] | None = None,
    ) -> None:
        self.fonts = fonts
        self.texts = TextSource(seed, emphasis)
        self.rng = np.random.default_rng(seed)
        self.strength = strength  # 1.0: as in training; less: milder distortions

    def line(self, text: str | None = None) -> Line:
        """Render the given text, or one that is drawn, in a font that is drawn."""
        for _ in range(100):
            face = self.fonts[self.rng.integers(len(self.fonts))]
            drawn = self.texts.line() if text is None else text
            if face.characters.issuperset(drawn):
                return self.render(drawn, face)
        raise ValueError(f"no font here has all the characters of {drawn!r}")

    def render(self, text: str, face: FontFace) -> Line:
        """Render one text in one font: the ink first, then the bends, the paper and the scanner."""
        mask, centers, cut = self.draw_ink(text, face)
        mask, centers = self.bend(mask, centers, cut)
        pixels = self.put_on_paper(self.change_stroke(mask))
        return Line(self.scan(pixels), text, centers, face.name)

    def draw_ink(self, text: str, face: FontFace) -> tuple[Image.Image, NDArray[np.float32], Cut]:
        """Draw the text as a mask; also return the character centres and what to cut."""
        rng = self.rng
        size = int(rng.integers(32, 56))
        font, d_top, x_top, g_bottom, letter_width = load_face(str(face.path), size)
        spread = rng.normal(0.0, 0.03) * size if rng.random() < 0.4 else 0.0
        loose = rng.random() < 0.4
        advances = [
            font.getlength(character) + (spread + (rng.normal(0, 0.015) * size if loose else 0.0)) for character in text
        ]
        ends = np.cumsum(advances)
        if not loose and spread == 0.0:
            # The font's own kerning: measured as a whole, shared out over the characters.
            ends *= font.getlength(text) / ends[-1]
        starts = np.concatenate(([0.0], ends[:-1]))
        pad = size
        width, baseline = int(ends[-1]) + 2 * pad, int(1.7 * size)
        image = Image.new("L", (width, int(3.0 * size)), 0)
        draw = ImageDraw.Draw(image)
        if loose or spread:
            for character, start in zip(text, starts, strict=True):
                if character != " ":
                    shift = rng.normal(0, 0.02) * size if loose else 0.0
                    draw.text((pad + start, baseline + shift), character, fill=255, font=font, anchor="ls")
        else:
            draw.text((pad, baseline), text, fill=255, font=font, anchor="ls")
        ink = image.getbbox() or (pad, baseline + d_top, width - pad, baseline)
        if rng.random() < 0.55:
            top, bottom = baseline + d_top, baseline + g_bottom
        else:
            top, bottom = baseline + x_top, baseline
        top, bottom = min(top, ink[1]), max(bottom, ink[3])
        centers = (starts + ends) / 2 + pad
        return image, centers.astype(np.float32), Cut((ink[0], top, ink[2], bottom), letter_width)

    def bend(
        self, mask: Image.Image, centers: NDArray[np.float32], cut: Cut
    ) -> tuple[Image.Image, NDArray[np.float32]]:
        """Slant, turn, stretch and wave the ink in one pass; the result is the line image's mask."""
        rng, strength = self.rng, self.strength
        left, top, right, bottom = cut.box
        height, width = bottom - top, right - left
        slant = rng.normal(0, 0.16) * strength
        angle = rng.normal(0, 0.012) * strength
        if width > 8 * height:
            angle *= 0.6
        stretch = float(np.exp(rng.normal(0, 0.13) * strength))
        stretch = max(stretch, min(2.0, MIN_LETTER_WIDTH * 1.1 * height / cut.letter_width))
        middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
        # target = linear @ (source - middle) + target middle
        linear = np.array([[stretch, -slant], [angle * stretch, 1.0]])
        corners = (
            np.array([[left, top], [right, top], [left, bottom], [right, bottom]]) - (middle_x, middle_y)
        ) @ linear.T
        margins = np.abs(rng.normal(0.02, 0.10, 4)) * height * (0.35 + 0.65 * strength)
        near = corners.min(axis=0) - margins[:2]
        far = corners.max(axis=0) + margins[2:]
        # A slanted box would leave a lot of white at both ends: the crop takes half of it back.
        overhang = abs(slant) * height / 2
        near[0] += overhang * 0.5
        far[0] -= overhang * 0.5
        out_height = int(rng.integers(38, 76))
        scale = out_height / (far[1] - near[1])
        out_width = max(8, int((far[0] - near[0]) * scale))
        inverse = np.linalg.inv(linear)
        columns = max(2, out_width // 45 + 1)
        xs = np.linspace(0, out_width, columns + 1).round().astype(int)
        ys = np.array([0, out_height // 2, out_height])
        grid = np.stack(np.meshgrid(xs, ys, indexing="ij"), axis=-1).astype(np.float64)
        source = (grid / scale + near) @ inverse.T + (middle_x, middle_y)
        wave = np.cumsum(rng.normal(0, 0.012, columns + 1)) * height * strength
        source[..., 1] += (wave - wave.mean())[:, None]
        source += rng.normal(0, 0.015 * strength * height, source.shape)
        mesh = []
        for i in range(columns):
            for j in range(2):
                quad = (source[i, j], source[i, j + 1], source[i + 1, j + 1], source[i + 1, j])
                mesh.append(
                    (
                        (int(xs[i]), int(ys[j]), int(xs[i + 1]), int(ys[j + 1])),
                        tuple(float(v) for point in quad for v in point),
                    )
                )
        bent = mask.transform(
            (out_width, out_height), Image.Transform.MESH, mesh, Image.Resampling.BILINEAR, fillcolor=0
        )
        placed = (centers - middle_x) * linear[0, 0] - near[0]
        return bent, (placed * scale).astype(np.float32)

    def change_stroke(self, mask: Image.Image) -> NDArray[np.float32]:
        """Make the pen thicker, thinner or fainter."""
        rng = self.rng
        ink = np.asarray(mask)
        draw = rng.random()
        if draw < 0.25:
            grown = ink.copy()
            grown[:, 1:] = np.maximum(ink[:, 1:], ink[:, :-1])
            if rng.random() < 0.5:
                grown[1:] = np.maximum(grown[1:], ink[:-1])
            ink = grown
        elif draw < 0.35:
            thin = ink.copy()
            thin[:, 1:] = np.minimum(ink[:, 1:], ink[:, :-1])
            ink = np.maximum(thin, ink // 2)
        mixed = ink.astype(np.float32) / 255.0
        if draw > 0.8:
            mixed = mixed ** np.float32(rng.uniform(0.5, 1.4))
        return mixed

    def put_on_paper(self, ink: NDArray[np.float32]) -> NDArray[np.float32]:
        """Lay the ink over paper: its tint, its shade, its printed rules and boxes."""
        rng = self.rng
        height, width = ink.shape
        paper = np.full((height, width), 255.0 if rng.random() < 0.3 else rng.uniform(190, 255), np.float32)
        if rng.random() < 0.3:
            paper += np.linspace(rng.uniform(-20, 20), rng.uniform(-20, 20), width, dtype=np.float32)
        draw = rng.random()
        if draw < 0.28:
            dark, thick = rng.uniform(60, 200), int(rng.integers(1, 3))
            y = int(height * rng.uniform(0.70, 0.97))
            paper[y : y + thick] = dark if rng.random() < 0.7 else paper[y : y + thick] * 0.7
            if draw < 0.08:
                paper[: int(rng.integers(1, 4))] = dark
            if draw < 0.05:
                paper[:, : int(rng.integers(1, 3))] = dark
                paper[:, -int(rng.integers(1, 3)) :] = dark
        pen = rng.uniform(0, 60) if rng.random() < 0.7 else rng.uniform(40, 120)
        return paper + ink * (pen - paper)

    def scan(self, pixels: NDArray[np.float32]) -> Pixels:
        """Blur, add grain and compress, as a cheap scanner would."""
        rng = self.rng
        if rng.random() < 0.6:
            bank = noise_bank()
            start = int(rng.integers(0, bank.size - pixels.size))
            pixels = pixels + bank[start : start + pixels.size].reshape(pixels.shape) * np.float32(
                rng.exponential(6.0 * self.strength)
            )
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        draw = rng.random()
        if draw < 0.35:
            image = image.filter(ImageFilter.BoxBlur(rng.uniform(0.2, 1.0)))
        if draw > 0.75:
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=int(rng.integers(25, 90)))
            image = Image.open(buffer)
        return np.asarray(image)
