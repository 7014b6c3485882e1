"""A measure that several trained parts are judged by: how well a score parts those inside from those outside."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def auroc(scores: NDArray[np.floating[Any]], inside: NDArray[np.bool_]) -> float:
    """How often one inside scores above one outside, ties by half (Mann & Whitney 1947). 0 where a side is empty."""
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.bincount(places, ranks) / counts)[places]
    inner = int(inside.sum())
    outer = len(scores) - inner
    return float((ranks[inside].sum() - inner * (inner + 1) / 2) / max(inner * outer, 1))
