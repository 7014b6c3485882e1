"""Int8 codes of unit vectors that need no training: a random rotation and one fixed scale.

Each coordinate of a randomly rotated unit vector is close to normal with variance 1/dim, whatever the encoder (the
observation of RaBitQ, Gao & Long, SIGMOD 2024, and TurboQuant, Zandieh et al. 2025). Codes of one scale can be compared
as integers, which FAISS does at about three times the speed of its per-dimension SQ8.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from retrieval.passage import Vectors

SPREAD = 4.5  # standard deviations that a code spans: 7 coordinates in a million are clipped


@dataclass(frozen=True, slots=True)
class Codes:
    """Of vectors of `dim` columns. given: the rotation that was saved with codes; None: that of every new index."""

    dim: int
    given: Vectors | None = None

    @property
    def rotation(self) -> Vectors:
        """Orthogonal, (dim, dim). It is saved with the codes: LAPACK builds may differ in its signs."""
        return _random_rotation(self.dim) if self.given is None else self.given

    @property
    def scale(self) -> float:
        """Code units a unit of length."""
        return 127 / min(1.0, SPREAD / math.sqrt(self.dim))

    @property
    def blur(self) -> float:
        """By how much two scores may trade places: three standard deviations of the difference of their errors."""
        return 3 * math.sqrt(2) * math.sqrt(2 / 12) / self.scale

    @property
    def projection(self) -> Vectors:
        """Takes a vector to its code before rounding, (dim, dim)."""
        return self.rotation * np.float32(self.scale)

    @staticmethod
    def rounded(projected: Vectors) -> Vectors:
        """`projected` in place, as whole numbers from -127 to 127."""
        np.rint(projected, out=projected)
        return np.clip(projected, -127, 127, out=projected)


@cache
def _random_rotation(dim: int) -> Vectors:
    """Takes up to half a second, which a knowledge base without codes never pays."""
    gaussian = np.random.default_rng(0).standard_normal((dim, dim))
    return np.linalg.qr(gaussian)[0].astype(np.float32)
