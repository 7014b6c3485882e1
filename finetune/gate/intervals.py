"""How sure a difference between two models is that answered the same questions: paired bootstrap (Efron 1979).

Both models are measured on the same rows, so only the differences are drawn again: a hard row is hard for both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 4000
SURE = 0.95  # of the interval, two-sided
FEW = 10  # rows below which a bootstrap is too narrow: Student's t is taken, and says less
# The 97.5% quantile of Student's t with 1 to 8 degrees of freedom.
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean difference and where it lies with 95%. rows: how many it was taken from."""

    mean: float
    low: float
    high: float
    rows: int


def difference(candidate: Sequence[float], live: Sequence[float], seed: int = 0) -> Interval:
    """The mean of candidate minus live, row by row. Raises ValueError for rows that are not paired, or fewer than 2."""
    differences = np.asarray(candidate, dtype=np.float64) - np.asarray(live, dtype=np.float64)
    rows = len(differences)
    if rows < 2:
        raise ValueError("an interval needs two rows or more")
    mean = float(differences.mean())
    if rows < FEW:
        reach = _STUDENT[rows - 2] * float(differences.std(ddof=1)) / math.sqrt(rows)
        return Interval(mean, mean - reach, mean + reach, rows)
    rng = np.random.default_rng(seed)
    means = differences[rng.integers(0, rows, (DRAWS, rows))].mean(axis=1)
    tail = (1 - SURE) / 2 * 100
    low, high = np.percentile(means, [tail, 100 - tail])
    return Interval(mean, float(low), float(high), rows)
