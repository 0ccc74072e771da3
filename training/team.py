"""The training processes as a team: shared weights and gradients, each member stepping its part of the parameters."""

import copy
from pathlib import Path

import torch
from torch import Tensor, multiprocessing

from training.model import Trainee
from training.muon import Muon

COUNTERS = ("seconds", "step", "decoder_steps", "lines")
MUON_RATE, ADAM_RATE = 0.02, 1e-3
WARM_UP_STEPS, DECODER_WARM_UP_STEPS = 100, 300
DECAY_FROM = 0.35  # share of the budget after which the rates fall
EMA_DECAY = 0.996


class Team:
    """What the training processes share: weights, gradients, and counters, all in shared memory.

    Two processes of one thread each are faster here than one of two, above all on a busy machine: they wait for each
    other twice a step instead of in every matrix product. Each one steps the parameters that it owns.
    """

    def __init__(self, size: int, start_from: Path | None = None) -> None:
        torch.manual_seed(1)
        self.size = size
        self.trainee = Trainee()
        if start_from is not None:
            self.trainee.read_checkpoint(start_from)
        self.trainee.share_memory()
        self.average = copy.deepcopy(self.trainee).requires_grad_(False).share_memory()
        for name, weight in self.trainee.named_parameters():
            if "pooler" in name or "patch_embeddings.projection.weight" in name:
                weight.requires_grad_(False)
        count = sum(weight.numel() for weight in self.trainee.parameters() if weight.requires_grad)
        self.gradients = torch.zeros(size, count).share_memory_()
        self.counters = torch.zeros(len(COUNTERS), dtype=torch.float64).share_memory_()
        self.lines = torch.zeros(size, dtype=torch.float64).share_memory_()
        context = multiprocessing.get_context("spawn")
        self.barrier = context.Barrier(size)

    def meet(self) -> None:
        """Wait for the others."""
        self.barrier.wait(timeout=900)


class Member:
    """One training process: the parameters it owns, their optimisers, and its files."""

    def __init__(self, team: Team, rank: int, folder: Path) -> None:
        self.team, self.rank, self.folder = team, rank, folder
        self.views: dict[str, Tensor] = {}
        start = 0
        kinds: dict[str, dict[str, Tensor]] = {"matrices": {}, "decoder": {}, "rest": {}}
        named = {name: weight for name, weight in team.trainee.named_parameters() if weight.requires_grad}
        for i, (name, weight) in enumerate(sorted(named.items(), key=lambda item: (item[1].shape, item[0]))):
            self.views[name] = team.gradients[:, start : start + weight.numel()].view(team.size, *weight.shape)
            start += weight.numel()
            if i % team.size == rank:
                is_matrix = "encoder.layers" in name and weight.ndim == 2
                kind = "decoder" if "model.decoder" in name else "matrices" if is_matrix else "rest"
                kinds[kind][name] = weight
        self.named, self.owned = named, {name: weight for kind in kinds.values() for name, weight in kind.items()}
        self.averages = dict(team.average.named_parameters())
        self.muon = Muon(list(kinds["matrices"].values()), MUON_RATE)
        groups = [{"params": list(kinds[kind].values())} for kind in ("rest", "decoder")]
        self.adam = torch.optim.AdamW(groups, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0)

    def set_rates(self, share: float, step: int, decoder_steps: int) -> None:
        """Set the learning rates for this share of the budget: a warm-up, a plateau, a straight line to zero."""
        fall = 1.0 if share < DECAY_FROM else max(0.0, (1 - share) / (1 - DECAY_FROM))
        warm = min(1.0, (step + 1) / WARM_UP_STEPS)
        decoder_warm = min(1.0, (decoder_steps + 1) / DECODER_WARM_UP_STEPS)
        self.muon.param_groups[0]["lr"] = MUON_RATE * fall * warm
        self.adam.param_groups[0]["lr"] = ADAM_RATE * fall * warm
        self.adam.param_groups[1]["lr"] = ADAM_RATE * fall * decoder_warm

    @torch.no_grad()
    def step(self, number: int) -> float:
        """Share the gradients, step the owned parameters and their averages; return the norm before clipping."""
        for name, weight in self.named.items():
            if weight.grad is None:
                self.views[name][self.rank].zero_()
            else:
                self.views[name][self.rank].copy_(weight.grad)
            weight.grad = None
        self.team.meet()
        for name, weight in self.owned.items():
            weight.grad = self.views[name].mean(0)
        clipped = [weight for group in self.adam.param_groups for weight in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(clipped, 1.0).item()
        self.muon.step()
        self.adam.step()
        decay = min(EMA_DECAY, (1 + number) / (10 + number))
        for name, weight in self.owned.items():
            self.averages[name].lerp_(weight, 1 - decay)
            weight.grad = None
        return norm

    def save(self) -> None:
        """Write this member's part of the checkpoint: its own parameters and optimiser states, by name."""
        path = self.folder / f"checkpoint-{self.rank}.pt"
        partial = path.with_suffix(".partial")
        torch.save(
            {
                "weights": {name: weight.detach() for name, weight in self.owned.items()},
                "average": {name: self.averages[name] for name in self.owned},
                "momentum": {n: self.muon.state[w] for n, w in self.owned.items() if w in self.muon.state},
                "adam": {n: self.adam.state[w] for n, w in self.owned.items() if w in self.adam.state},
                "counters": dict(zip(COUNTERS, self.team.counters.tolist(), strict=True)),
            },
            partial,
        )
        partial.rename(path)

    @torch.no_grad()
    def load(self) -> None:
        """Go on from the checkpoint, if there is one, however many processes wrote it."""
        for path in sorted(self.folder.glob("checkpoint-*.pt")):
            saved = torch.load(path, weights_only=True)
            for name, value in saved["weights"].items():
                if name in self.owned:
                    self.owned[name].copy_(value)
                    self.averages[name].copy_(saved["average"][name])
                    if name in saved["momentum"]:
                        self.muon.state[self.owned[name]] = saved["momentum"][name]
                    if name in saved["adam"]:
                        self.adam.state[self.owned[name]] = saved["adam"][name]
            if self.rank == 0:
                self.team.counters.copy_(torch.tensor([saved["counters"][name] for name in COUNTERS]))


def load_average(folder: Path) -> tuple[Trainee, dict[str, float]]:
    """Return the averaged weights of a run's checkpoint, and its counters."""
    trainee, counters = Trainee(), {}
    weights = dict(trainee.named_parameters())
    with torch.no_grad():
        for path in sorted(folder.glob("checkpoint-*.pt")):
            saved = torch.load(path, weights_only=True)
            counters = saved["counters"]
            for name, value in saved["average"].items():
                weights[name].copy_(value)
    return trainee, counters
