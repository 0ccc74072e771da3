"""What a TrOCR checkpoint says about its own shape, read once into plain values."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import structlog
from transformers import GenerationConfig, VisionEncoderDecoderConfig

from core.errors import ModelUnusable

ENCODERS = ("vit", "deit", "beit")
Activation = Literal["none", "gelu", "gelu_tanh", "relu"]
_OLD_DEFAULT_LENGTH = 20
# options of transformers' generation that no TrOCR checkpoint needs, with the values that mean nothing
_IGNORED_OPTIONS: dict[str, tuple[object, ...]] = {
    "repetition_penalty": (None, 1.0),
    "encoder_no_repeat_ngram_size": (None, 0),
    "min_length": (None, 0),
    "min_new_tokens": (None, 0),
    "forced_bos_token_id": (None,),
    "forced_eos_token_id": (None,),
    "bad_words_ids": (None,),
    "suppress_tokens": (None, []),
    "begin_suppress_tokens": (None, []),
    "do_sample": (None, False),
}
log = structlog.get_logger()
_ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu",
    "relu": "relu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
}


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """An image Transformer of the ViT family."""

    family: str
    image: tuple[int, int]  # (height, width), in pixels
    patch: tuple[int, int]
    width: int
    layers: int
    heads: int
    activation: Activation
    layer_norm_eps: float
    has_final_norm: bool

    @property
    def window(self) -> tuple[int, int]:
        """Patches down and across."""
        return self.image[0] // self.patch[0], self.image[1] // self.patch[1]


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """A text Transformer of the TrOCR family."""

    width: int
    layers: int
    heads: int
    activation: Activation
    embedding_scale: float
    learned_positions: bool
    max_positions: int
    pad_token: int


@dataclass(frozen=True, slots=True)
class SearchRules:
    """How transformers' `generate` would search with this checkpoint, as far as a caller does not say otherwise."""

    start_token: int
    pad_token: int
    end_tokens: tuple[int, ...]
    max_new_tokens: int
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = False
    no_repeat_ngram_size: int = 0


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Everything that the configuration files of a checkpoint decide."""

    encoder: EncoderShape
    decoder: DecoderShape
    rules: SearchRules


def read_shape(folder: Path) -> ModelShape:
    """Read `config.json` and `generation_config.json` of a checkpoint folder.

    Raises:
        ModelUnusable: the files are damaged, or describe something that is not a TrOCR model.
    """
    try:
        settings = json.loads((folder / "config.json").read_bytes())
        if settings.get("model_type") != "vision-encoder-decoder":
            raise ModelUnusable(f"{folder} holds a {settings.get('model_type')!r} model, not a TrOCR one.")
        config = VisionEncoderDecoderConfig.from_dict(settings)
        if (folder / "generation_config.json").is_file():
            generation = GenerationConfig.from_pretrained(folder)
        else:
            generation = GenerationConfig.from_model_config(config)
        encoder, decoder = _encoder_shape(config.encoder), _decoder_shape(config.decoder)
        limit = _length_limit(folder, decoder.max_positions)
        _warn_of_ignored(folder, generation)
        return ModelShape(encoder, decoder, _search_rules(config, generation, limit))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelUnusable(f"The configuration of the model in {folder} cannot be read: {error}") from error


def _encoder_shape(config: Any) -> EncoderShape:
    if config.model_type not in ENCODERS:
        raise ModelUnusable(f"The encoder {config.model_type!r} is not supported, only {', '.join(ENCODERS)}.")
    return EncoderShape(
        family=str(config.model_type),
        image=_pair(config.image_size),
        patch=_pair(config.patch_size),
        width=int(config.hidden_size),
        layers=int(config.num_hidden_layers),
        heads=int(config.num_attention_heads),
        activation=_activation(config.hidden_act),
        layer_norm_eps=float(config.layer_norm_eps),
        has_final_norm=not getattr(config, "use_mean_pooling", False),
    )


def _decoder_shape(config: Any) -> DecoderShape:
    if config.model_type != "trocr":
        raise ModelUnusable(f"The decoder {config.model_type!r} is not supported, only trocr.")
    return DecoderShape(
        width=int(config.d_model),
        layers=int(config.decoder_layers),
        heads=int(config.decoder_attention_heads),
        activation=_activation(config.activation_function),
        embedding_scale=math.sqrt(config.d_model) if config.scale_embedding else 1.0,
        learned_positions=bool(config.use_learned_position_embeddings),
        max_positions=int(config.max_position_embeddings),
        pad_token=1 if config.pad_token_id is None else int(config.pad_token_id),
    )


def _length_limit(folder: Path, positions: int) -> int:
    """Return the most tokens of a line: what its positions allow, or less if the checkpoint itself says so.

    A limit of 20 is not the checkpoint's word but transformers' old default, written out; it cuts lines off.
    """
    path = folder / "generation_config.json"
    said = json.loads(path.read_bytes()) if path.is_file() else {}
    limits = [positions]
    if isinstance(said.get("max_new_tokens"), int):
        limits.append(said["max_new_tokens"])
    elif isinstance(said.get("max_length"), int) and said["max_length"] != _OLD_DEFAULT_LENGTH:
        limits.append(said["max_length"] - 1)  # it counts the start token
    return max(1, min(limits))


def _warn_of_ignored(folder: Path, generation: Any) -> None:
    """Log the options of a generation configuration that would change what `generate` reads, but not what we read."""
    for option, harmless in _IGNORED_OPTIONS.items():
        value = getattr(generation, option, None)
        if value not in harmless:
            log.warning("model.option_ignored", model=folder.name, option=option, value=repr(value))


def _search_rules(config: Any, generation: Any, limit: int) -> SearchRules:
    decoder = config.decoder
    start = _first(generation.decoder_start_token_id, config, "decoder_start_token_id", decoder.decoder_start_token_id)
    pad = _first(generation.pad_token_id, config, "pad_token_id", decoder.pad_token_id)
    end = _first(generation.eos_token_id, config, "eos_token_id", decoder.eos_token_id)
    return SearchRules(
        start_token=int(start),
        pad_token=int(pad),
        end_tokens=tuple(int(token) for token in (end if isinstance(end, list | tuple) else [end])),
        max_new_tokens=limit,
        length_penalty=1.0 if generation.length_penalty is None else float(generation.length_penalty),
        early_stopping="never" if generation.early_stopping == "never" else bool(generation.early_stopping),
        no_repeat_ngram_size=int(generation.no_repeat_ngram_size or 0),
    )


def _first(generation_value: object, config: object, name: str, fallback: Any) -> Any:
    for value in (generation_value, getattr(config, name, None), fallback):
        if value is not None:
            return value
    raise ModelUnusable(f"The configuration names no {name}.")


def _activation(name: str) -> Activation:
    if name not in _ACTIVATIONS:
        raise ModelUnusable(f"The activation {name!r} is not supported, only {', '.join(_ACTIVATIONS)}.")
    return _ACTIVATIONS[name]


def _pair(size: Any) -> tuple[int, int]:
    return (int(size[0]), int(size[1])) if isinstance(size, list | tuple) else (int(size), int(size))
