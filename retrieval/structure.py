"""FAISS, and what it is asked: candidates by id from one of its indexes, chosen by size.

The only import of FAISS (Douze et al. 2024, arXiv 2401.08281).
"""

import math
import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from retrieval.codes import Codes
from retrieval.cutoffs import Kind, lists_for
from retrieval.errors import SettingsError
from retrieval.gpu import Fillable
from retrieval.passage import Ids, PassageSet, Vectors
from retrieval.segments import CHUNK, Snapshot

try:
    import faiss as _faiss
except ImportError as error:
    raise SettingsError(
        "FAISS is missing. Install one of the two extras: `pip install 'atelier[cpu]'`, or with an NVIDIA GPU "
        "`pip install 'atelier[gpu]'`; the two exclude each other."
    ) from error
if not hasattr(_faiss, "IndexFlatIP"):
    raise SettingsError(
        "FAISS is damaged: faiss-cpu and faiss-gpu share their files, and one of them was removed. Uninstall both, "
        "then install one of the two extras: `pip install 'atelier[cpu]'` or `pip install 'atelier[gpu]'`."
    )
faiss: Any = _faiss  # its own stubs miss half of what it exports

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
SAMPLE = 40  # training rows a list, which bounds the training time
SMALL_SHARE = 0.1  # below this share of the rows an allowed set is scanned whole, not probed list by list
BATCH = 8  # queries from which BLAS and more than one thread pay
MANY = 4096  # rows from which building is shared among threads
PIECE, CRUMB = 32_768, 2048  # rows at most and at least that a thread takes at a time when several scan for one query


class Structure:
    """One FAISS index over the ids it was given. Not thread-safe."""

    def __init__(self, kind: Kind, index: Any, codes: Codes, built: int) -> None:
        """built: how many rows the inverted lists were cut for."""
        self.kind, self.index, self.codes, self.built = kind, index, codes, built
        faiss.cvar.distance_compute_blas_threshold = BATCH * codes.dim  # 5 times faster than its own 128,000
        self._projection = None if kind is Kind.FLAT else _projection(codes)

    @classmethod
    def build(cls, kind: Kind, snapshot: Snapshot, codes: Codes) -> "Structure":
        """A structure over `snapshot`. INVERTED trains first, half a minute at most on two cores."""
        dim, count, lists = codes.dim, len(snapshot.ids), lists_for(len(snapshot.ids))
        coder, metric = faiss.ScalarQuantizer.QT_8bit_direct_signed, faiss.METRIC_INNER_PRODUCT
        faiss.omp_set_num_threads(CORES if count >= MANY else 1)
        if kind is Kind.FLAT:
            index = faiss.IndexIDMap(faiss.IndexFlatIP(dim))
        elif kind is Kind.SCAN:
            index = faiss.IndexIDMap(faiss.IndexScalarQuantizer(dim, coder, metric))
        else:
            index = faiss.IndexIVFScalarQuantizer(faiss.IndexFlatIP(dim), dim, lists, coder, metric)
            index.by_residual = False  # the codes are of whole vectors
            index.cp.niter, index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 10, 1, SAMPLE
        structure = cls(kind, index, codes, count)
        if kind is Kind.INVERTED:
            sample = np.random.default_rng(0).choice(count, min(count, SAMPLE * lists), replace=False)
            index.train(structure.coded(snapshot.gather(snapshot.rows[np.sort(sample)])))
        for ids, vectors in snapshot.chunks():
            structure.add(ids, vectors)
        return structure

    @property
    def blur(self) -> float:
        """By how much the structure may misjudge which of two scores is higher."""
        return 1e-6 if self.kind is Kind.FLAT else self.codes.blur

    def add(self, ids: Ids, vectors: Vectors) -> None:
        faiss.omp_set_num_threads(CORES if len(ids) >= MANY else 1)
        for start in range(0, len(ids), CHUNK):
            part = slice(start, start + CHUNK)
            self.index.add_with_ids(self.coded(vectors[part]), ids[part])

    def remove(self, ids: Ids) -> None:
        self.index.remove_ids(ids)

    def candidates(self, queries: Vectors, count: int, allowed: PassageSet | None, probes: int) -> Ids:
        """Ids of about the `count` best for each query, (n, count), -1 padded; only `allowed` ones.

        probes: how many inverted lists to look into, if all rows were allowed.
        """
        selector = None if allowed is None else faiss.IDSelectorBitmap(allowed.bitmap)
        if self.kind is Kind.INVERTED:
            share = 1.0 if allowed is None else min(1.0, len(allowed) / max(1, self.index.ntotal))
            probes = self.index.nlist if share < SMALL_SHARE else min(self.index.nlist, math.ceil(probes / share))
            parameters = faiss.SearchParametersIVF(sel=selector, nprobe=probes)
        else:
            parameters = None if selector is None else faiss.SearchParameters(sel=selector)
        faiss.omp_set_num_threads(1 if len(queries) < BATCH else CORES)  # a setting of the calling thread only
        ids: Ids = self.index.search(self.coded(queries), count, params=parameters)[1]
        return ids

    def write(self, file: BinaryIO) -> None:
        """Write the FAISS index. Raises OSError, RuntimeError."""
        faiss.write_index(self.index, faiss.PyCallbackIOWriter(file.write))

    @classmethod
    def read(cls, path: Path, kind: Kind, codes: Codes, built: int, rows: int) -> "Structure":
        """What `write` wrote. Raises ValueError when it is of other `rows` or dimensions, RuntimeError."""
        stored = faiss.read_index(str(path))
        if stored.ntotal != rows or stored.d != codes.dim:
            raise ValueError("its codes and its vectors do not fit each other")
        return cls(kind, stored, codes, built)

    def coded(self, vectors: Vectors) -> Vectors:
        """What the FAISS index is given for `vectors`, (n, dim) float32."""
        return vectors if self._projection is None else self.codes.rounded(self._projection.apply(vectors))


