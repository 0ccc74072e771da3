"""BEiT's relative position bias, computed once: for a fixed image size it does not depend on the image."""

import torch
from torch import Tensor
from torch.nn import functional

from worker.recognizer.configuration import EncoderShape
from worker.recognizer.weights import Weights

_SPECIAL_DISTANCES = 3  # token from the class token, to it, and the class token with itself


def relative_position_bias(shape: EncoderShape, weights: Weights, name: str) -> Tensor | None:
    """Return what is added to attention scores, (1, H, N, N), or None when the checkpoint has no such table."""
    table = weights.find(f"{name}.relative_position_bias_table")  # (distances, H)
    if table is None:
        return None
    down, across = shape.window
    rows, columns = 2 * down - 1, 2 * across - 1
    # transformers reads the table as (columns, rows) and resizes it to (rows, columns): nothing for a square window,
    # and for another one part of the model, which was trained with it
    # https://github.com/huggingface/transformers/blob/v5.0.0/src/transformers/models/beit/modeling_beit.py
    grid = table[:-_SPECIAL_DISTANCES].reshape(1, columns, rows, -1).permute(0, 3, 1, 2)
    grid = functional.interpolate(grid, size=(rows, columns), mode="bilinear")
    distances = grid.permute(0, 2, 3, 1).reshape(rows * columns, -1)
    table = torch.cat([distances, table[-_SPECIAL_DISTANCES:]])
    bias = table[_relative_index(down, across)]  # (N, N, H)
    return bias.permute(2, 0, 1).unsqueeze(0).contiguous()


def _relative_index(down: int, across: int) -> Tensor:
    """Return for each pair of tokens its row in the table, (N, N); the class token comes first."""
    ys, xs = torch.meshgrid(torch.arange(down), torch.arange(across), indexing="ij")
    ys, xs = ys.flatten(), xs.flatten()
    from_above = ys[:, None] - ys[None, :] + down - 1
    from_left = xs[:, None] - xs[None, :] + across - 1
    distances = (2 * down - 1) * (2 * across - 1)
    index = torch.zeros(down * across + 1, down * across + 1, dtype=torch.long)
    index[1:, 1:] = from_above * (2 * across - 1) + from_left
    index[0, 1:] = distances
    index[1:, 0] = distances + 1
    index[0, 0] = distances + 2
    return index
