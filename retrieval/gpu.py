"""A copy of the vectors on a GPU, owned by one thread: FAISS's GPU indexes are unsafe even for two readers.

See "Multiple threads" in the FAISS wiki: "GPU indexes are not thread-safe even for read-only functions".
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.passage import Ids, PassageSet, Vectors
from retrieval.segments import Segments, Snapshot

MOST_RESULTS = 2048  # GPU_MAX_SELECTION_K in faiss/gpu/utils/DeviceDefs.cuh


class Fillable(Protocol):
    """What a FAISS index offers: add rows, then find the `k` best positions a query, -1 where there are fewer."""

    def add(self, x: Vectors) -> None: ...
    def search(self, x: Vectors, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]: ...


class Clone:
    """An immutable copy of a snapshot, touched by one thread only. It knows no later removals and no audiences."""

    def __init__(self, snapshot: Snapshot, empty: Callable[[], Fillable]) -> None:
        """Copy `snapshot` into what `empty` makes, chunk by chunk. Raises what those raise."""

        def fill() -> Fillable:
            index = empty()
            for _, vectors in snapshot.chunks():
                index.add(vectors)
            return index

        self._ids = snapshot.ids
        self._owner = ThreadPoolExecutor(1, thread_name_prefix="index-owner")  # its thread ends with this clone
        self._index = self._owner.submit(fill).result()

    def candidates(self, queries: Vectors, count: int, segments: Segments, allowed: PassageSet | None) -> Ids:
        """Ids (n, count) of the best that are still in `segments` and `allowed`, best first; -1 pads.

        A GPU index silently ignores selectors, so it is asked for more than needed and each id is checked here. All is
        padding when it would have to be asked for more than it can give. Raises what the index raises.
        """
        ids = np.full((len(queries), count), -1, np.int64)
        share = 1.0 if allowed is None else min(1.0, len(allowed) / len(segments))
        wide = min(math.ceil(1.5 * count / share), len(self._ids))
        if wide > MOST_RESULTS:
            return ids
        _, positions = self._owner.submit(self._index.search, queries, wide).result()
        found = np.where(positions >= 0, self._ids[positions], -1)
        good = segments.rows_of(found) >= 0
        if allowed is not None:
            good &= allowed.contains(found)
        first = np.argsort(~good, axis=1, kind="stable")[:, :count]
        best = np.take_along_axis(np.where(good, found, -1), first, axis=1)
        ids[:, : best.shape[1]] = best
        return ids
