"""Passages that say different things: what repeats an earlier one is dropped."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.passage import Vectors
from retrieval.tokens import words

Places = NDArray[np.int64]


def distinct(vectors: Vectors, texts: Sequence[str], *, cosine: float = 0.95, shared: float = 0.8) -> Places:
    """The places that repeat no earlier one; give the best first. vectors: (n, dim), unit rows.

    A text repeats another when its words are the same, or when their vectors are within `cosine`, they share `shared`
    of their distinct words, and name the same numbers: "Room 4 seats 12" and "Room 5 seats 14" are close, yet two
    facts.
    """
    bags = [frozenset(words(text)) for text in texts]
    numbers = [frozenset(word for word in bag if any(map(str.isdigit, word))) for bag in bags]
    likeness = vectors @ vectors.T
    kept: list[int] = []
    for i, bag in enumerate(bags):
        repeats = any(
            bag == bags[j]
            or (
                likeness[i, j] >= cosine
                and numbers[i] == numbers[j]
                and len(bag & bags[j]) >= shared * len(bag | bags[j])
            )
            for j in kept
        )
        if not repeats:
            kept.append(i)
    return np.array(kept, dtype=np.int64)
