"""A copy of the vectors on a GPU, owned by one thread: FAISS's GPU indexes are unsafe even for two readers.

See "Multiple threads" in the FAISS wiki: "GPU indexes are not thread-safe even for read-only functions".
"""

import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
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


@dataclass(frozen=True, slots=True)
class _Question:
    """Queries (n, dim) that wait for the positions (n, wide) of their best."""

    queries: Vectors
    wide: int
    answer: "Future[NDArray[np.int64]]" = field(default_factory=Future)


class Clone:
    """An immutable copy of a snapshot, touched by one thread only. It knows no later removals and no audiences.

    Questions that arrive while it searches are answered together: a GPU takes hardly longer for eight than for one.
    """

    def __init__(self, snapshot: Snapshot, empty: Callable[[], Fillable]) -> None:
        """Copy `snapshot` into what `empty` makes, chunk by chunk. Raises what those raise."""

        def fill() -> Fillable:
            index = empty()
            for _, vectors in snapshot.chunks():
                index.add(vectors)
            return index

        self._ids = snapshot.ids
        self._waiting: list[_Question] = []
        self._lock = Lock()  # around `_waiting`
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
        question = _Question(queries, wide)
        with self._lock:
            self._waiting.append(question)
        self._owner.submit(self._answer)
        positions = question.answer.result()
        found = np.where(positions >= 0, self._ids[positions], -1)
        good = segments.rows_of(found) >= 0
        if allowed is not None:
            good &= allowed.contains(found)
        first = np.argsort(~good, axis=1, kind="stable")[:, :count]
        best = np.take_along_axis(np.where(good, found, -1), first, axis=1)
        ids[:, : best.shape[1]] = best
        return ids

    def _answer(self) -> None:
        """Search for all that wait by now: each asks for a turn, and mostly finds an earlier turn has served it too."""
        with self._lock:
            asked, self._waiting = self._waiting, []
        if not asked:
            return
        try:
            widest = max(each.wide for each in asked)
            _, positions = self._index.search(np.concatenate([each.queries for each in asked]), widest)
        except Exception as error:  # noqa: BLE001 - whatever the GPU raises is for those who wait
            for each in asked:
                each.answer.set_exception(error)
            return
        start = 0
        for each in asked:
            each.answer.set_result(positions[start : start + len(each.queries), : each.wide])
            start += len(each.queries)
