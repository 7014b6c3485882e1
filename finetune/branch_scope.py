"""Weigh the evidence of scope (`agent/scope.py`) on held-out rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.scope import Scope, evidence, nearness
from finetune.branch import Logits, even, probe, targets_of
from retrieval.passage import Vectors

FEWEST = 20  # messages of no label, without which their evidence is not weighed


def evidence_in(logits: Logits, spaces: list[tuple[Vectors, Vectors]]) -> NDArray[np.float32]:
    """`evidence`, with distances in several spaces: in each the messages' vectors, (n, dim), and the known rows'."""
    return evidence(logits, np.column_stack([nearness(own, known) for own, known in spaces]))


def weigh(seen: NDArray[np.float32], inside: NDArray[np.bool_]) -> Scope:
    """Weigh the evidence of held-out rows, `inside` or not, both sides alike."""
    middle, spread = seen.mean(axis=0), seen.std(axis=0) + np.float32(1e-6)
    targets = targets_of(["in" if each else "out" for each in inside], ("in", "out"))
    weights, bias = probe(((seen - middle) / spread).astype(np.float32), targets, even(targets), l2=1e-3)
    return Scope(middle, spread, weights[:, 0] - weights[:, 1], float(bias[0] - bias[1]))


def weighed(
    inside: NDArray[np.float32], far: NDArray[np.float32], near: Sequence[NDArray[np.float32]] = ()
) -> Scope | None:
    """Of few rows: the evidence of a team's own, each by a head that had not seen it, and of messages of no label.

    far: of any messages; those that are as near to the known rows as half of the team's own may well be of one of the
    labels, and are left out. near: of what is surely none. None where too few remain.
    """
    apart = np.concatenate([far[far[:, -1] < np.median(inside[:, -1])], *near])
    if len(apart) < FEWEST:
        return None
    return weigh(np.concatenate([inside, apart]), np.arange(len(inside) + len(apart)) < len(inside))
