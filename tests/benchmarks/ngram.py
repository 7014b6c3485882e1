"""A word-piece n-gram model with Witten-Bell smoothing (1991): the plain thing that a language model has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """Counts of one order. keys: context and next piece packed, sorted, with counts; contexts likewise with totals."""

    keys: Ints
    counts: Ints
    contexts: Ints
    totals: Ints
    kinds: Ints  # different pieces seen after each context


class NGrams:
    def __init__(self, pieces: Ints, vocabulary: int, order: int = 3) -> None:
        self._vocabulary, self._order = vocabulary, order
        self._orders = [self._counted(pieces, n) for n in range(1, order + 1)]

    def _packed(self, pieces: Ints, n: int) -> Ints:
        """Every run of `n` pieces as one number, (len - n + 1,)."""
        packed = np.zeros(len(pieces) - n + 1, dtype=np.int64)
        for i in range(n):
            packed = packed * self._vocabulary + pieces[i : i + len(packed)]
        return packed

    def _counted(self, pieces: Ints, n: int) -> Order:
        keys, counts = np.unique(self._packed(pieces, n), return_counts=True)
        contexts, first = np.unique(keys // self._vocabulary, return_index=True)
        return Order(keys, counts, contexts, np.add.reduceat(counts, first), np.diff([*first, len(keys)]))

    def bits(self, pieces: Sequence[int]) -> float:
        """What the pieces cost altogether."""
        stream = np.concatenate([np.zeros(self._order - 1, np.int64), np.array(pieces, np.int64)])
        chance = np.full(len(pieces), 1 / self._vocabulary)
        for n, order in enumerate(self._orders, 1):
            keys = self._packed(stream, n)[-len(pieces) :]
            seen = _looked_up(order.keys, order.counts, keys)
            total = _looked_up(order.contexts, order.totals, keys // self._vocabulary)
            kinds = _looked_up(order.contexts, order.kinds, keys // self._vocabulary)
            chance = np.where(total > 0, (seen + kinds * chance) / np.maximum(total + kinds, 1), chance)
        return float(-np.log2(chance).sum())


def _looked_up(keys: Ints, values: Ints, wanted: Ints) -> Ints:
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)
