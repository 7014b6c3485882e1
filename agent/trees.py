"""Boosted trees (Friedman 2001) that were fitted elsewhere, as rows of nodes: chances without a library that fits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trees:
    """One row a tree, (trees, nodes) each.

    feature: -1 at a leaf. at: up to here the left child is taken. value: a leaf's share of the log-odds.
    """

    feature: NDArray[np.int64]
    at: Floats
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: Floats
    base: float

    @classmethod
    def of(cls, held: Mapping[str, Any]) -> "Trees":
        """From what JSON holds of it. Raises KeyError, ValueError or TypeError where it is none."""
        whole = {name: np.array(held[name], np.int64) for name in ("feature", "left", "right")}
        return cls(**whole, at=np.array(held["at"]), value=np.array(held["value"]), base=float(held["base"]))

    def log_odds(self, table: Floats) -> Floats:
        """(rows,) of a table of features, (rows, features)."""
        rows, every = np.arange(len(table))[:, None], np.arange(len(self.feature))[None, :]
        node = np.zeros((len(table), len(self.feature)), np.int64)
        while (feature := self.feature[every, node]).max(initial=-1) >= 0:
            is_low = table[rows, np.maximum(feature, 0)] <= self.at[every, node]
            down = np.where(is_low, self.left[every, node], self.right[every, node])
            node = np.where(feature >= 0, down, node)
        result: Floats = self.base + self.value[every, node].sum(1)
        return result

    def probability(self, row: Floats) -> float:
        """Of one row."""
        return float(1 / (1 + np.exp(-self.log_odds(row[None, :])[0])))
