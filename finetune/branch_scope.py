"""Whether a message is about anything that a head knows: distance, energy and calibrated probability in one chance.

Each alone misses what another sees (Hendrycks & Gimpel 2017 for the probability, Liu et al. 2020 for the energy, Sun et
al. 2022 for the distance to the nearest known rows). A logistic regression on held-out rows weighs them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.head import probabilities
from finetune.branch import Logits, even, probe, targets_of
from retrieval.passage import Vectors

NEIGHBOURS = 3
EVIDENCE = ("probability", "margin", "energy", "distance", "distance in the task's own space")


def evidence(logits: Logits, spaces: list[tuple[Vectors, Vectors]]) -> NDArray[np.float32]:
    """What speaks for each message being in scope, (n, 3 + spaces). logits: calibrated, (n, labels).

    spaces: the messages' vectors, (n, dim), and those of the known rows, (rows, dim), in one space or several.
    """
    best = np.sort(logits, axis=1)[:, -2:]
    chances = np.clip(probabilities(logits, 1.0).max(axis=1), 1e-6, 1 - 1e-6)
    peak = logits.max(axis=1)
    energy = peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1))
    near = [np.partition(own @ known.T, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS:].mean(axis=1) for own, known in spaces]
    return np.stack([np.log(chances / (1 - chances)), best[:, 1] - best[:, 0], energy, *near], axis=1)


@dataclass(frozen=True, slots=True)
class Scope:
    """How much each piece of evidence weighs. middle, spread, weights: (evidence,)."""

    middle: NDArray[np.float32]
    spread: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: float

    @classmethod
    def fit(cls, seen: NDArray[np.float32], inside: NDArray[np.bool_]) -> "Scope":
        """Weigh the evidence of held-out rows, `inside` or not, both sides alike."""
        middle, spread = seen.mean(axis=0), seen.std(axis=0) + np.float32(1e-6)
        targets = targets_of(["in" if each else "out" for each in inside], ("in", "out"))
        weights, bias = probe(((seen - middle) / spread).astype(np.float32), targets, even(targets), l2=1e-3)
        return cls(middle, spread, weights[:, 0] - weights[:, 1], float(bias[0] - bias[1]))

    def chance(self, seen: NDArray[np.float32]) -> NDArray[np.float32]:
        """The chance that each message is in scope, where half of all are."""
        odds = (seen - self.middle) / self.spread @ self.weights + self.bias
        result: NDArray[np.float32] = (1 / (1 + np.exp(-odds))).astype(np.float32)
        return result


def cheapest(chances: NDArray[np.float32], right: NDArray[np.bool_], wrong_costs: float) -> float:
    """The confidence under which asking back is cheaper than acting. right: whether acting would have been right.

    wrong_costs: what acting wrongly costs, in askings back. With chances that are true it is 1 - 1 / wrong_costs (Chow
    1970); this is what the rows themselves say.
    """
    order = np.argsort(chances)
    wrong = np.concatenate([[0], np.cumsum(~right[order])])  # among the least sure ones
    costs = np.arange(len(chances) + 1) + wrong_costs * (wrong[-1] - wrong)
    best = int(costs.argmin())  # so many are asked back about
    return float(chances[order[best]]) if best < len(chances) else 1.0
