"""Float32 vectors by passage id, in two segments: a sealed base that may be memory-mapped, and a growing tail.

They serve the exact rerank and every rebuild. Nothing here locks: the index above decides who reads and who writes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.passage import Ids, Vectors, placed

CHUNK = 16_384  # rows copied at once when everything is read: 24 MB at 384 dimensions

Rows = NDArray[np.int64]  # places in the segments; -1 is nowhere


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which vectors were there at one moment: sorted `ids` (n,) and their `rows` (n,) in base, then tail."""

    ids: Ids
    rows: Rows
    base: Vectors
    tail: Vectors

    def gather(self, rows: Rows) -> Vectors:
        """Copies of the vectors at `rows` (m,), each >= 0; (m, dim)."""
        if not len(rows) or int(rows.max()) < len(self.base):
            return np.take(self.base, rows, axis=0)
        if int(rows.min()) >= len(self.base):
            return np.take(self.tail, rows - len(self.base), axis=0)
        vectors = np.empty((len(rows), self.base.shape[1]), np.float32)
        sealed = rows < len(self.base)
        vectors[sealed] = self.base[rows[sealed]]
        vectors[~sealed] = self.tail[rows[~sealed] - len(self.base)]
        return vectors

    def chunks(self) -> Iterator[tuple[Ids, Vectors]]:
        """All ids and vectors, by rising id, a bounded piece at a time."""
        for start in range(0, len(self.ids), CHUNK):
            part = slice(start, start + CHUNK)
            yield self.ids[part], self.gather(self.rows[part])


class Segments:
    """The vectors that are there now.

    Removing frees a row of the tail for the next vector; rows of the base are only left out of the next `write`.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._base: Vectors = np.empty((0, dim), np.float32)
        self._tail: Vectors = np.empty((0, dim), np.float32)
        self._used = 0  # rows of the tail that were ever taken
        self._free: Rows = np.empty(0, np.int64)
        self._ids: Ids = np.empty(0, np.int64)
        self._rows: Rows = np.empty(0, np.int64)

    @classmethod
    def mapped(cls, vectors: Path, ids: Path, dim: int) -> "Segments":
        """What `write` wrote, with the vectors memory-mapped read-only.

        Raises ValueError when the two files do not fit each other or `dim`.
        """
        segments = cls(dim)
        segments._ids = np.fromfile(ids, "<i8").astype(np.int64, copy=False)
        count = len(segments._ids)
        if vectors.stat().st_size != count * dim * 4 or np.any(np.diff(segments._ids) <= 0):
            raise ValueError("the vectors and the ids do not fit each other")
        if count:  # an empty file cannot be mapped
            segments._base = np.asarray(np.memmap(vectors, "<f4", mode="r", shape=(count, dim)))
        segments._rows = np.arange(count)
        return segments

    def write(self, vectors: Path, ids: Path) -> None:
        """Write the vectors as raw little-endian float32 rows by rising id, and the ids beside. Raises OSError."""
        with vectors.open("wb") as file:
            for _, part in self.snapshot().chunks():
                file.write(part.astype("<f4", copy=False).data)
        ids.write_bytes(self._ids.astype("<i8", copy=False).tobytes())

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> Ids:
        """Sorted; not to be written to."""
        return self._ids

    def snapshot(self) -> Snapshot:
        return Snapshot(self._ids, self._rows, self._base, self._tail)

    def rows_of(self, ids: Ids) -> Rows:
        """Where `ids` (any shape) are; -1 for those that are not here."""
        if not len(self._ids):
            return np.full(ids.shape, -1, np.int64)
        places, here = placed(self._ids, ids)
        return np.where(here, self._rows[places], -1)

    def nearest(self, queries: Vectors, count: int, ids: Ids) -> Ids:
        """The `count` of `ids` (m,) nearest to each query (n, dim), in no order, (n, at most count): reads them all."""
        rows = self.rows_of(ids)
        here = ids[rows >= 0]
        if len(here) <= count:
            return np.broadcast_to(here, (len(queries), len(here)))
        scores = queries @ self.snapshot().gather(rows[rows >= 0]).T
        nearest: Ids = here[np.argpartition(scores, -count, axis=1)[:, -count:]]
        return nearest

    def ranked(self, queries: Vectors, ids: Ids) -> tuple[NDArray[np.float32], Ids]:
        """Exact cosines (n, m) of each query's candidates `ids` (n, m), best first, and the ids in that order.

        Equal scores are ordered by id; -inf and -1 stand for those that are not here.
        """
        rows = self.rows_of(ids)
        here = rows >= 0
        vectors = self.snapshot().gather(np.maximum(rows, 0).ravel()).reshape(*ids.shape, self.dim)
        # Row by row in one order of summation (BLAS has several): equal vectors score equally wherever they lie.
        scores: NDArray[np.float32] = np.einsum("nmd,nd->nm", vectors, queries)
        if not here.all():
            scores[~here], ids = -np.inf, np.where(here, ids, -1)
        order = np.lexsort((ids, -scores))
        line = np.arange(len(ids))[:, None]
        return scores[line, order], ids[line, order]

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Keep copies of `vectors` under `ids`, which must be distinct and new."""
        rows = self._take_rows(len(ids))
        self._tail[rows - len(self._base)] = vectors
        # New arrays each time, so that a snapshot never changes; ids mostly rise, and then nothing is sorted.
        all_ids, all_rows = np.concatenate([self._ids, ids]), np.concatenate([self._rows, rows])
        if len(ids) and (np.any(np.diff(ids) < 0) or (len(self._ids) and ids[0] < self._ids[-1])):
            order = np.argsort(all_ids, kind="stable")
            all_ids, all_rows = all_ids[order], all_rows[order]
        self._ids, self._rows = all_ids, all_rows

    def remove(self, ids: Ids) -> Ids:
        """Forget `ids`; those that were here are returned, sorted."""
        distinct = np.unique(ids)
        rows = self.rows_of(distinct)
        gone = distinct[rows >= 0]
        self._free = np.concatenate([self._free, rows[rows >= len(self._base)]])
        places = np.searchsorted(self._ids, gone)
        self._ids, self._rows = np.delete(self._ids, places), np.delete(self._rows, places)
        return gone

    def _take_rows(self, count: int) -> Rows:
        reused, self._free = self._free[:count], self._free[count:]
        fresh = count - len(reused)
        needed = self._used + fresh
        if needed > len(self._tail):
            grown = np.empty((max(needed, 2 * len(self._tail)), self.dim), np.float32)
            grown[: self._used] = self._tail[: self._used]
            self._tail = grown
        rows = np.arange(self._used, needed) + len(self._base)
        self._used = needed
        return np.concatenate([reused, rows])
