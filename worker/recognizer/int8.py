"""Linear layers in 8-bit integers: weights scaled per output channel, activations scaled as they come.

oneDNN multiplies unsigned 8-bit activations with signed 8-bit weights into 32-bit sums (VNNI), and applies scales, bias
and activation while the sums are still in registers: about 0.8 TOP/s on 2 cores against 0.2 TFLOP/s in float32.
"""

import warnings
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from worker.recognizer.configuration import Activation

_MIN_ROWS = 4  # of fewer, oneDNN reads the weights no faster
_QUANTIZED_AT_ONCE = 2048
_ZERO_POINT = 128
_UNIT_SCALE = 1 / 127  # of a row whose largest value is one


def quantize_weight(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return int8 weights (outputs, inputs) and their scales (outputs,), symmetric per output channel."""
    quantized = torch.empty(weight.shape, dtype=torch.int8)
    scales = torch.empty(weight.shape[0])
    # in slices: an output projection of 50,000 tokens would take 200 MB for each step of this arithmetic
    for start in range(0, weight.shape[0], _QUANTIZED_AT_ONCE):
        part = slice(start, start + _QUANTIZED_AT_ONCE)
        scales[part] = weight[part].abs().amax(dim=1).clamp_min(1e-12) / 127
        quantized[part] = (weight[part] / scales[part, None]).round_().clamp_(-127, 127).to(torch.int8)
    return quantized, scales


class _PackedInt8:
    """What both kinds share: prepacked weights and the call into oneDNN."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, *, rows: int, activation: Activation, output: torch.dtype
    ) -> None:
        _warn_of_deprecation_once()
        # the overload by its name: choosing among them takes time at each call
        self._product = torch.ops.onednn.qlinear_pointwise.default
        quantized, self._scales = quantize_weight(weight)
        self._weight = torch.ops.onednn.qlinear_prepack(quantized, [rows, weight.shape[1]])
        self._zero_points = torch.zeros(weight.shape[0], dtype=torch.int64)
        self._bias = None if bias is None else bias.clone()
        self._output = output
        self._fused = {"gelu": "gelu", "gelu_tanh": "gelu", "relu": "relu", "none": "none"}[activation]
        self._algorithm = {"gelu": "none", "gelu_tanh": "tanh"}.get(activation, "")

    def _multiply(self, x: Tensor, scale: float, zero_point: int, *, bias: Tensor | None, fused: str) -> Tensor:
        y: Tensor = self._product(
            x, scale, zero_point, self._weight, self._scales, self._zero_points, bias,
            1.0, 0, self._output, fused, [], self._algorithm if fused != "none" else "",
        )  # fmt: skip
        return y


class Int8Linear(_PackedInt8):
    """One scale for all rows of a call: for the rows of one line, so that no line depends on its neighbours."""

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        flat = x.reshape(-1, x.shape[-1]).float().contiguous()
        low, high = (float(value) for value in torch.aminmax(flat))
        low, high = min(low, 0.0), max(high, 0.0)
        scale = max(high - low, 1e-12) / 255
        zero_point = min(max(round(-low / scale), 0), 255)
        quantized = _quantize(flat, scale, zero_point)
        y = self._multiply(quantized, scale, zero_point, bias=self._bias, fused=self._fused)
        return y.view(*x.shape[:-1], y.shape[-1])


class Int8RowLinear(_PackedInt8):
    """One scale per row: for rows that belong to different lines, which must not depend on their neighbours.

    A decoder step calls 73 of these on a few rows each, and each streams its weights through the very caches that hold
    the interpreter: every operation saved here is worth more than it takes alone.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, *, rows: int, activation: Activation, output: torch.dtype
    ) -> None:
        super().__init__(weight, bias, rows=rows, activation=activation, output=output)
        self._activation = activation
        self._output = torch.float32
        self._final = output
        self._inputs = weight.shape[1]
        self._few = torch.zeros(_MIN_ROWS, self._inputs)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        flat = x.reshape(-1, self._inputs).float()
        rows = flat.shape[0]
        largest = flat.abs().amax(1, keepdim=True).clamp_min_(1e-12)  # (rows, 1)
        if rows < _MIN_ROWS:
            torch.div(flat, largest, out=self._few[:rows])  # what the other rows hold matters to none
            scaled = self._few
        else:
            scaled = flat / largest
        quantized = _quantize(scaled, _UNIT_SCALE, _ZERO_POINT)
        y = self._multiply(quantized, _UNIT_SCALE, _ZERO_POINT, bias=None, fused="none")[:rows]
        y = y.mul_(largest) if self._bias is None else torch.addcmul(self._bias, y, largest)
        if self._activation == "relu":
            y = y.relu_()
        elif self._activation != "none":
            y = functional.gelu(y, approximate="tanh" if self._activation == "gelu_tanh" else "none")
        return y.view(*x.shape[:-1], y.shape[-1]).to(self._final)


def _quantize(x: Tensor, scale: float, zero_point: int) -> Tensor:
    """Return unsigned 8-bit integers of contiguous float32 values in one fused pass.

    torch deprecates its quantized tensor types but offers no other fused operator; the integers are taken out of such
    a tensor without the copy that `int_repr` makes.
    """
    quantized = torch.quantize_per_tensor(x, scale, zero_point, torch.quint8)
    integers = torch.empty(0, dtype=torch.uint8)
    return integers.set_(quantized.untyped_storage(), 0, x.shape, quantized.stride())


@cache
def _warn_of_deprecation_once() -> None:
    """Let torch give its warning unheard; hushing it at every call takes longer than the small calls themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        _quantize(torch.zeros(1), 1.0, 0)
