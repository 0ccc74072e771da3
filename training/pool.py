"""The pool of training lines: rendered by a process of its own, shard after shard, and reused a few times."""

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.fonts import load_fonts
from training.lines import Line, LineSource
from training.model import HEIGHT, WIDTH
from training.texts import HARD_KINDS

SHARD_LINES = 1024
LINE_SEED = 1_000_000  # shard n of a run is rendered from LINE_SEED + n; held-out lines use seeds below it
REUSE = 2.0  # how often a line is trained on, on average


@dataclass(frozen=True, slots=True)
class Sample:
    """A line as the model sees it: grey pixels (HEIGHT, width), its text and its character centres in those pixels."""

    pixels: NDArray[np.uint8]
    text: str
    centers: NDArray[np.float32]


def fit(line: Line) -> Sample:
    """Resize a line as the checkpoint's image processor does: keep the ratio, at most HEIGHT by WIDTH, bilinear."""
    height, width = line.pixels.shape
    scale = min(HEIGHT / height, WIDTH / width)
    size = max(1, int(width * scale)), int(height * scale)
    resized = np.asarray(Image.fromarray(line.pixels).resize(size, Image.Resampling.BILINEAR))
    pixels = np.full((HEIGHT, size[0]), 255, np.uint8)
    pixels[: size[1]] = resized
    return Sample(pixels, line.text, line.centers * (size[0] / width))


def write_shard(samples: list[Sample], path: Path) -> None:
    """Write samples as PATH.npy (all pixels side by side) and PATH.npz (the rest; its presence says both are whole)."""
    np.save(path.with_suffix(".npy"), np.concatenate([sample.pixels for sample in samples], axis=1).T)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(
            file,
            widths=np.array([sample.pixels.shape[1] for sample in samples]),
            texts=np.array([sample.text for sample in samples]),
            centers=np.concatenate([sample.centers for sample in samples]),
        )
    partial.rename(path)


def read_shard(path: Path) -> list[Sample]:
    """Map the samples of one shard into memory, which the training processes share."""
    pixels = np.load(path.with_suffix(".npy"), mmap_mode="r")
    with np.load(path) as shard:
        widths, texts, centers = (shard[name] for name in ("widths", "texts", "centers"))
    samples, column, character = [], 0, 0
    for width, text in zip(widths.tolist(), texts.tolist(), strict=True):
        end = character + len(text)
        samples.append(Sample(pixels[column : column + width].T, text, centers[character:end]))
        column, character = column + width, end
    return samples


def render_ahead(folder: Path) -> None:
    """Render shards for ever, staying a little ahead of the trainer; end when the trainer, our parent, has gone."""
    fonts = [face for face in load_fonts() if not face.is_unseen]
    folder.mkdir(parents=True, exist_ok=True)
    parent = os.getppid()
    shard = len(list(folder.glob("*.npz")))
    while os.getppid() == parent:
        seen = folder / "lines_seen"
        wanted = 12 + (int(seen.read_text() or 0) if seen.exists() else 0) / SHARD_LINES / REUSE
        if shard >= wanted:
            time.sleep(1)
            continue
        source = LineSource(fonts, LINE_SEED + shard, emphasis=HARD_KINDS)
        write_shard([fit(source.line()) for _ in range(SHARD_LINES)], folder / f"{shard:06}.npz")
        shard += 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    render_ahead(parser.parse_args().folder)
