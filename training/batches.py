"""Batches: lines of like width from the pool, normalised, shifted a little, padded as they will be at inference."""

import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.model import EOS, HEIGHT, PAD, PIXEL_STD, POSITIONS, STRIP, encode
from training.pool import SHARD_LINES, Sample, read_shard

POOL_SHARDS = 48  # the newest ones are drawn from
POSITIONS_PER_BATCH = 1400  # in each process
WIDE_SHARE, LATE_WIDE_SHARE, LATE = (
    0.06,
    0.3,
    0.85,
)  # how many batches are padded far beyond their widest line, and when


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines of like width, ready for the model."""

    pixels: Tensor  # (batch, HEIGHT, strips * STRIP), normalised
    strips: Tensor  # (batch,) strips that hold a line's own pixels
    tokens: Tensor  # (batch, length) text, then EOS, then PAD
    places: Tensor  # (batch, length) strip of each character's centre, -1 beyond the text


def make_batch(
    samples: list[Sample], rng: np.random.Generator, strips: int | None = None, exact: bool = False
) -> Batch:
    """Put samples into one batch, each shifted a little unless exact; strips is the width to pad to."""
    shifts = [0 if exact else int(rng.integers(0, STRIP + 3)) for _ in samples]
    widths = [
        min(sample.pixels.shape[1] + shift, POSITIONS * STRIP) for sample, shift in zip(samples, shifts, strict=True)
    ]
    needed = max(-(-width // STRIP) for width in widths)
    strips = max(needed, strips or 0)
    length = max(len(sample.text) for sample in samples) + 1
    pixels = np.zeros((len(samples), HEIGHT, strips * STRIP), np.float32)
    tokens = torch.full((len(samples), length), PAD)
    places = torch.full((len(samples), length), -1)
    for row, (sample, shift, width) in enumerate(zip(samples, shifts, widths, strict=True)):
        ink = (sample.pixels[:, : width - shift].astype(np.float32) * (1 / 255) - 1) * (1 / PIXEL_STD)
        if not exact:
            ink *= np.float32(rng.uniform(0.85, 1.1))
            lift = int(rng.integers(-2, 3))
            if lift:
                ink = (
                    np.concatenate((ink[lift:], ink[-1:].repeat(lift, 0)))
                    if lift > 0
                    else np.concatenate((ink[:1].repeat(-lift, 0), ink[:lift]))
                )
            pixels[row, :, :shift] = ink[:, :1]
        pixels[row, :, shift:width] = ink
        ids = encode(sample.text)
        tokens[row, : len(ids)] = torch.tensor(ids)
        tokens[row, len(ids)] = EOS
        places[row, : len(ids)] = torch.from_numpy((sample.centers + shift) / STRIP).long().clamp(0, strips - 1)
    return Batch(torch.from_numpy(pixels), torch.tensor([-(-width // STRIP) for width in widths]), tokens, places)


class Batches:
    """Draw batches from the pool for ever."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.pool: dict[str, list[Sample]] = {}
        self.random = random.Random(seed)
        self.rng = np.random.default_rng(seed)
        self.waiting: list[tuple[list[Sample], int]] = []
        self.share = 0.0

    def next(self, share: float) -> Batch:
        """Return the next batch; share is how much of the budget is spent."""
        self.share = share
        while not self.waiting:
            self.draw()
        samples, strips = self.waiting.pop()
        return make_batch(samples, self.rng, strips)

    def extra_strips(self) -> int:
        """Draw how many strips a batch is padded to at least: mostly no more than it needs, at times all there are."""
        if self.random.random() > (WIDE_SHARE if self.share < LATE else LATE_WIDE_SHARE):
            return 0
        return POSITIONS if self.random.random() < 0.5 else self.random.randint(40, POSITIONS)

    def draw(self) -> None:
        """Draw lines from the whole pool and group them by width."""
        for path in sorted(self.folder.glob("*.npz")):
            if path.name not in self.pool:
                self.pool[path.name] = read_shard(path)
        if len(self.pool) < 4:
            time.sleep(1)
            return
        shards = list(self.pool.values())[-POOL_SHARDS:]
        drawn = [self.random.choice(self.random.choice(shards)) for _ in range(3 * SHARD_LINES)]
        drawn.sort(key=lambda sample: sample.pixels.shape[1] + self.random.uniform(0, 40))
        group: list[Sample] = []
        wide = self.extra_strips()
        for sample in drawn:
            strips = max(wide, -(-(sample.pixels.shape[1] + STRIP + 3) // STRIP))
            if (len(group) + 1) * strips > POSITIONS_PER_BATCH:
                self.waiting.append((group, wide))
                group, wide = [], self.extra_strips()
            group.append(sample)
        self.random.shuffle(self.waiting)
