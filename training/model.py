"""The starter model: a stock ViT encoder and TrOCR decoder, how they start, and the fast forward pass of training."""

import math
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own habit
from torch import Tensor, nn
from transformers import TrOCRConfig, VisionEncoderDecoderConfig, VisionEncoderDecoderModel, ViTConfig

from training.fonts import CHARACTERS

HEIGHT, WIDTH, STRIP = 48, 784, 7
POSITIONS = WIDTH // STRIP
PIXEL_STD = 0.3  # (pixel / 255 - 1) / PIXEL_STD: white paper, like the padding, is 0
BOS, PAD, EOS, UNKNOWN = 0, 1, 2, 3
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
FIRST_CHARACTER = len(SPECIAL)
VOCABULARY = len(SPECIAL) + len(CHARACTERS)
MAX_TOKENS = 96
LUMINANCE = (0.299, 0.587, 0.114)
DIM, HEADS, HEAD_DIM = 256, 8, 32
ENCODER_LAYERS, DECODER_LAYERS = 6, 2
PAIRS = HEAD_DIM // 2  # frequencies of the positions; they fill the first 2 * PAIRS channels
CTC_BLANK = PAD


def encode(text: str) -> list[int]:
    """Turn a text into token ids, one a character."""
    return [ord(character) - 32 + FIRST_CHARACTER for character in text]


def decode(ids: list[int]) -> str:
    """Turn token ids into text, leaving out the special ones."""
    return "".join(CHARACTERS[i - FIRST_CHARACTER] for i in ids if i >= FIRST_CHARACTER)


