"""The image encoder: ViT, DeiT or BEiT over the checkpoint's weights.

Shapes: B lines, N tokens (patches and special tokens), D width, H heads, d width of a head.
"""

import torch
from torch import Tensor
from torch.nn import functional

from worker.recognizer.attention import attend
from worker.recognizer.configuration import EncoderShape
from worker.recognizer.linear import Linear, make_linear
from worker.recognizer.position_bias import relative_position_bias
from worker.recognizer.precision import Precision
from worker.recognizer.weights import Weights


class Norm:
    """Layer normalisation."""

    def __init__(self, weights: Weights, name: str, precision: Precision, eps: float) -> None:
        self._weight = weights.need(f"{name}.weight").to(precision.device, precision.stream, copy=True)
        self._bias = weights.need(f"{name}.bias").to(precision.device, precision.stream, copy=True)
        self._eps = eps

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        return functional.layer_norm(x, self._weight.shape, self._weight, self._bias, self._eps)


class Encoder:
    """Turns pixel values into the hidden states that the decoder attends to."""

    def __init__(self, shape: EncoderShape, weights: Weights, precision: Precision) -> None:
        self.shape = shape
        self._precision = precision
        name = "encoder.embeddings"
        projection = weights.need(f"{name}.patch_embeddings.projection.weight")  # (D, 3, patch height, patch width)
        down, across = shape.window
        self._patches = make_linear(
            precision,
            projection.reshape(shape.width, -1),
            weights.need(f"{name}.patch_embeddings.projection.bias"),
            rows=down * across,
        )
        special = [weights.need(f"{name}.cls_token")]
        if shape.family == "deit":
            special.append(weights.need(f"{name}.distillation_token"))
        prefix = torch.cat(special, dim=1)  # (1, 1 or 2, D)
        positions = weights.find(f"{name}.position_embeddings")  # (1, N, D)
        self.tokens = prefix.shape[1] + down * across
        offsets = torch.zeros(1, self.tokens, shape.width) if positions is None else positions.clone()
        offsets[:, : prefix.shape[1]] += prefix
        self._special = prefix.shape[1]
        self._offsets = offsets.to(precision.device, precision.stream)  # (1, N, D)
        shared = relative_position_bias(shape, weights, "encoder.shared_position_bias")
        self._layers = [
            _Layer(shape, weights, precision, f"encoder.layers.{number}", tokens=self.tokens, shared_bias=shared)
            for number in range(shape.layers)
        ]
        self._norm = (
            Norm(weights, "encoder.layernorm", precision, shape.layer_norm_eps) if shape.has_final_norm else None
        )

    def encode(self, pixels: Tensor) -> Tensor:
        """Map pixel values (B, 3, height, width) to hidden states (B, N, D)."""
        (down, across), (patch_height, patch_width) = self.shape.window, self.shape.patch
        lines = pixels.shape[0]
        pixels = pixels.to(self._precision.device, self._precision.stream, non_blocking=True)
        pixels = pixels[:, :, : down * patch_height, : across * patch_width]
        patches = pixels.reshape(lines, -1, down, patch_height, across, patch_width)
        patches = patches.permute(0, 2, 4, 1, 3, 5).reshape(lines, down * across, -1)  # (B, N, 3 * patch area)
        x = self._offsets.repeat(lines, 1, 1)  # (B, N, D)
        x[:, self._special :] += self._patches(patches)
        for layer in self._layers:
            x = layer(x)
        return x if self._norm is None else self._norm(x)


class _Layer:
    """One pre-norm Transformer layer, with BEiT's layer scale folded into the output projections."""

    def __init__(
        self,
        shape: EncoderShape,
        weights: Weights,
        precision: Precision,
        name: str,
        *,
        tokens: int,
        shared_bias: Tensor | None,
    ) -> None:
        self._heads = shape.heads
        self._matmul = precision.matmul
        names = [f"{name}.attention.{part}_proj" for part in "qkv"]
        weight = weights.joined([f"{part}.weight" for part in names])  # (3 D, D)
        bias = weights.joined_bias([f"{part}.bias" for part in names], [shape.width] * 3)
        scale = (shape.width // shape.heads) ** -0.5
        weight[: shape.width] *= scale
        if bias is not None:
            bias[: shape.width] *= scale
        self._qkv = make_linear(precision, weight, bias, rows=tokens, output=precision.matmul)
        own_bias = relative_position_bias(shape, weights, f"{name}.relative_position_bias")
        bias_sum = own_bias if shared_bias is None else shared_bias if own_bias is None else own_bias + shared_bias
        self._position_bias = None if bias_sum is None else bias_sum.to(precision.device, precision.matmul)
        self._out = _scaled_linear(weights, f"{name}.attention.o_proj", f"{name}.lambda_1", precision, tokens)
        self._up = make_linear(
            precision,
            weights.need(f"{name}.mlp.fc1.weight"),
            weights.find(f"{name}.mlp.fc1.bias"),
            rows=tokens,
            activation=shape.activation,
        )
        self._down = _scaled_linear(weights, f"{name}.mlp.fc2", f"{name}.lambda_2", precision, tokens)
        self._norm_before = Norm(weights, f"{name}.layernorm_before", precision, shape.layer_norm_eps)
        self._norm_after = Norm(weights, f"{name}.layernorm_after", precision, shape.layer_norm_eps)
        weights.release()

    def __call__(self, x: Tensor) -> Tensor:
        qkv = self._qkv(self._norm_before(x))  # (B, N, 3 D)
        x += self._out(attend(qkv, self._heads, self._position_bias))
        x += self._down(self._up(self._norm_after(x)))
        return x


def _scaled_linear(weights: Weights, name: str, scale_name: str, precision: Precision, rows: int) -> Linear:
    """Build a projection whose result BEiT multiplies by a learned scale per channel."""
    weight, bias = weights.need(f"{name}.weight"), weights.find(f"{name}.bias")
    scale = weights.find(scale_name)
    if scale is not None:
        weight = weight * scale[:, None]
        bias = None if bias is None else bias * scale
    return make_linear(precision, weight, bias, rows=rows)
