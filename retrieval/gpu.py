"""A copy of the vectors on a GPU, owned by one thread: FAISS's GPU indexes are unsafe even for two readers."""

import math
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.passage import Ids, PassageSet, Vectors
from retrieval.segments import Segments, Snapshot

MOST_RESULTS = 2048  # GPU_MAX_SELECTION_K in faiss/gpu/utils/DeviceDefs.cuh
MOST_QUERIES = 1024  # waiting queries that go in one pass


class Searchable(Protocol):
    """What a FAISS index offers: the `k` best positions a query, -1 where there are fewer."""

    def search(self, x: Vectors, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]: ...


class Fillable(Searchable, Protocol):
    """A FAISS index that is still being filled, row after row."""

    def add(self, x: Vectors) -> None: ...


@dataclass(frozen=True, slots=True)
class _Request:
    queries: Vectors
    k: int
    positions: "Future[NDArray[np.int64]]"


class OwnedIndex:
    """An immutable index, built and searched by one thread; callers queue, and what waits together goes together."""

    def __init__(self, build: Callable[[], Searchable]) -> None:
        """Start the thread and wait until `build` has run in it. Raises what `build` raises."""
        self._requests: SimpleQueue[_Request | None] = SimpleQueue()
        built: Future[None] = Future()
        Thread(target=_serve, args=(build, built, self._requests), name="index-owner", daemon=True).start()
        weakref.finalize(self, self._requests.put, None)  # who still searches holds a reference, so nobody is left over
        built.result()

    def search(self, queries: Vectors, k: int) -> NDArray[np.int64]:
        """Positions (n, k) of the best, in the order the index was filled; -1 pads. `k` is at most `MOST_RESULTS`.

        Raises what the index raises.
        """
        request = _Request(queries, k, Future())
        self._requests.put(request)
        return request.positions.result()


def _serve(build: Callable[[], Searchable], built: "Future[None]", requests: "SimpleQueue[_Request | None]") -> None:
    try:
        index = build()
    except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
        built.set_exception(error)
        return
    built.set_result(None)
    while (request := requests.get()) is not None:
        batch, rows = [request], len(request.queries)
        while rows < MOST_QUERIES and not requests.empty():
            following = requests.get()
            if following is None:
                requests.put(None)
                break
            batch.append(following)
            rows += len(following.queries)
        _answer(index, batch)


def _answer(index: Searchable, batch: list[_Request]) -> None:
    try:
        queries = np.concatenate([request.queries for request in batch])
        _, positions = index.search(queries, max(request.k for request in batch))
    except BaseException as error:  # noqa: BLE001 - it is raised in the callers' threads
        for request in batch:
            request.positions.set_exception(error)
        return
    start = 0
    for request in batch:
        end = start + len(request.queries)
        request.positions.set_result(positions[start:end, : request.k])
        start = end


class Clone:
    """An immutable copy of a snapshot, searched by its owner's thread. It knows no later removals and no audiences."""

    def __init__(self, snapshot: Snapshot, empty: Callable[[], Fillable]) -> None:
        """Copy `snapshot` into what `empty` makes, chunk by chunk. Raises what those raise."""

        def fill() -> Searchable:
            index = empty()
            for _, vectors in snapshot.chunks():
                index.add(vectors)
            return index

        self._ids = snapshot.ids
        self._owned = OwnedIndex(fill)

    def candidates(self, queries: Vectors, count: int, segments: Segments, allowed: PassageSet | None) -> Ids:
        """Ids (n, count) of the best that are still in `segments` and `allowed`, best first; -1 pads.

        A GPU index silently ignores selectors, so it is asked for more than needed and each id is checked here. All is
        padding when it would have to be asked for more than it can give. Raises what the index raises.
        """
        ids = np.full((len(queries), count), -1, np.int64)
        share = 1.0 if allowed is None else len(allowed) / len(segments)
        wide = min(math.ceil(1.5 * count / share), len(self._ids))
        if wide > MOST_RESULTS:
            return ids
        positions = self._owned.search(queries, wide)
        found = np.where(positions >= 0, self._ids[positions], -1)
        good = segments.rows_of(found) >= 0
        if allowed is not None:
            good &= allowed.contains(found)
        first = np.argsort(~good, axis=1, kind="stable")[:, :count]
        best = np.take_along_axis(np.where(good, found, -1), first, axis=1)
        ids[:, : best.shape[1]] = best
        return ids