def build() -> VisionEncoderDecoderModel:
    """Build the untrained model with stock classes and our start values."""
    encoder = ViTConfig(
        image_size=[HEIGHT, WIDTH],
        patch_size=[HEIGHT, STRIP],
        hidden_size=DIM,
        num_hidden_layers=ENCODER_LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * DIM,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    decoder = TrOCRConfig(
        vocab_size=VOCABULARY,
        d_model=DIM,
        decoder_layers=DECODER_LAYERS,
        decoder_attention_heads=HEADS,
        decoder_ffn_dim=4 * DIM,
        activation_function="gelu",
        max_position_embeddings=MAX_TOKENS + 4,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        use_learned_position_embeddings=True,
        scale_embedding=True,
        layernorm_embedding=True,
        cross_attention_hidden_size=DIM,
        tie_word_embeddings=False,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
        decoder_start_token_id=EOS,
        use_cache=True,
    )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = EOS, PAD, EOS
    config.tie_word_embeddings = False
    model = VisionEncoderDecoderModel(config)
    start_like_convolution(model)
    return model


def frequencies() -> Tensor:
    """Return frequencies whose summed cosines peak at offset 0 and stay low at every other offset of a line."""
    generator = torch.Generator().manual_seed(7)
    offsets = torch.arange(1, POSITIONS).float()
    best, best_peak = torch.linspace(0.1, 3.0, PAIRS), math.inf
    for _ in range(4000):
        drawn = (torch.arange(PAIRS) + torch.rand(PAIRS, generator=generator)) * (math.pi / PAIRS)
        peak = torch.cos(offsets[:, None] * drawn).mean(1).max().item()
        if peak < best_peak:
            best, best_peak = drawn, peak
    return best


@torch.no_grad()
def start_like_convolution(model: VisionEncoderDecoderModel) -> None:
    """Let head h of every encoder layer begin by looking h - 3 strips to the right: a convolution that may unlearn it.

    The first channels hold sines and cosines of the position and are left alone by every layer at first; a head's
    query is that vector turned by its offset, its key the vector itself (Cordonnier et al., 2020, theorem 1).
    """
    omega = frequencies()
    amplitude, gain = 1.5, 1.2
    pos = 2 * PAIRS
    angles = torch.arange(POSITIONS).float()[:, None] * omega
    encoder = model.encoder
    table = encoder.embeddings.position_embeddings
    table.normal_(0, 0.02)
    table[0, 0, :pos] = 0
    table[0, 1:, 0:pos:2] = amplitude * torch.sin(angles)
    table[0, 1:, 1:pos:2] = amplitude * torch.cos(angles)
    projection = encoder.embeddings.patch_embeddings.projection
    projection.weight.normal_(0, 0.05)
    projection.weight[:pos] = 0
    projection.bias.zero_()
    for layer in encoder.layers:
        attention = layer.attention
        for head in range(HEADS):
            offset = head - 3
            rows = slice(head * HEAD_DIM, (head + 1) * HEAD_DIM)
            query, key = torch.zeros(HEAD_DIM, DIM), torch.zeros(HEAD_DIM, DIM)
            sine, cosine = torch.sin(omega * offset), torch.cos(omega * offset)
            even = torch.arange(0, pos, 2)
            # sin(a + b) = sin a cos b + cos a sin b; cos(a + b) = cos a cos b - sin a sin b
            query[even, even], query[even, even + 1] = cosine, sine
            query[even + 1, even], query[even + 1, even + 1] = -sine, cosine
            key[torch.arange(pos), torch.arange(pos)] = 1.0
            attention.q_proj.weight[rows] = gain * query + 0.02 * torch.randn_like(query)
            attention.k_proj.weight[rows] = gain * key + 0.02 * torch.randn_like(key)
        attention.v_proj.weight.normal_(0, DIM**-0.5)
        attention.o_proj.weight.normal_(0, 0.5 * DIM**-0.5)
        layer.mlp.fc1.weight.normal_(0, DIM**-0.5)
        layer.mlp.fc2.weight.normal_(0, 0.5 * (4 * DIM) ** -0.5)
        attention.o_proj.weight[:pos] = 0
        layer.mlp.fc2.weight[:pos] = 0
    decoder = model.decoder.model.decoder
    positions = torch.arange(decoder.embed_positions.weight.shape[0]).float()
    rates = torch.exp(-math.log(10000) * torch.arange(DIM // 2) / (DIM // 2))
    decoder.embed_positions.weight[:, : DIM // 2] = 0.3 * torch.sin(positions[:, None] * rates)
    decoder.embed_positions.weight[:, DIM // 2 :] = 0.3 * torch.cos(positions[:, None] * rates)
    decoder.embed_tokens.weight.normal_(0, DIM**-0.5)
    for name, weight in decoder.layers.named_parameters():
        if weight.ndim == 2:
            weight.normal_(
                0, weight.shape[1] ** -0.5 * (0.7 if "v_proj" in name or "out_proj" in name or "fc2" in name else 1.0)
            )
    model.decoder.output_projection.weight.normal_(0, DIM**-0.5)


def attend(qkv: Tensor, is_causal: bool) -> Tensor:
    """Attend in float32: torch's bfloat16 backward on CPUs takes six times as long (2.13)."""
    query, key, value = qkv.float()
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(query, key, value, is_causal=is_causal)


class Trainee(nn.Module):
    """The stock model's weights with a CTC head, and a forward pass over grey lines of any width.

    It computes what transformers computes (a test compares the two) but on grey pixels, on as many strips as the batch
    needs, with one product for queries, keys and values, and it returns the cross-attention for the guided loss.
    """

    def __init__(self) -> None:
        super().__init__()
        self.model = build()
        self.ctc_head = nn.Linear(DIM, VOCABULARY)
        with torch.no_grad():
            weight = self.model.encoder.embeddings.patch_embeddings.projection.weight
            self.strip_weight = nn.Parameter(weight[:, 0].reshape(DIM, -1).clone())

    @torch.no_grad()
    def read_checkpoint(self, folder: Path) -> None:
        """Take the weights of an exported checkpoint; the CTC head, which none has, stays as it is."""
        self.model.load_state_dict(VisionEncoderDecoderModel.from_pretrained(folder).state_dict())
        weight = self.model.encoder.embeddings.patch_embeddings.projection.weight
        self.strip_weight.copy_(weight.sum(1).reshape(DIM, -1))  # the shares of LUMINANCE add up to 1

    @torch.no_grad()
    def write_colour_weights(self) -> None:
        """Copy the grey strip weights into the stock projection, so that colour reads as its luminance."""
        weight = self.model.encoder.embeddings.patch_embeddings.projection.weight
        for channel, share in enumerate(LUMINANCE):
            weight[:, channel] = self.strip_weight.view(DIM, HEIGHT, STRIP) * share

    def encode(self, pixels: Tensor) -> Tensor:
        """Encode normalised grey lines (batch, HEIGHT, strips * STRIP) to states (batch, 1 + strips, DIM)."""
        batch, _, width = pixels.shape
        strips = width // STRIP
        patches = pixels.view(batch, HEIGHT, strips, STRIP).transpose(1, 2).reshape(batch, strips, HEIGHT * STRIP)
        embeddings = self.model.encoder.embeddings
        x = F.linear(patches, self.strip_weight, embeddings.patch_embeddings.projection.bias)
        x = torch.cat((embeddings.cls_token.expand(batch, -1, -1).to(x.dtype), x), dim=1)
        x = x + embeddings.position_embeddings[:, : 1 + strips]
        for layer in self.model.encoder.layers:
            attention = layer.attention
            normed = layer.layernorm_before(x)
            weight = torch.cat((attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight))
            bias = torch.cat((attention.q_proj.bias, attention.k_proj.bias, attention.v_proj.bias))
            qkv = F.linear(normed, weight, bias).view(batch, 1 + strips, 3, HEADS, HEAD_DIM).permute(2, 0, 3, 1, 4)
            mixed = attend(qkv, is_causal=False)
            x = x + attention.o_proj(mixed.transpose(1, 2).reshape(batch, 1 + strips, DIM))
            x = x + layer.mlp.fc2(F.gelu(layer.mlp.fc1(layer.layernorm_after(x))))
        return self.model.encoder.layernorm(x)

    def read(self, states: Tensor, tokens: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return next-token scores (batch, length, VOCABULARY) and each layer's looks (batch, length, 1 + strips)."""
        decoder = self.model.decoder.model.decoder
        batch, length = tokens.shape
        x = decoder.embed_tokens(tokens) + decoder.embed_positions.weight[2 : 2 + length]
        x = decoder.layernorm_embedding(x)
        looks = []
        for layer in decoder.layers:
            own, cross = layer.self_attn, layer.encoder_attn
            weight = torch.cat((own.q_proj.weight, own.k_proj.weight, own.v_proj.weight))
            bias = torch.cat((own.q_proj.bias, own.k_proj.bias, own.v_proj.bias))
            qkv = F.linear(x, weight, bias).view(batch, length, 3, HEADS, HEAD_DIM).permute(2, 0, 3, 1, 4)
            mixed = attend(qkv, is_causal=True)
            x = layer.self_attn_layer_norm(x + own.out_proj(mixed.transpose(1, 2).reshape(batch, length, DIM)))
            query = cross.q_proj(x).view(batch, length, HEADS, HEAD_DIM).transpose(1, 2)
            weight = torch.cat((cross.k_proj.weight, cross.v_proj.weight))
            bias = torch.cat((cross.k_proj.bias, cross.v_proj.bias))
            keys = F.linear(states, weight, bias).view(batch, -1, 2, HEADS, HEAD_DIM).permute(2, 0, 3, 1, 4)
            look = torch.softmax((query @ keys[0].transpose(-1, -2)).float() * HEAD_DIM**-0.5, dim=-1)
            mixed = look.to(keys.dtype) @ keys[1]
            looks.append(look.mean(1))
            x = layer.encoder_attn_layer_norm(x + cross.out_proj(mixed.transpose(1, 2).reshape(batch, length, DIM)))
            x = layer.final_layer_norm(x + layer.fc2(F.gelu(layer.fc1(x))))
        return self.model.decoder.output_projection(x), looks
