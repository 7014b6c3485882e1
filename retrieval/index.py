"""Dense vectors by passage id: exact cosine scores, filtered inside the query, from ten rows to millions.

Candidates come from one FAISS structure chosen by size (`retrieval.structure`), or from a GPU; the best of them are
ranked by their exact float32 vectors. The index is a cache: the store keeps every vector, so one that is missing or
corrupt is filled again from there.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.codes import Codes
from retrieval.cutoffs import MOST_LISTS, STANDARD, Cutoffs, Kind
from retrieval.errors import IndexCorrupt, StoreError
from retrieval.files import read_manifest, recover_folder, write_folder_atomically
from retrieval.gpu import Clone, Fillable
from retrieval.locks import ReadWriteLock
from retrieval.passage import Ids, PassageSet, Vectors
from retrieval.segments import Segments
from retrieval.structure import Scan, Structure, gpu_flat, has_gpu

FORMAT = 1  # of the saved folder
EXTRA = 40  # candidates beyond k for the exact rerank
MOST_CANDIDATES = 4096  # for one query among near-identical passages
GATHERED = 128  # an allowed set of n / 128 rows costs as much to read row by row as to filter in the structure
MOST_QUERIES = 64  # in one pass: bounds how long a mutation waits
MOST_RANKED = 8192  # candidates in one pass: bounds the memory of a rerank to 40 MB at 384 dimensions

Found = tuple[NDArray[np.float32], Ids]  # scores and ids, (n, k) each, best first

log = logging.getLogger(__name__)


class Look:
    """One query's search, by as many threads as `help`; then one takes the `best`. `VectorIndex.looking` makes it."""

    def __init__(self, scan: Callable[[], Scan | None], search: Callable[[Ids | None], Found]) -> None:
        """scan: makes what threads can share, if anything. search: the result, from the ids that were found so."""
        self._begin, self._search = scan, search
        self._beginning = Lock()
        self._has_begun = False
        self._scan: Scan | None = None
        self._found: Found | None = None

    def help(self) -> None:
        """Do what is left to do; returns at once where others do it."""
        with self._beginning:
            is_first, self._has_begun = not self._has_begun, True
            if is_first:
                self._scan = self._begin()
        if self._scan is not None:
            self._scan.help()
        elif is_first:
            self._found = self._search(None)

    def best(self) -> Found:
        """Cosines (m,) and ids (m,), best first, m <= k, once all who helped have returned: one at least."""
        if self._scan is not None:
            self._found = self._search(self._scan.ids())
        assert self._found is not None, "nobody has helped"
        scores, ids = self._found
        return scores[0][ids[0] >= 0], ids[0][ids[0] >= 0]


