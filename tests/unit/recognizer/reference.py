"""What transformers' own generate reads: the truth that the runtime is held to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import VisionEncoderDecoderModel

CONFIDENCE_TOLERANCE = 1e-4
NEAR_TIE = 1e-4


@dataclass(frozen=True)
class Reference:
    """One hypothesis of generate: its tokens after the start token, without padding, and its confidence."""

    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    closest_gap: float  # the least difference between the two best logits of a greedy step

    @property
    def confidence(self) -> float:
        return math.exp(sum(self.log_probabilities) / len(self.log_probabilities))


@torch.inference_mode()
def generate(
    model: VisionEncoderDecoderModel,
    pixel_values: torch.Tensor,
    *,
    num_beams: int = 1,
    n_best: int = 1,
    max_new_tokens: int = 24,
    **options: Any,
) -> list[list[Reference]]:
    """Return the n best hypotheses of each picture (B, 3, height, width)."""
    out = model.generate(
        pixel_values,
        use_cache=True,
        num_beams=num_beams,
        num_return_sequences=n_best,
        max_new_tokens=max_new_tokens,
        do_sample=False,
        output_logits=True,
        output_scores=True,
        return_dict_in_generate=True,
        **options,
    )
    scores = model.compute_transition_scores(
        out.sequences, out.logits, beam_indices=getattr(out, "beam_indices", None), normalize_logits=True
    )
    gaps = [float(step.topk(2).values.diff().abs().min()) for step in out.logits]
    references = []
    for tokens, values in zip(out.sequences[:, 1:].tolist(), scores.tolist(), strict=True):
        length = tokens.index(2) + 1 if 2 in tokens else len(tokens)
        references.append(Reference(tuple(tokens[:length]), tuple(values[:length]), min(gaps)))
    return [references[start : start + n_best] for start in range(0, len(references), n_best)]


def random_lines(count: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Return pictures of different sizes, shades and contrasts, so that a random model reads them differently."""
    rng = np.random.default_rng(seed)
    lines = []
    for number in range(count):
        height, width = int(rng.integers(20, 60)), int(rng.integers(60, 300))
        coarse = rng.integers(0, 256, (3 + number % 4, 5 + number % 7, 3)).astype(np.uint8)
        picture = np.repeat(np.repeat(coarse, -(-height // coarse.shape[0]), 0), -(-width // coarse.shape[1]), 1)
        lines.append(np.ascontiguousarray(picture[:height, :width]))
    return lines


def same_or_near_tie(ours: Sequence[int], reference: Reference) -> bool:
    """Return whether the tokens are equal; a difference is excused only where the two best logits nearly tie."""
    return tuple(ours) == reference.tokens or reference.closest_gap < NEAR_TIE
