"""The text decoder: one token per row and step, over the checkpoint's weights.

Shapes: R rows, D width, H heads, d width of a head, T tokens so far, V vocabulary.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from worker.recognizer.cache import Cache
from worker.recognizer.configuration import DecoderShape
from worker.recognizer.cross_attention import Absorbed, CrossAttention, Projected, read_cross_weights
from worker.recognizer.encoder import Norm
from worker.recognizer.linear import make_linear
from worker.recognizer.precision import Precision
from worker.recognizer.weights import Weights

_NORM_EPS = 1e-5
_LEARNED_OFFSET = 2  # TrOCR's learned positions start at row 2 of their table
_TYPICAL_ROWS = 16  # what prepacked weights are laid out for


class Decoder:
    """Maps the last token of every row to the logits of the next."""

    def __init__(self, shape: DecoderShape, weights: Weights, precision: Precision, encoder_tokens: int) -> None:
        self.shape = shape
        self._precision = precision
        name = "decoder.model.decoder"
        # the largest tensor first, while little else is in memory
        output = weights.find("decoder.output_projection.weight")
        if output is None:  # tied to the table
            output = weights.need(f"{name}.embed_tokens.weight")
        self._output = make_linear(precision, output, None, rows=_TYPICAL_ROWS, by_row=True)
        del output
        weights.release()
        # on a CPU the table stays in the memory-mapped file: only the rows of tokens that occur are ever read
        self._tokens = weights.mapped(f"{name}.embed_tokens.weight")  # (V, D)
        if precision.device.type != "cpu":
            self._tokens = self._tokens.to(precision.device, precision.stream)
        self._positions = _position_table(shape, weights).to(precision.device)
        self._norm = Norm(weights, f"{name}.layernorm_embedding", precision, _NORM_EPS) if _has_norm(weights) else None
        self._layers = [_Layer(shape, weights, precision, number, encoder_tokens) for number in range(shape.layers)]
        # a decoder of another width than the encoder reads it through a projection, unless its keys take that width
        bridge = weights.find("enc_to_dec_proj.weight")
        self._bridge = (
            None
            if bridge is None
            else make_linear(precision, bridge, weights.find("enc_to_dec_proj.bias"), rows=encoder_tokens)
        )

    def new_cache(self) -> Cache:
        """Return an empty cache of this decoder's shape."""
        return Cache(
            layers=self.shape.layers,
            heads=self.shape.heads,
            head_width=self.shape.width // self.shape.heads,
            max_length=self.shape.max_positions,
            device=self._precision.device,
            # measured on 2 cores, 16 rows of 40 tokens, beside int8 layers: 0.2 ms in float32, 0.8 in bfloat16
            dtype=self._precision.stream,
        )

    def remember(self, encoded: Tensor, *, beams: int) -> list[tuple[Tensor, ...]]:
        """Return, per layer, what cross-attention needs of encoder outputs (B, N, E); every tensor is (B, ...)."""
        if self._bridge is not None:
            encoded = self._bridge(encoded)
        encoded = encoded.to(self._precision.matmul)
        return [layer.cross(beams).project(encoded) for layer in self._layers]

    def step(self, cache: Cache, tokens: Tensor, positions: Tensor, length: int, *, is_ragged: bool) -> Tensor:
        """Take one step.

        Args:
            cache: holds the rows' past; each row's token is added to it.
            tokens: (R,), the last token of each row.
            positions: (R,), how many tokens came before it.
            length: the greatest position plus one.
            is_ragged: whether some row has fewer tokens than `length`.

        Returns:
            The logits of the next token, (R, V), float32.
        """
        x = self._embed(tokens, positions)  # (R, D)
        seats = tokens.shape[0] // cache.beams
        mask = None
        if is_ragged:
            columns = torch.arange(length, device=positions.device)
            mask = (columns[None, :] <= positions[:, None])[:, None, None, :]  # (R, 1, 1, T)
        past = Past(cache, cache.places(positions), length, mask)
        for number, layer in enumerate(self._layers):
            x = layer.step(x, past, cache.memory(number, seats))
        return self._output(x).float()

    def _embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        x = self._tokens[tokens].to(self._precision.stream) * self.shape.embedding_scale
        if self.shape.learned_positions:
            offsets = self._positions[positions + _LEARNED_OFFSET]
        else:
            # padding has no position of its own: its row of the table is zero
            pad = self.shape.pad_token
            offsets = self._positions[torch.where(tokens == pad, pad, positions + pad + 1)]
        x = x + offsets.to(x.dtype)
        return x if self._norm is None else self._norm(x)


