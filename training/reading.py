"""How well a model in training reads a few held-out lines: by its CTC head and by its decoder, greedily."""

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein

from training.batches import Batch, make_batch
from training.model import CTC_BLANK, EOS, PAD, Trainee, decode
from training.pool import Sample


@torch.no_grad()
def read_greedily(trainee: Trainee, batch: Batch, longest: int) -> tuple[list[str], list[str]]:
    """Return what the CTC head and what the decoder reads."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = trainee.encode(batch.pixels)
        best = trainee.ctc_head(states[:, 1:]).argmax(-1)
        by_ctc = []
        for row, strips in zip(best.tolist(), batch.strips.tolist(), strict=True):
            kept = [
                token for i, token in enumerate(row[:strips]) if token != CTC_BLANK and (i == 0 or token != row[i - 1])
            ]
            by_ctc.append(decode(kept))
        tokens = torch.full((len(best), 1), EOS)
        ended = torch.zeros(len(best), dtype=torch.bool)
        while tokens.shape[1] <= longest and not ended.all():
            following = trainee.read(states, tokens)[0][:, -1].argmax(-1)
            following[ended] = PAD
            ended |= following == EOS
            tokens = torch.cat((tokens, following[:, None]), dim=1)
    return by_ctc, [decode(row) for row in tokens.tolist()]


def character_error_rate(references: list[str], hypotheses: list[str]) -> float:
    """Return edits over reference characters, summed over all lines."""
    edits = sum(
        Levenshtein.distance(reference, hypothesis)
        for reference, hypothesis in zip(references, hypotheses, strict=True)
    )
    return edits / sum(map(len, references))


def check(trainee: Trainee, held_out: dict[str, list[Sample]], with_decoder: bool) -> str:
    """Describe how well a few held-out lines are read."""
    words = []
    for name, samples in held_out.items():
        ordered = sorted(samples, key=lambda sample: sample.pixels.shape[1])
        references: list[str] = []
        by_ctc: list[str] = []
        by_decoder: list[str] = []
        for start in range(0, len(ordered), 40):
            part = ordered[start : start + 40]
            batch = make_batch(part, np.random.default_rng(0), exact=True)
            first, second = read_greedily(trainee, batch, batch.tokens.shape[1] + 4 if with_decoder else 0)
            references += [sample.text for sample in part]
            by_ctc += first
            by_decoder += second
        words.append(f"{name}: CTC {100 * character_error_rate(references, by_ctc):.1f} %")
        if with_decoder:
            words.append(f"decoder {100 * character_error_rate(references, by_decoder):.1f} %")
        words.append(
            "["
            + " | ".join(
                f"{a} -> {b}"
                for a, b in list(zip(references, by_decoder if with_decoder else by_ctc, strict=True))[40:160:40]
            )
            + "]"
        )
    return "CER " + ", ".join(words)
