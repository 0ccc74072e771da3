"""What transformers' own generate reads: the truth that the runtime is held to."""

import math
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
    gaps: tuple[float, ...] = ()  # of greedy search, the difference between the two best logits of each step
    score: float = 0.0  # of beam search, what orders the hypotheses

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
    gaps: list[tuple[float, ...]] = [()] * len(out.sequences)
    if num_beams == 1:
        best, second = torch.stack(out.logits, dim=1).topk(2).values.unbind(-1)  # (B, T)
        gaps = [tuple(row) for row in (best - second).tolist()]
    order = out.sequences_scores.tolist() if num_beams > 1 else [0.0] * len(out.sequences)
    references = []
    for row, (tokens, values) in enumerate(zip(out.sequences[:, 1:].tolist(), scores.tolist(), strict=True)):
        length = tokens.index(2) + 1 if 2 in tokens else len(tokens)
        references.append(Reference(tuple(tokens[:length]), tuple(values[:length]), gaps[row], order[row]))
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


def is_near_tie(tokens: tuple[int, ...], score: float, reference: Reference) -> bool:
    """Return whether a difference is excused: where greedy tokens part, or between the scores of two hypotheses."""
    if not reference.gaps:
        return abs(score - reference.score) < NEAR_TIE
    parting = next(place for place, (a, b) in enumerate(zip(tokens, reference.tokens, strict=False)) if a != b)
    return reference.gaps[parting] < NEAR_TIE
