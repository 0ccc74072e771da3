"""Random-weight checkpoints in the shapes of the real TrOCR models, small enough for a test."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    BeitConfig,
    DeiTConfig,
    PreTrainedModel,
    TrOCRConfig,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
)

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
PIECES = [*SPECIAL_TOKENS, *(chr(code) for code in range(33, 127)), "Ġ"]

ENCODER_CONFIGS = {"vit": ViTConfig, "deit": DeiTConfig, "beit": BeitConfig}


@dataclass(frozen=True)
class Shape:
    """What a random checkpoint looks like; the defaults are a tiny trocr-base."""

    encoder: str = "vit"
    image: tuple[int, int] = (32, 32)
    patch: tuple[int, int] = (8, 8)
    encoder_width: int = 48
    encoder_layers: int = 2
    encoder_heads: int = 4
    encoder_options: dict[str, Any] = field(default_factory=lambda: {"qkv_bias": False})
    decoder_width: int = 64
    decoder_layers: int = 2
    decoder_heads: int = 4
    decoder_ffn: int = 128
    decoder_options: dict[str, Any] = field(default_factory=dict)
    vocab_size: int = len(PIECES)
    positions: int = 64
    processor: dict[str, Any] = field(default_factory=lambda: {"image_processor_type": "ViTImageProcessor"})
    tied: bool = True
    end_logit: float = 5.0  # added to the end token's logits, so that lines end here and there


TINY_BASE = Shape(decoder_options={"layernorm_embedding": True})
TINY_STAGE1 = Shape(
    decoder_options={
        "activation_function": "relu",
        "layernorm_embedding": False,
        "scale_embedding": True,
        "use_learned_position_embeddings": False,
    },
    tied=False,
    end_logit=6.0,
)
TINY_LARGE = Shape(encoder_width=64, decoder_options={"layernorm_embedding": True}, tied=False, end_logit=3.0)
TINY_SMALL = Shape(
    encoder="deit",
    encoder_options={"qkv_bias": True},
    decoder_width=32,
    decoder_ffn=64,
    decoder_options={"activation_function": "relu", "scale_embedding": True, "cross_attention_hidden_size": 48},
    processor={"image_processor_type": "DeiTImageProcessor", "do_center_crop": False},
    end_logit=5.3,
)
TINY_BEIT = Shape(
    encoder="beit",
    image=(48, 48),
    patch=(16, 16),
    encoder_options={
        "use_relative_position_bias": True,
        "use_absolute_position_embeddings": False,
        "use_mean_pooling": False,
        "layer_scale_init_value": 0.1,
    },
    processor={"image_processor_type": "BeitImageProcessor", "do_center_crop": False},
)
# trocr-base itself, 334 M parameters; its lines never end by themselves, because the bench sets their lengths
REAL_BASE = Shape(
    image=(384, 384),
    patch=(16, 16),
    encoder_width=768,
    encoder_layers=12,
    encoder_heads=12,
    decoder_width=1024,
    decoder_layers=12,
    decoder_heads=16,
    decoder_ffn=4096,
    decoder_options={"layernorm_embedding": True},
    vocab_size=50265,
    positions=512,
    end_logit=-1000.0,
)
# the real models' widths, heads, vocabularies and pictures, with two layers each; their lines end here and there
SHALLOW_BASE = replace(REAL_BASE, encoder_layers=2, decoder_layers=2, end_logit=16.0)
SHALLOW_LARGE = replace(SHALLOW_BASE, encoder_width=1024, encoder_heads=16, end_logit=26.0)
SHALLOW_LARGE_STAGE1 = replace(SHALLOW_LARGE, decoder_options=TINY_STAGE1.decoder_options, tied=False, end_logit=26.0)
SHALLOW_SMALL = replace(
    SHALLOW_BASE,
    encoder="deit",
    encoder_width=384,
    encoder_heads=6,
    encoder_options=TINY_SMALL.encoder_options,
    decoder_width=256,
    decoder_heads=8,
    decoder_ffn=1024,
    decoder_options={**TINY_SMALL.decoder_options, "cross_attention_hidden_size": 384},
    vocab_size=64044,
    processor=TINY_SMALL.processor,
    end_logit=14.0,
)
SHALLOW_SHAPES = {
    "base": SHALLOW_BASE,
    "large": SHALLOW_LARGE,
    "large-stage1": SHALLOW_LARGE_STAGE1,
    "small": SHALLOW_SMALL,
}
SHAPES = {
    "base": TINY_BASE,
    "stage1": TINY_STAGE1,
    "large": TINY_LARGE,
    "small": TINY_SMALL,
    "beit": TINY_BEIT,
}


def build_model(shape: Shape, seed: int = 0) -> VisionEncoderDecoderModel:
    """Return a transformers model whose random weights make its outputs depend on its inputs."""
    torch.manual_seed(seed)
    height, width = shape.image
    encoder = ENCODER_CONFIGS[shape.encoder](
        hidden_size=shape.encoder_width,
        num_hidden_layers=shape.encoder_layers,
        num_attention_heads=shape.encoder_heads,
        intermediate_size=4 * shape.encoder_width,
        image_size=height if height == width else list(shape.image),
        patch_size=shape.patch[0] if shape.patch[0] == shape.patch[1] else list(shape.patch),
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **shape.encoder_options,
    )
    decoder = TrOCRConfig(
        vocab_size=shape.vocab_size,
        d_model=shape.decoder_width,
        decoder_layers=shape.decoder_layers,
        decoder_attention_heads=shape.decoder_heads,
        decoder_ffn_dim=shape.decoder_ffn,
        max_position_embeddings=shape.positions,
        **{"cross_attention_hidden_size": shape.encoder_width, "use_cache": False, **shape.decoder_options},
    )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 2, 1, 2
    model = VisionEncoderDecoderModel(config).eval()
    _randomise(model, shape)
    model.generation_config.update(decoder_start_token_id=2, pad_token_id=1, eos_token_id=2, bos_token_id=0)
    return model


@torch.no_grad()
def _randomise(model: PreTrainedModel, shape: Shape) -> None:
    for name, parameter in model.named_parameters():
        if "layernorm" in name.lower() or "layer_norm" in name:
            parameter.normal_(1.0 if name.endswith("weight") else 0.0, 0.1)
        elif parameter.ndim >= 2 and "embeddings" not in name and "embed_" not in name and "table" not in name:
            gain = 0.5 if "decoder" in name and "attn.out_proj" in name else 1.5
            parameter.normal_(0.0, gain / parameter[0].numel() ** 0.5)
        elif name.endswith(("lambda_1", "lambda_2")):
            parameter.normal_(0.5, 0.1)
        else:
            spread = 2.0 if "embed_positions" in name else 0.5 if parameter.ndim > 1 else 0.05
            if "embed_tokens" in name and model.config.decoder.scale_embedding and not shape.tied:
                spread = 0.04
            parameter.normal_(0.0, spread)
    decoder = model.decoder
    if shape.tied:
        decoder.output_projection.weight = decoder.model.decoder.embed_tokens.weight
    else:
        own = torch.randn_like(decoder.output_projection.weight) * 0.5
        decoder.output_projection.weight = torch.nn.Parameter(own)
    # the end token must come up now and then, or every line runs to the limit
    end = decoder.output_projection.weight[2]
    decoder.model.decoder.layers[-1].final_layer_norm.bias += shape.end_logit * end / end.square().sum()


def save_checkpoint(folder: Path, shape: Shape = TINY_BASE, seed: int = 0) -> Path:
    """Write a loadable checkpoint folder: weights, configuration, image processor and tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    model = build_model(shape, seed)
    model.save_pretrained(folder)
    save_processor(folder, shape)
    save_tokenizer(folder)
    return folder


def save_processor(folder: Path, shape: Shape) -> None:
    """Write the image processor's settings."""
    settings: dict[str, Any] = {
        "do_resize": True,
        "size": {"height": shape.image[0], "width": shape.image[1]},
        "do_rescale": True,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "resample": 2,
        **shape.processor,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings), "utf-8")


def save_tokenizer(folder: Path) -> None:
    """Write a byte-level tokenizer without merges: one printable character a token."""
    vocabulary = {piece: number for number, piece in enumerate(PIECES)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")


def resave(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Replace a checkpoint's weights."""
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