class VectorIndex:
    """Vectors by passage id. Thread-safe: searches run side by side, and each sees whole mutations only."""

    def __init__(
        self, dim: int, *, cutoffs: Cutoffs = STANDARD, accelerator: Callable[[int], Fillable] | None = None
    ) -> None:
        """An empty index of `dim` columns.

        accelerator: makes an empty index elsewhere, for a copy that one thread owns; by default on a GPU if any.
        """
        self.dim, self.facts = dim, dict[str, object]()
        self._cutoffs = cutoffs
        self._accelerator = accelerator or (gpu_flat if has_gpu() else None)
        self._segments = Segments(dim)
        self._structure = Structure.build(Kind.FLAT, self._segments.snapshot(), Codes(dim))
        self._clone: Clone | None = None
        self._additions = self._cloned_additions = 0
        self._touched: list[Ids] | None = None  # ids added or removed while compact() builds
        self._lock = ReadWriteLock()  # short: searches against the moment of change
        self._mutating = Lock()  # long: one mutation, save or swap at a time, while searches go on
        self._compacting = Lock()

    def __len__(self) -> int:
        return len(self._segments)

    @property
    def ids(self) -> Ids:
        """The ids that are here, rising, (n,)."""
        return self._segments.ids.copy()

    def vectors(self, ids: Ids) -> Vectors:
        """The exact vectors of `ids`, (n, dim).

        A row of zeros stands where an id is not here, so that a passage removed since a search resembles nothing.
        """
        with self._lock.shared():
            rows = self._segments.rows_of(ids)
            vectors = np.zeros((len(ids), self.dim), np.float32)
            vectors[rows >= 0] = self._segments.snapshot().gather(rows[rows >= 0])
        return vectors

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Put `vectors` (n, dim), unit rows, under `ids` (n,). All or nothing.

        Raises ValueError for an id that is negative, given twice or already here, and for vectors of another shape,
        not finite or not of unit length.
        """
        ids = np.ascontiguousarray(ids, np.int64)
        vectors = self._checked(vectors)
        if ids.shape != (len(vectors),):
            raise ValueError(f"{len(vectors)} vectors need as many ids, not {ids.shape}")
        if len(np.unique(ids)) != len(ids) or np.any(ids < 0):
            raise ValueError("ids must be distinct and not negative")
        with self._mutating:
            present = ids[self._segments.rows_of(ids) >= 0]
            if len(present):
                raise ValueError(f"id {present[0]} is already in the index")
            if self._structure.kind is Kind.FLAT and self._cutoffs.kind(len(self) + len(ids)) is not Kind.FLAT:
                self._swap(Structure.build(Kind.SCAN, self._segments.snapshot(), self._structure.codes))
            with self._lock.exclusive():
                self._structure.add(ids, vectors)
                self._segments.add(ids, vectors)
                self._additions += 1
            self._touch(ids)

    def remove(self, ids: Ids) -> int:
        """Forget `ids`: no search that starts afterwards returns them. Returns how many were here."""
        with self._mutating:
            with self._lock.exclusive():
                gone = self._segments.remove(np.asarray(ids, np.int64))
                self._structure.remove(gone)
            self._touch(gone)
        return len(gone)

    def search(self, queries: Vectors, k: int, allowed: PassageSet | None = None) -> Found:
        """The `k` nearest of each query (n, dim): cosine scores float32 (n, k) and ids int64 (n, k), best first.

        Scores are exact; equal ones are ordered by id. Only `allowed` ids are looked at, and all of them are found if
        there are no more than k. Places that stay empty hold -inf and -1. Raises ValueError for queries that are not
        finite unit rows of `dim` columns.
        """
        queries = self._checked(queries)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        ids = np.full((len(queries), k), -1, np.int64)
        size = max(1, min(MOST_QUERIES, MOST_RANKED // (k + EXTRA)))
        for start in range(0, len(queries) if k > 0 else 0, size):
            part = slice(start, start + size)
            with self._lock.shared():
                found_scores, found_ids = self._search(queries[part], k, k + EXTRA, allowed)
            scores[part, : found_ids.shape[1]], ids[part, : found_ids.shape[1]] = found_scores, found_ids
        return scores, ids

    @contextmanager
    def looking(self, query: Vectors, k: int, allowed: PassageSet | None = None) -> Iterator["Look"]:
        """A search for one query (1, dim) that several threads may share. Mutations wait until it ends.

        Raises ValueError as `search`.
        """
        query = self._checked(query)
        with self._lock.shared():
            count = min(k + EXTRA, self._available(allowed))
            yield Look(
                lambda: self._scan(query, count, allowed),
                lambda found: self._search(query, k, count, allowed, found),
            )

    def _scan(self, query: Vectors, count: int, allowed: PassageSet | None) -> Scan | None:
        """What several threads can share; None where there is no such thing, or nothing to be shared."""
        is_cloned = self._clone is not None and self._cloned_additions == self._additions
        if self._structure.kind is not Kind.SCAN or is_cloned or not count or self._is_gathered(allowed):
            return None
        return Scan(self._structure, query, count, allowed)

    def _available(self, allowed: PassageSet | None) -> int:
        return len(self) if allowed is None else min(len(allowed), len(self))

    def _is_gathered(self, allowed: PassageSet | None) -> bool:
        return allowed is not None and len(allowed) * GATHERED <= len(self)

    def _search(
        self, queries: Vectors, k: int, count: int, allowed: PassageSet | None, candidates: Ids | None = None
    ) -> Found:
        """As `search`, from `count` candidates a query, or those given; at most k columns."""
        available = self._available(allowed)
        count = min(count, available)
        if not count:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        if candidates is None:
            candidates = self._candidates(queries, count, min(k, available), allowed)
        scores, ids = self._segments.ranked(queries, candidates)
        if scores.shape[1] < count or count == available or count >= max(k + EXTRA + 1, MOST_CANDIDATES):
            return scores[:, :k], ids[:, :k]
        # Where the worst candidate is as good as the k-th, others as good may have been left out: look further.
        crowded = np.flatnonzero((ids[:, -1] >= 0) & (scores[:, k - 1] <= scores[:, -1] + self._structure.blur))
        scores, ids = scores[:, :k], ids[:, :k]
        if len(crowded):
            scores[crowded], ids[crowded] = self._search(queries[crowded], k, 4 * count, allowed)
        return scores, ids

    def _candidates(self, queries: Vectors, count: int, needed: int, allowed: PassageSet | None) -> Ids:
        """Ids (n, count) that hold the best of `allowed`; at least `needed` a query where so many are here."""
        if allowed is not None and self._is_gathered(allowed):
            return self._segments.nearest(queries, count, allowed.ids)
        ids = self._cloned(queries, count, allowed)
        for probes in (self._cutoffs.probes, MOST_LISTS) if self._structure.kind is Kind.INVERTED else (0,):
            short = np.flatnonzero((ids >= 0).sum(axis=1) < needed)
            if len(short):
                ids[short] = self._structure.candidates(queries[short], count, allowed, probes)
        return ids

    def _cloned(self, queries: Vectors, count: int, allowed: PassageSet | None) -> Ids:
        """What the GPU finds, (n, count); nothing but -1 without a copy there that has all vectors."""
        if self._clone is not None and self._cloned_additions == self._additions:
            try:
                return self._clone.candidates(queries, count, self._segments, allowed)
            except RuntimeError as error:
                log.warning("The GPU failed, so the processor searches from now on: %s", error)
                self._clone = None
        return np.full((len(queries), count), -1, np.int64)

    def compact(self) -> bool:
        """Bring the structure, and the GPU's copy, up to the present rows; says whether anything was done.

        Slow (a minute or two for a million rows) and meant for a background thread: searches and mutations go on
        meanwhile, and the new structure takes over at the end.
        """
        with self._compacting:
            done = self._restructure()
            return self._refresh_clone() or done

    def _restructure(self) -> bool:
        with self._mutating:
            kind = self._cutoffs.due(len(self), self._structure.kind, self._structure.built)
            if kind is None:
                return False
            self._touched = []
            snapshot = self._segments.snapshot()
        try:
            structure = Structure.build(kind, snapshot, self._structure.codes)
            with self._mutating:
                touched = np.unique(np.concatenate([*self._touched, np.empty(0, np.int64)]))
                rows = self._segments.rows_of(touched)
                structure.remove(touched)
                structure.add(touched[rows >= 0], self._segments.snapshot().gather(rows[rows >= 0]))
                self._swap(structure)
        finally:
            self._touched = None
        return True

    def _refresh_clone(self) -> bool:
        accelerator = self._accelerator
        if accelerator is None or len(self) < self._cutoffs.gpu:
            return False
        with self._mutating:
            snapshot, additions = self._segments.snapshot(), self._additions
        if self._clone is not None and self._cloned_additions == additions:
            return False
        try:
            fresh = Clone(snapshot, lambda: accelerator(self.dim))
        except RuntimeError as error:
            log.warning("The GPU cannot hold the index, so the processor searches: %s", error)
            return False
        with self._lock.exclusive():
            self._clone, self._cloned_additions = fresh, additions
        return True

    def save(self, folder: Path, facts: Mapping[str, object]) -> None:
        """Replace `folder` with this index and `facts` (JSON values); searches go on, mutations wait.

        Raises StoreError, with the old folder untouched, when the disk is full or not writable.
        """

        def fill(fresh: Path) -> None:
            self._segments.write(fresh / "vectors.f32", fresh / "ids.i64")
            if self._structure.kind is not Kind.FLAT:
                (fresh / "rotation.f32").write_bytes(self._structure.codes.rotation.astype("<f4").tobytes())
            with (fresh / "structure.faiss").open("wb") as file:
                self._structure.write(file)

        with self._mutating:
            own = {"format": FORMAT, "dim": self.dim, "kind": self._structure.kind, "built": self._structure.built}
            try:
                write_folder_atomically(folder, fill, {**own, "facts": dict(facts)})
            except (OSError, RuntimeError) as error:
                raise StoreError(
                    f"The index could not be saved in {folder}: {error}. The one saved before is still there; free "
                    "some space or check the folder's permissions, and save again."
                ) from error
            self.facts = dict(facts)

    @classmethod
    def load(
        cls, folder: Path, *, cutoffs: Cutoffs = STANDARD, accelerator: Callable[[int], Fillable] | None = None
    ) -> "VectorIndex":
        """The index saved in `folder`, every byte checked, its vectors memory-mapped read-only; `facts` as saved.

        Raises IndexCorrupt when it is missing, incomplete or changed.
        """
        try:
            recover_folder(folder)
            facts: dict[str, Any] = read_manifest(folder)
            index = cls(int(facts["dim"]), cutoffs=cutoffs, accelerator=accelerator)
            index._open(folder, facts)
        except (ValueError, KeyError, TypeError, OSError, RuntimeError) as error:
            raise IndexCorrupt(
                f"The index in {folder} cannot be used: {error}. Fill it again from the store."
            ) from error
        return index

    def _open(self, folder: Path, facts: dict[str, Any]) -> None:
        if facts["format"] != FORMAT:
            raise ValueError(f"it has format {facts['format']}, this version reads {FORMAT}")
        self._segments = Segments.mapped(folder / "vectors.f32", folder / "ids.i64", self.dim)
        kind, built = Kind(facts["kind"]), int(facts["built"])
        is_coded = kind is not Kind.FLAT
        saved = np.fromfile(folder / "rotation.f32", "<f4").reshape(self.dim, self.dim) if is_coded else None
        codes = Codes(self.dim, saved)
        self._structure = Structure.read(folder / "structure.faiss", kind, codes, built, len(self))
        self.facts = dict(facts["facts"])

    def _touch(self, ids: Ids) -> None:
        if self._touched is not None:
            self._touched.append(ids)

    def _swap(self, structure: Structure) -> None:
        with self._lock.exclusive():
            self._structure = structure

    def _checked(self, vectors: Vectors) -> Vectors:
        vectors = np.ascontiguousarray(vectors, np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise ValueError(f"vectors must be (n, {self.dim}), not {vectors.shape}")
        if not np.all(np.abs(np.einsum("ij,ij->i", vectors, vectors) - 1) < 2e-3):  # false for NaN, too
            raise ValueError("vectors must be finite and of unit length")
        return vectors