@dataclass(frozen=True, slots=True)
class Past:
    """What self-attention looks back on in one step."""

    cache: Cache
    places: Tensor
    length: int
    mask: Tensor | None


class _Layer:
    """One post-norm Transformer layer: self-attention, cross-attention, feed-forward."""

    def __init__(
        self, shape: DecoderShape, weights: Weights, precision: Precision, number: int, encoder_tokens: int
    ) -> None:
        name = f"decoder.model.decoder.layers.{number}"
        self._number, self._heads = number, shape.heads
        names = [f"{name}.self_attn.{part}_proj" for part in "qkv"]
        weight = weights.joined([f"{part}.weight" for part in names])  # (3 D, D)
        bias = weights.joined_bias([f"{part}.bias" for part in names], [shape.width] * 3)
        scale = (shape.width // shape.heads) ** -0.5
        weight[: shape.width] *= scale
        if bias is not None:
            bias[: shape.width] *= scale
        rows = _TYPICAL_ROWS
        self._qkv = make_linear(precision, weight, bias, rows=rows, by_row=True)
        self._out = make_linear(
            precision,
            weights.need(f"{name}.self_attn.out_proj.weight"),
            weights.find(f"{name}.self_attn.out_proj.bias"),
            rows=rows,
            by_row=True,
        )
        cross = read_cross_weights(weights, f"{name}.encoder_attn", shape)
        self._cross_absorbed: CrossAttention = Absorbed(cross, shape.heads, precision, rows)
        self._cross_projected: CrossAttention | None = None  # built when first asked for: most services never are

        def project() -> CrossAttention:
            cross = read_cross_weights(weights, f"{name}.encoder_attn", shape)
            projected = Projected(cross, shape.heads, precision, rows, encoder_tokens)
            weights.release()
            return projected

        self._project = project
        self._up = make_linear(
            precision,
            weights.need(f"{name}.fc1.weight"),
            weights.find(f"{name}.fc1.bias"),
            rows=rows,
            activation=shape.activation,
            by_row=True,
        )
        self._down = make_linear(
            precision, weights.need(f"{name}.fc2.weight"), weights.find(f"{name}.fc2.bias"), rows=rows, by_row=True
        )
        self._self_norm = Norm(weights, f"{name}.self_attn_layer_norm", precision, _NORM_EPS)
        self._cross_norm = Norm(weights, f"{name}.encoder_attn_layer_norm", precision, _NORM_EPS)
        self._final_norm = Norm(weights, f"{name}.final_layer_norm", precision, _NORM_EPS)
        weights.release()

    def cross(self, beams: int) -> CrossAttention:
        """Return the cheaper kind of cross-attention for a number of beams."""
        if beams == 1:
            return self._cross_absorbed
        if self._cross_projected is None:
            self._cross_projected = self._project()
        return self._cross_projected

    def step(self, x: Tensor, past: Past, memory: tuple[Tensor, ...]) -> Tensor:
        """Map rows (R, D) to rows (R, D)."""
        rows = x.shape[0]
        q, k, v = self._qkv(x).chunk(3, dim=1)  # (R, D)
        keys, values = past.cache.append(self._number, k, v, past.places, past.length)  # (R, H, T, d)
        q = q.view(rows, self._heads, 1, -1)
        seen = functional.scaled_dot_product_attention(q, keys, values, attn_mask=past.mask, scale=1.0)
        x = self._self_norm(x + self._out(seen.reshape(rows, -1)))
        x = self._cross_norm(x + self.cross(past.cache.beams).attend(x, memory))
        return self._final_norm(x + self._down(self._up(x)))


def _has_norm(weights: Weights) -> bool:
    return weights.find("decoder.model.decoder.layernorm_embedding.weight") is not None


def _position_table(shape: DecoderShape, weights: Weights) -> Tensor:
    """Return the positions' offsets (rows, D): learned, or tensor2tensor's sinusoids."""
    if shape.learned_positions:
        return weights.need("decoder.model.decoder.embed_positions.weight").clone()
    half = shape.width // 2
    rows = shape.max_positions + shape.pad_token + 1
    frequencies = torch.exp(torch.arange(half).float() * -(math.log(10000) / (half - 1)))
    angles = torch.arange(rows).float().unsqueeze(1) * frequencies.unsqueeze(0)
    table = torch.cat([angles.sin(), angles.cos()], dim=1)
    if shape.width % 2:
        table = torch.cat([table, torch.zeros(rows, 1)], dim=1)
    table[shape.pad_token] = 0
    return table
