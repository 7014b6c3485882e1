"""Muon for the matrices, AdamW for the rest: the steps that train a small model fastest (Jordan et al. 2024).

Matrices of one shape are stepped together.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

MOMENTUM = 0.95


def orthogonalised(x: Tensor) -> Tensor:
    """Five Newton-Schulz iterations towards the nearest orthogonal matrices, (n, rows, columns); bfloat16 on a GPU."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = x.bfloat16() if x.is_cuda else x
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon:
    def __init__(self, weights: Sequence[nn.Parameter], decay: float) -> None:
        by_shape: dict[torch.Size, list[Tensor]] = {}
        for weight in weights:
            by_shape.setdefault(weight.shape, []).append(weight)
        self._groups = list(by_shape.values())
        self._momenta = [torch.zeros(len(some), *some[0].shape, device=some[0].device) for some in self._groups]
        self._decay = decay

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for weights, momentum in zip(self._groups, self._momenta, strict=True):
            gradients = torch.stack([weight.grad for weight in weights])  # type: ignore[misc] # all have one after backward
            momentum.lerp_(gradients, 1 - MOMENTUM)
            rows, columns = weights[0].shape
            scale = -rate * max(1.0, rows / columns) ** 0.5
            steps = orthogonalised(gradients.lerp_(momentum, MOMENTUM)).float()
            torch._foreach_mul_(weights, 1 - rate * self._decay)
            torch._foreach_add_(weights, list(steps.unbind()), alpha=scale)

    def state(self) -> list[Tensor]:
        return self._momenta

    def load(self, state: Sequence[Tensor]) -> None:
        for own, saved in zip(self._momenta, state, strict=True):
            own.copy_(saved)


class Optimizer:
    """Both, under one rate: 1.0 is the peak."""

    def __init__(self, model: nn.Module, *, muon: float = 0.015, adam: float = 0.002, decay: float = 0.1) -> None:
        matrices = [w for name, w in model.named_parameters() if w.ndim == 2 and "embed" not in name]
        rest = [w for name, w in model.named_parameters() if w.ndim != 2 or "embed" in name]
        self._muon = Muon(matrices, decay)
        self._adam = torch.optim.AdamW(
            rest, lr=adam, betas=(0.9, 0.95), weight_decay=0.0, fused=rest[0].is_cuda or None
        )
        self._rates = muon, adam
        self._weights = [*matrices, *rest]

    def step(self, rate: float) -> None:
        self._muon.step(self._rates[0] * rate)
        for group in self._adam.param_groups:
            group["lr"] = self._rates[1] * rate
        self._adam.step()
        self.clear()

    def clear(self) -> None:
        """Forget the gradients."""
        for weight in self._weights:
            weight.grad = None

    def state(self) -> dict[str, Tensor]:
        """All that steps depend on, by name."""
        momenta = {f"muon.{number}": each for number, each in enumerate(self._muon.state())}
        adam: dict[int, dict[str, Tensor]] = self._adam.state_dict()["state"]
        return momenta | {f"adam.{i}.{name}": each for i, kept in adam.items() for name, each in kept.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        self._muon.load([state[f"muon.{number}"] for number in range(len(self._muon.state()))])
        adam = self._adam.state_dict()
        for key, each in state.items():
            kind, number, *name = key.split(".")
            if kind == "adam":
                adam["state"].setdefault(int(number), {})[name[0]] = each
        self._adam.load_state_dict(adam)
