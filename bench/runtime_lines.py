"""What every row of the runtime bench reads: 64 pictures, and how many tokens each is made to have."""

import math

import numpy as np
from numpy.typing import NDArray

# Token counts that look like IAM's lines: most near 20, from 5 to 45, shuffled. Fixed, so that figures compare.
TOKEN_COUNTS = (
    18, 22, 9, 25, 14, 31, 20, 16, 27, 12, 21, 38, 19, 7, 24, 17,
    29, 15, 23, 11, 20, 33, 18, 26, 13, 22, 45, 16, 20, 10, 28, 19,
    24, 14, 21, 36, 17, 8, 23, 30, 15, 19, 25, 12, 20, 34, 18, 22,
    5, 27, 16, 21, 41, 13, 24, 19, 32, 11, 17, 26, 20, 15, 23, 29,
)  # fmt: skip

SINGLE_TOKENS = 20


def pictures(count: int) -> list[NDArray[np.uint8]]:
    """Return line pictures (height, width, 3) of the sizes that scans at 300 dpi have."""
    rng = np.random.default_rng(64)
    found = []
    for _ in range(count):
        height, width = int(rng.integers(70, 140)), int(rng.integers(900, 2100))
        coarse = rng.integers(0, 256, (math.ceil(height / 8), math.ceil(width / 8)), dtype=np.uint8)
        grey = np.repeat(np.repeat(coarse, 8, 0), 8, 1)[:height, :width]
        found.append(np.ascontiguousarray(np.repeat(grey[:, :, None], 3, axis=2)))
    return found


def token_counts(count: int) -> list[int]:
    """Return how many tokens each of the first lines has."""
    return [TOKEN_COUNTS[number % len(TOKEN_COUNTS)] for number in range(count)]
