"""What a team can do next about its intents: which two are taken for each other, and which messages to label.

Overlaps are shown by the very examples that confuse, side by side. Messages to label are those that the head is least
sure of, no two of them alike: uncertainty times diversity (Settles 2009, chapter 3 and 4).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.few_shot_labels import CHAT
from finetune.heads_data import Row
from retrieval.passage import Vectors

CONFUSED = 0.25  # of two intents' rows, by folds, taken for the other: from here on they are said to overlap
SIDE_BY_SIDE = 2  # pairs of examples that are shown of two intents
LOOKED_AT = 1_000  # rows of each of the two, for the likest pairs
CROWDED = 0.5  # how much the messages around one count: one that stands for many is worth more than an oddity
NEIGHBOURS = 5


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two intents that are taken for each other. share: how many of their rows are, or nearly. pairs: of examples."""

    one: str
    other: str
    share: float
    pairs: tuple[tuple[str, str], ...]


def overlaps(
    rows: Sequence[Row], labels: Sequence[str], chances: NDArray[np.float32], vectors: Vectors
) -> list[Overlap]:
    """Intents that overlap, the worst first. chances: (rows, labels), of each row by a head that had not seen it.

    What people wrote in the chat counts and is not among the pairs.
    """
    shown = np.array([row.source != CHAT for row in rows])
    right = np.array([labels.index(row.label or "") for row in rows])
    said = chances.argmax(axis=1)
    found = []
    for i in range(len(labels)):
        for j in range(i + 1, len(labels)):
            of_i, of_j = np.flatnonzero(right == i), np.flatnonzero(right == j)
            wrong = (said[of_i] == j).sum() + (said[of_j] == i).sum()
            share = float(wrong) / (len(of_i) + len(of_j))
            if share >= CONFUSED:
                pairs = _side_by_side(of_i[shown[of_i]], of_j[shown[of_j]], vectors)
                texts = tuple((rows[a].text, rows[b].text) for a, b in pairs)
                found.append(Overlap(labels[i], labels[j], share, texts))
    return sorted(found, key=lambda each: -each.share)


def _side_by_side(one: NDArray[np.intp], other: NDArray[np.intp], vectors: Vectors) -> list[tuple[int, int]]:
    """The likest pairs across two intents, each row once."""
    one, other = one[:LOOKED_AT], other[:LOOKED_AT]
    likeness = np.einsum("nd,md->nm", vectors[one], vectors[other])
    found = []
    for _ in range(min(SIDE_BY_SIDE, len(one), len(other))):
        a, b = np.unravel_index(int(likeness.argmax()), likeness.shape)
        found.append((int(one[a]), int(other[b])))
        likeness[a, :] = likeness[:, b] = -2.0
    return found


def worth_labelling(chances: NDArray[np.float32], vectors: Vectors, count: int) -> list[int]:
    """Which messages to label next, the best first. chances: (n, labels); vectors: (n, dim), unit rows."""
    if not len(chances):
        return []
    best = np.sort(chances, axis=1)[:, -2:]
    unsure = 1 - (best[:, 1] - best[:, 0])
    likeness = np.einsum("nd,md->nm", vectors, vectors)
    near = np.sort(likeness, axis=1)[:, -1 - NEIGHBOURS : -1]
    stands_for = np.clip(near.mean(axis=1), 0, 1) if near.shape[1] else np.zeros(len(chances))
    worth = unsure * ((1 - CROWDED) + CROWDED * stands_for)
    found: list[int] = []
    unlike = np.ones(len(chances))
    for _ in range(min(count, len(chances))):
        score = worth * unlike
        score[found] = -1.0
        chosen = int(score.argmax())
        found.append(chosen)
        unlike = np.minimum(unlike, 1 - np.clip(likeness[chosen], 0, 1))
    return found
