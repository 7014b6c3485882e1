"""Whether a message is about anything that a head knows: distance, energy and calibrated probability in one chance.

Each alone misses what another sees (Hendrycks & Gimpel 2017 for the probability, Liu et al. 2020 for the energy, Sun et
al. 2022 for the distance to the nearest known rows). `finetune/branch_scope.py` weighs them on held-out rows. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 3
BLOCK = 1_024  # messages compared with the known rows at once


def evidence(logits: NDArray[np.float32], near: NDArray[np.float32]) -> NDArray[np.float32]:
    """What speaks for each message being in scope, (n, 3 + spaces): probability, margin, energy, distances.

    logits: calibrated, (n, labels). near: by `nearness`, (n, spaces).
    """
    best = np.sort(logits, axis=1)[:, -2:]
    peak = best[:, 1]
    energy = peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1))
    chances = np.clip(np.exp(peak - energy), 1e-6, 1 - 1e-6)
    columns = (np.log(chances / (1 - chances)), peak - best[:, 0], energy)
    return np.column_stack([*columns, near]).astype(np.float32)


def nearness(vectors: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    """How like its nearest known rows each message is, (n,). vectors: (n, dim); known: (rows, dim); unit rows all."""
    count = min(NEIGHBOURS, len(known))
    found = np.empty(len(vectors), dtype=np.float32)
    for at in range(0, len(vectors), BLOCK):
        likeness = np.einsum("nd,md->nm", vectors[at : at + BLOCK], known)
        found[at : at + BLOCK] = np.partition(likeness, -count, axis=1)[:, -count:].mean(axis=1)
    return found


@dataclass(frozen=True, slots=True)
class Scope:
    """How much each piece of evidence weighs. middle, spread, weights: (evidence,)."""

    middle: NDArray[np.float32]
    spread: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: float

    def chance(self, seen: NDArray[np.float32]) -> NDArray[np.float32]:
        """The chance that each message is in scope, where half of all are."""
        odds = (seen - self.middle) / self.spread @ self.weights + self.bias
        result: NDArray[np.float32] = (1 / (1 + np.exp(-np.clip(odds, -80, 80)))).astype(np.float32)
        return result

    def card(self) -> dict[str, object]:
        """What a head's card keeps of it."""
        parts = {name: getattr(self, name).tolist() for name in ("middle", "spread", "weights")}
        return {**parts, "bias": self.bias}

    @classmethod
    def of(cls, card: Mapping[str, Any], pieces: int) -> "Scope":
        """From such a card. Raises KeyError, TypeError or ValueError where it is not one of so many pieces."""
        middle, spread, weights = (np.asarray(card[name], dtype=np.float32) for name in ("middle", "spread", "weights"))
        bias = float(card["bias"])
        parts = (middle, spread, weights)
        is_whole = all(part.shape == (pieces,) and np.isfinite(part).all() for part in parts) and np.isfinite(bias)
        if not is_whole or (spread <= 0).any():
            raise ValueError("its evidence of scope is damaged")
        return cls(middle, spread, weights, bias)
