"""The index's copy on a GPU against the processor's index and against bare FAISS on the same GPU."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from retrieval.cutoffs import Cutoffs
from retrieval.index import VectorIndex
from retrieval.passage import Ids, PassageSet, Vectors
from retrieval.structure import gpu_flat, has_gpu
from tests.benchmarks import Cell, Report
from tests.benchmarks.bench_index import REAL, K, enlarge, interleaved, made_up_vectors, real_vectors, recall

READERS, ASKED = 8, 400  # threads that search one query at a time, and how many searches they make in all


def of_many(index: VectorIndex, queries: Vectors) -> float:
    """Queries a second of `READERS` threads with one query each."""
    start = time.perf_counter()
    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(lambda i: index.search(queries[i % len(queries)][None], K), range(ASKED)))
    return ASKED / (time.perf_counter() - start)


def row(name: str, count: int, found: float, one: float, many: float) -> dict[str, Cell]:
    return {
        "rows": count,
        "index": name,
        "recall@10": found,
        "1: ms": one,
        "1: queries/s": 1e3 / one,
        "64: ms": many,
        "64: queries/s": 64e3 / many,
    }


def compared(vectors: Vectors, queries: Vectors) -> list[dict[str, Cell]]:
    """A row each for bare FAISS on the GPU, our copy there, and our index without it."""
    count, dim = vectors.shape
    index = VectorIndex(dim, cutoffs=Cutoffs(gpu=1))
    index.add(np.arange(count), vectors)
    index._restructure()
    start = time.perf_counter()
    index._refresh_clone()
    copied = time.perf_counter() - start
    clone = index._clone
    if clone is None:
        raise RuntimeError("the GPU holds no copy: its own words are in the log")
    bare = gpu_flat(dim)
    bare.add(vectors)

    def ours(rows: slice) -> Ids:
        index._clone = clone
        return index.search(queries[rows], K)[1]

    def without(rows: slice) -> Ids:
        index._clone = None
        return index.search(queries[rows], K)[1]

    calls = (lambda rows: bare.search(queries[rows], K)[1], ours, without)
    for call in calls:
        call(slice(0, 64))
    one = interleaved(200, *(lambda i, c=call: c(slice(i, i + 1)) for call in calls))
    many = interleaved(7, *(lambda i, c=call: c(slice(64 * i, 64 * i + 64)) for call in calls))
    names = ("bare FAISS on the GPU, float16", "atelier on the GPU", "atelier on the processor")
    rows = [
        row(name, count, recall(call(slice(0, len(queries))), vectors, queries, np.arange(count)), *spent)
        for name, call, *spent in zip(names, calls, one, many, strict=True)
    ]
    for each, kept in zip(rows[1:], (clone, None), strict=True):
        index._clone = kept
        each[f"{READERS} readers: queries/s"] = of_many(index, queries)
        for share in (0.5, 0.1):
            chosen = np.sort(np.random.default_rng(2).choice(count, int(count * share), replace=False))
            allowed = PassageSet.of(chosen)
            found = index.search(queries[:100], K, allowed)[1]
            spent = interleaved(40, lambda i, a=allowed: index.search(queries[i : i + 1], K, a))[0]
            leaked = int((~allowed.contains(found)).sum())
            each[f"{share:.0%} allowed"] = (
                f"{spent:.2f} ms, {recall(found, vectors, queries[:100], chosen):.3f}, {leaked} leaked"
            )
    rows[1]["copy s"] = copied
    return rows


def run(quick: bool) -> Report:
    """No rows without a GPU."""
    question = "What does a GPU give the vector index, and does it find the same?"
    if not has_gpu():
        return Report("gpu", question, (), ("No NVIDIA GPU, or faiss-cpu is installed: not measured.",))
    real = real_vectors(2_000 if quick else REAL)
    passages, queries = real or made_up_vectors(2_000 if quick else REAL)
    rows = [
        each
        for count in ((10_000,) if quick else (100_000, 1_000_000))
        for each in compared(enlarge(passages, count), queries)
    ]
    return Report(
        "gpu",
        question,
        rows,
        (
            "Vectors as in the benchmark `index`" + ("." if real else ", made up: the shared data is not here."),
            (
                "The copy is FAISS's GpuIndexFlat in float16; the best it finds are ranked by their float32 vectors, "
                "so the scores are exact. Recall: of the exact ten nearest, up to ties. copy s: to fill the GPU."
            ),
            f"{READERS} readers: threads with one query each; a GPU index has one owner, so they queue there.",
        ),
    )
