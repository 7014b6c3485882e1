"""Where a session has not been yet: stimuli aimed at the emptiest region of the map, and near-duplicates refused. Pure.

Of many stimuli the one farthest from all ideas is taken, as long as it still has to do with the topic: far and foreign
is easy, far and useful is what helps. Several are taken one after the other, each far from those before it too.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.passage import Vectors

Vector = NDArray[np.float32]
NEAR = 0.8  # cosine of MiniLM vectors from which an idea repeats another: below groups.DUPLICATE, as none is lost by it
RELEVANT = 0.5  # the share of stimuli, the nearest to the topic, among which the farthest from the ideas are looked for


@dataclass(frozen=True, slots=True)
class Repeats:
    """Which idea a text is near, and how near."""

    idea: int
    cosine: float


def aimed(stimuli: Vectors, ideas: Vectors, topic: Vector, count: int = 1) -> list[int]:
    """The places of `count` stimuli that lead away from the ideas and not from the topic, the best first.

    stimuli: (n, dim), ideas: (m, dim), topic: (dim,), unit rows.
    """
    if not len(stimuli):
        return []
    fit = stimuli @ topic
    most = max(count, int(np.ceil(len(stimuli) * RELEVANT)))
    chosen = list(np.argsort(-fit, kind="stable")[:most])
    crowd = (stimuli @ ideas.T).max(axis=1) if len(ideas) else np.zeros(len(stimuli), np.float32)
    found: list[int] = []
    while chosen and len(found) < count:
        best = min(chosen, key=lambda i: float(crowd[i]))
        chosen.remove(best)
        found.append(int(best))
        crowd = np.maximum(crowd, stimuli @ stimuli[best])
    return found


def repeats(vector: Vector, ideas: Vectors, near: float = NEAR) -> Repeats | None:
    """The idea that a text with this vector repeats; None when it says something of its own."""
    if not len(ideas):
        return None
    likeness = ideas @ vector
    nearest = int(likeness.argmax())
    return Repeats(nearest, float(likeness[nearest])) if likeness[nearest] >= near else None


def first_new(vectors: Vectors, ideas: Vectors) -> int | None:
    """The place of the first of several texts that repeats no idea; None when all of them do."""
    return next((i for i, vector in enumerate(vectors) if repeats(vector, ideas) is None), None)
