"""The ground floor's values: passages that search finds, sets of them, and vectors."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]  # rows of unit length, (n, dim)
Ids = NDArray[np.int64]  # passage ids, (n,)


def placed(present: Ids, ids: Ids) -> tuple[Ids, NDArray[np.bool_]]:
    """For each of `ids` (any shape) its place in `present` (rising, not empty), and whether it is there.

    A place is within `present` in any case.
    """
    last = len(present) - 1
    if present[last] - present[0] == last:  # no gap, as long as nothing was removed: no search
        places = ids - present[0]
        here = (places >= 0) & (places <= last)
        return (places if here.all() else np.where(here, places, 0)), here
    places = np.minimum(present.searchsorted(ids), last)
    return places, present[places] == ids


@dataclass(frozen=True, slots=True)
class Passage:
    """Evidence: a chunk as search returns it.

    source: the path or name the document was ingested under. audience: the audience through which the asker may read
    it (`tenant/name`). score: relevance in 0..1, comparable within one query only; `similarity` is the plain cosine of
    query and passage (comparable across queries; None when vectors did not vote).
    """

    id: int
    text: str
    source: str
    heading: str
    page: int | None
    line: int | None
    audience: str
    score: float
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class PassageSet:
    """An immutable set of passage ids with a fast membership test.

    ids: sorted, unique, non-negative, (n,) int64. bitmap: bit i (little-endian within its byte) says whether i is in;
    (max(ids) // 8 + 1,) uint8: the layout of FAISS's IDSelectorBitmap.
    """

    ids: Ids
    bitmap: NDArray[np.uint8]

    @classmethod
    def of(cls, ids: Ids) -> Self:
        unique = np.unique(np.asarray(ids, dtype=np.int64))
        bits = np.zeros(int(unique[-1]) + 1 if len(unique) else 0, dtype=np.uint8)
        bits[unique] = 1
        return cls(unique, np.packbits(bits, bitorder="little"))

    def __len__(self) -> int:
        return len(self.ids)

    def contains(self, ids: Ids) -> NDArray[np.bool_]:
        """Which of `ids` (any shape, -1 allowed) are in the set."""
        byte = ids >> 3
        known = (ids >= 0) & (byte < len(self.bitmap))
        bits = self.bitmap[np.where(known, byte, 0)] if len(self.bitmap) else np.zeros(ids.shape, np.uint8)
        found: NDArray[np.bool_] = known & ((bits >> (ids & 7).astype(np.uint8)) & 1).astype(bool)
        return found
