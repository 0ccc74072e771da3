"""How the decoder looks at a line's picture: two ways to compute the same cross-attention.

Shapes: S seats (lines in the running batch), R rows (S times the beams), N encoder tokens, E encoder width, D decoder
width, H heads, d width of a head.

*Projected* is the textbook's way: keys and values of every layer are computed once per line and read at every step.
For trocr-base that is 22 GFLOP and 57 MB a line (float32), and 57 MB read per token.

*Absorbed* moves the two projections to the other side of the products: q . (K e) = (K^T q) . e, and the sum of p (V e)
is V (the sum of p e). Nothing is precomputed; the memory of a line is its encoder output (1.8 MB), shared by all
layers. A token costs 0.38 GFLOP more, so it wins below about 50 tokens of greedy search and loses with beams, which
share the projected keys and values.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from worker.recognizer.configuration import DecoderShape
from worker.recognizer.linear import make_linear
from worker.recognizer.precision import Precision
from worker.recognizer.weights import Weights


class CrossAttention(Protocol):
    """The cross-attention of one layer."""

    def project(self, encoded: Tensor) -> tuple[Tensor, ...]:
        """Return what is remembered of encoder outputs (S, N, E): tensors whose first axis is the seat."""

    def attend(self, x: Tensor, memory: tuple[Tensor, ...]) -> Tensor:
        """Map rows (R, D) to rows (R, D); `memory` holds the seats of these rows, in order."""


@dataclass(frozen=True, slots=True)
class CrossWeights:
    """The float32 weights of one cross-attention, the queries already scaled by d ** -0.5."""

    query: Tensor  # (D, D)
    query_bias: Tensor | None
    key: Tensor  # (D, E)
    key_bias: Tensor | None
    value: Tensor  # (D, E)
    value_bias: Tensor | None
    out: Tensor  # (D, D)
    out_bias: Tensor | None


def read_cross_weights(weights: Weights, name: str, shape: DecoderShape) -> CrossWeights:
    """Read the weights of one layer's cross-attention."""
    scale = (shape.width // shape.heads) ** -0.5
    bias = weights.find(f"{name}.q_proj.bias")
    return CrossWeights(
        query=weights.need(f"{name}.q_proj.weight") * scale,
        query_bias=None if bias is None else bias * scale,
        key=weights.need(f"{name}.k_proj.weight"),
        key_bias=weights.find(f"{name}.k_proj.bias"),
        value=weights.need(f"{name}.v_proj.weight"),
        value_bias=weights.find(f"{name}.v_proj.bias"),
        out=weights.need(f"{name}.out_proj.weight"),
        out_bias=weights.find(f"{name}.out_proj.bias"),
    )


class Absorbed:
    """Cross-attention over the encoder's output itself."""

    def __init__(self, weights: CrossWeights, heads: int, precision: Precision, rows: int) -> None:
        self._heads = heads
        self._query = make_linear(
            precision, weights.query, weights.query_bias, rows=rows, by_row=True, output=precision.matmul
        )
        width = weights.key.shape[1]
        # a bias on the keys adds the same to every score of a row, which softmax ignores
        self._key = weights.key.view(heads, -1, width).to(precision.device, precision.matmul, copy=True)  # (H, d, E)
        value = weights.value.view(heads, -1, width).transpose(1, 2)  # (H, E, d)
        self._value = value.to(precision.device, precision.matmul).contiguous()
        # the weights of a row sum to one, so a bias on the values is a bias on the output
        out_bias = weights.out_bias
        if weights.value_bias is not None:
            moved = weights.out @ weights.value_bias
            out_bias = moved if out_bias is None else out_bias + moved
        self._out = make_linear(precision, weights.out, out_bias, rows=rows, by_row=True)

    def project(self, encoded: Tensor) -> tuple[Tensor, ...]:
        """Remember the encoder's output as it is."""
        return (encoded,)

    def attend(self, x: Tensor, memory: tuple[Tensor, ...]) -> Tensor:
        """Score the encoder's output itself, with queries taken to its space."""
        (encoded,) = memory  # (S, N, E)
        rows, seats, heads = x.shape[0], encoded.shape[0], self._heads
        q = self._query(x).view(rows, heads, -1).transpose(0, 1)  # (H, R, d)
        q = torch.bmm(q, self._key).transpose(0, 1).reshape(seats, rows // seats * heads, -1)  # (S, R/S * H, E)
        p = torch.bmm(q, encoded.transpose(1, 2)).softmax(-1)  # (S, R/S * H, N)
        seen = torch.bmm(p, encoded).view(rows, heads, -1).transpose(0, 1)  # (H, R, E)
        v = torch.bmm(seen, self._value)  # (H, R, d)
        return self._out(v.transpose(0, 1).reshape(rows, -1))


class Projected:
    """Cross-attention over keys and values computed once per line."""

    def __init__(self, weights: CrossWeights, heads: int, precision: Precision, rows: int, tokens: int) -> None:
        self._heads = heads
        self._query = make_linear(
            precision, weights.query, weights.query_bias, rows=rows, by_row=True, output=precision.matmul
        )
        self._key = make_linear(precision, weights.key, weights.key_bias, rows=tokens, output=precision.matmul)
        self._value = make_linear(precision, weights.value, weights.value_bias, rows=tokens, output=precision.matmul)
        self._out = make_linear(precision, weights.out, weights.out_bias, rows=rows, by_row=True)

    def project(self, encoded: Tensor) -> tuple[Tensor, ...]:
        """Compute keys and values, each (S, H, N, d)."""
        seats, tokens, _ = encoded.shape
        keys, values = (
            part(encoded).view(seats, tokens, self._heads, -1).transpose(1, 2).contiguous()  # (S, H, N, d)
            for part in (self._key, self._value)
        )
        return keys, values

    def attend(self, x: Tensor, memory: tuple[Tensor, ...]) -> Tensor:
        """Score the keys and sum the values; the beams of a line share both."""
        keys, values = memory  # (S, H, N, d)
        rows, seats, heads = x.shape[0], keys.shape[0], self._heads
        q = self._query(x).view(seats, rows // seats, heads, -1).transpose(1, 2)  # (S, H, R/S, d)
        p = torch.matmul(q, keys.transpose(2, 3)).softmax(-1)  # (S, H, R/S, N)
        v = torch.matmul(p, values)  # (S, H, R/S, d)
        return self._out(v.transpose(1, 2).reshape(rows, -1))