def _projection(codes: Codes) -> Any:
    """FAISS multiplies in the threads that it searches with; numpy's own pool would fight them for the cores."""
    projection = faiss.LinearTransform(codes.dim, codes.dim)
    faiss.copy_array_to_vector(codes.projection.ravel(), projection.A)
    projection.is_trained = True
    return projection


class Scan:
    """One query's look at all codes of a structure of the kind SCAN, by as many threads as come.

    Each takes one piece after the other until none is left, so nobody waits for a slow one for long. The structure must
    not change meanwhile.
    """

    def __init__(self, structure: Structure, query: Vectors, count: int, allowed: PassageSet | None) -> None:
        """query: (1, dim). count: how many ids are wanted; only `allowed` ones."""
        self._selector = None if allowed is None else faiss.IDSelectorBitmap(allowed.bitmap)
        self._query, self._count, self._total = structure.coded(query), count, int(structure.index.ntotal)
        self._codes = faiss.downcast_index(structure.index.index)
        self._size = self._codes.code_size
        # views of what FAISS holds, cut into pieces below
        self._rows = faiss.rev_swig_ptr(self._codes.codes.data(), self._total * self._size)
        self._ids = faiss.rev_swig_ptr(structure.index.id_map.data(), self._total)
        self._pieces = deque(_pieces(self._total))
        self._found: list[tuple[Any, Ids]] = []  # by each who helped: scores and ids

    def help(self) -> None:
        """Look at pieces until none is left; returns at once where others took them all."""
        if not self._pieces:
            return
        scores, ids = np.full(self._count, -np.inf, np.float32), np.full(self._count, -1, np.int64)
        heap = faiss.swig_ptr(scores), faiss.swig_ptr(ids), self._count
        metric, quantizer, store_pairs = faiss.METRIC_INNER_PRODUCT, None, False
        scanner = self._codes.sq.select_InvertedListScanner(metric, quantizer, store_pairs, self._selector)
        scanner.set_query(faiss.swig_ptr(self._query))
        with suppress(IndexError):  # none is left
            while True:
                start, end = self._pieces.popleft()
                codes, named = self._rows[start * self._size :], self._ids[start:]
                scanner.scan_codes(end - start, faiss.swig_ptr(codes), faiss.swig_ptr(named), *heap)
        self._found.append((scores, ids))

    def ids(self) -> Ids:
        """The best for the query, once all who helped have returned: (1, count), in no order, -1 padded."""
        if len(self._found) == 1:
            return self._found[0][1][None]
        scores, ids = (np.concatenate(each) for each in zip(*self._found, strict=True))
        return ids[np.argpartition(-scores, self._count)[: self._count]][None]


def _pieces(rows: int) -> Iterator[tuple[int, int]]:
    """Start and end of pieces that get smaller towards the end, where one thread would wait for another's."""
    start = 0
    while start < rows:
        end = min(rows, start + max(CRUMB, min(PIECE, (rows - start) // 4)))
        yield start, end
        start = end


def gpu_flat(dim: int) -> Fillable:
    """An empty brute-force index in half precision on the first GPU (faiss.ai, GpuIndexFlat)."""
    config = faiss.GpuIndexFlatConfig()
    config.device, config.useFloat16 = 0, True
    # The C++ index shares the resources' ownership (GpuIndex::resources_), so nothing has to hold them here.
    empty: Fillable = faiss.GpuIndexFlatIP(faiss.StandardGpuResources(), dim, config)
    return empty


def has_gpu() -> bool:
    return hasattr(faiss, "get_num_gpus") and faiss.get_num_gpus() > 0
