"""Muon: momentum whose matrices are made orthogonal before each step (Jordan et al., 2024)."""

from collections import defaultdict

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalise(stack: Tensor, steps: int = 5) -> Tensor:
    """Bring a stack of matrices (count, rows, columns), rows <= columns, near their orthogonal factors, in bfloat16."""
    a, b, c = COEFFICIENTS
    x = (stack / (stack.norm(dim=(1, 2), keepdim=True) + 1e-7)).bfloat16()
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.to(stack.dtype)


class Muon(torch.optim.Optimizer):
    """Step matrices by their orthogonalised momentum; equal shapes are orthogonalised together."""

    def __init__(self, params: list[Tensor], lr: float = 0.02, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # noqa: ARG002 - torch passes it
        """Take one step."""
        for group in self.param_groups:
            by_shape: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                update = torch.lerp(weight.grad, state["momentum"], group["momentum"])
                wide = update if update.shape[0] <= update.shape[1] else update.T
                by_shape[tuple(wide.shape)].append((weight, wide))
            for shape, members in by_shape.items():
                stack = orthogonalise(torch.stack([wide for _, wide in members]))
                for (weight, _), wide in zip(members, stack, strict=True):
                    step = wide if weight.shape == shape else wide.T
                    scale = max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5
                    weight.add_(step, alpha=-group["lr"] * scale)
