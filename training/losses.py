"""What is minimised: where each character stands, what the encoder spells, what the decoder writes and looks at."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own habit
from torch import Tensor

from training.batches import Batch
from training.model import CTC_BLANK, EOS, FIRST_CHARACTER, PAD, VOCABULARY, Trainee

WRONG_INPUTS = 0.08
LABEL_SMOOTHING = 0.02


def encoder_loss(trainee: Trainee, states: Tensor, batch: Batch, places_weight: float) -> Tensor:
    """Return the CTC loss a character, plus the cross-entropy of each strip against the character centred in it."""
    scores = trainee.ctc_head(states[:, 1:]).float()
    logs = scores.log_softmax(-1)
    targets = batch.tokens.clone()
    lengths = (batch.places >= 0).sum(1)
    losses = F.ctc_loss(
        logs.transpose(0, 1), targets, batch.strips, lengths, blank=CTC_BLANK, reduction="none", zero_infinity=True
    )
    loss = losses.sum() / lengths.sum()
    if places_weight > 0:
        labels = torch.full(scores.shape[:2], CTC_BLANK)
        rows, columns = (batch.places >= 0).nonzero(as_tuple=True)
        labels[rows, batch.places[rows, columns]] = batch.tokens[rows, columns]
        inside = torch.arange(scores.shape[1]) < batch.strips[:, None]
        strip_loss = F.nll_loss(logs[inside], labels[inside], reduction="mean")
        loss = loss + places_weight * 2.0 * strip_loss
    return loss


def decoder_loss(
    trainee: Trainee, states: Tensor, batch: Batch, guide_weight: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the decoder's loss (with the guide) and the bare cross-entropy of a token."""
    inputs = torch.cat((torch.full((len(batch.tokens), 1), EOS), batch.tokens[:, :-1]), dim=1)
    # Some input characters are wrong on purpose: the decoder must look at the line, not at its own past.
    wrong = (torch.rand(inputs.shape, generator=generator) < WRONG_INPUTS) & (inputs >= FIRST_CHARACTER)
    noise = torch.randint(FIRST_CHARACTER, VOCABULARY, inputs.shape, generator=generator)
    scores, looks = trainee.read(states, torch.where(wrong, noise, inputs))
    cross_entropy = F.cross_entropy(
        scores.float().flatten(0, 1), batch.tokens.flatten(), ignore_index=PAD, label_smoothing=LABEL_SMOOTHING
    )
    loss = cross_entropy
    if guide_weight > 0:
        # The end is to be found two strips behind the last character.
        places = torch.where(batch.tokens == EOS, batch.places.amax(1, keepdim=True) + 2, batch.places)
        has_place = places >= 0
        columns = torch.arange(states.shape[1])
        near = (columns - (places.clamp(max=states.shape[1] - 2)[..., None] + 1)).abs() <= 1
        for look in looks:
            mass = (look * near).sum(-1)[has_place]
            loss = loss + guide_weight * -(mass + 1e-4).log().mean()
    return loss, cross_entropy.detach()
