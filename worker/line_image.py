"""The picture of one line, as plain pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class LineImage:
    """Decoded pixels of a line image, upright and composited on white.

    `pixels` has shape (height, width, 3), dtype uint8, channels in RGB order.
    """

    pixels: NDArray[np.uint8]

    @property
    def height(self) -> int:
        """Rows, in pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns, in pixels."""
        return int(self.pixels.shape[1])
