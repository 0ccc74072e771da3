"""Linear layers in the form that runs fastest for a precision: prepacked by oneDNN on a CPU, plain elsewhere."""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from worker.recognizer.configuration import Activation
from worker.recognizer.int8 import Int8Linear, Int8RowLinear
from worker.recognizer.precision import Precision

# oneDNN's kernels for 1 to 3 rows read the weights at half the bandwidth that they reach with 4.
# Measured on 2 cores, one decoder step of trocr-base in float32: 1 row 58 ms, 4 rows 28 ms.
MIN_PACKED_ROWS = 4


class Linear(Protocol):
    """x @ weight.T + bias, then an activation."""

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""


def make_linear(
    precision: Precision,
    weight: Tensor,
    bias: Tensor | None,
    *,
    rows: int,
    activation: Activation = "none",
    by_row: bool = False,
    output: torch.dtype | None = None,
) -> Linear:
    """Build a linear layer from float32 weights.

    Args:
        precision: where and in what to compute.
        weight: (outputs, inputs).
        bias: (outputs,) or None.
        rows: how many rows one call usually has; prepacked layouts are chosen for it.
        activation: applied to the result.
        by_row: in int8, scale each row for itself (rows of different lines), not all rows together (one line).
        output: the type of the result, where an int8 layer can choose it freely.
    """
    if precision.int8:
        kind = Int8RowLinear if by_row else Int8Linear
        return kind(weight, bias, rows=rows, activation=activation, output=output or precision.stream)
    if precision.packs and activation != "gelu_tanh":
        return PackedLinear(weight, bias, rows=rows, activation=activation, dtype=precision.stream)
    return PlainLinear(weight.to(precision.device, precision.stream), bias, activation)


def activate(x: Tensor, activation: Activation) -> Tensor:
    """Apply an activation as transformers defines it."""
    if activation == "gelu":
        return functional.gelu(x)
    if activation == "gelu_tanh":
        return functional.gelu(x, approximate="tanh")
    return functional.relu(x) if activation == "relu" else x


class PlainLinear:
    """torch's own linear layer; what CUDA runs."""

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: Activation) -> None:
        self._weight = weight
        self._bias = None if bias is None else bias.to(weight.device, weight.dtype)
        self._activation = activation

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        return activate(functional.linear(x, self._weight, self._bias), self._activation)


class PackedLinear:
    """oneDNN's linear layer with the weights reordered once and the activation fused.

    On 2 cores this reaches 200 GFLOP/s in float32 where torch's default (MKL) reaches 130 to 190, and reads the
    weights of a decoder step of 16 rows in 49 ms instead of 138.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, *, rows: int, activation: Activation, dtype: torch.dtype
    ) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype).contiguous(), rows)
        self._bias = None if bias is None else bias.to(dtype).clone()
        self._activation = activation
        self._algorithm = "none" if activation == "gelu" else ""

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        shape = x.shape
        flat = x.reshape(-1, shape[-1])
        rows = flat.shape[0]
        if rows < MIN_PACKED_ROWS:
            flat = functional.pad(flat, (0, 0, 0, MIN_PACKED_ROWS - rows))
        y: Tensor = torch.ops.mkldnn._linear_pointwise(
            flat, self._weight, self._bias, self._activation, [], self._algorithm
        )
        return y[:rows].view(*shape[:-1], y.shape[-1])
