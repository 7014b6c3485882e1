"""The copy that one thread owns: with a plain index in its place on any machine, on the GPU where there is one."""

import gc
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np
import pytest

from retrieval.cutoffs import Cutoffs
from retrieval.gpu import Fillable
from retrieval.index import VectorIndex
from retrieval.passage import PassageSet, Vectors
from retrieval.structure import gpu_flat, has_gpu

DIM = 32
NEVER = 10**9
CUTOFFS = Cutoffs(0, NEVER, 1)


def unit(rows: int, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((rows, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Watched:
    """An index that notes which threads touch it, and how many searches it was given."""

    def __init__(self, dim: int) -> None:
        self.index = faiss.IndexFlatIP(dim)
        self.threads = {threading.current_thread().name}
        self.searches = 0

    def add(self, x: Vectors) -> None:
        self.threads.add(threading.current_thread().name)
        self.index.add(x)

    def search(self, x: Vectors, k: int) -> tuple[np.ndarray, np.ndarray]:
        self.threads.add(threading.current_thread().name)
        self.searches += 1
        return self.index.search(x, k)


def watched() -> tuple[list[Watched], Callable[[int], Fillable]]:
    made: list[Watched] = []

    def make(dim: int) -> Fillable:
        made.append(Watched(dim))
        return made[-1]

    return made, make


def filled(accelerator: Callable[[int], Fillable] | None, rows: int = 5000) -> VectorIndex:
    index = VectorIndex(DIM, cutoffs=CUTOFFS, accelerator=accelerator)
    index.add(np.arange(rows), unit(rows))
    index.compact()
    return index


def test_only_its_owner_touches_the_copy_however_many_search() -> None:
    made, make = watched()
    index = filled(make)
    queries = unit(64, 1)
    expected = index.search(queries, 10)[1]
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda i: index.search(queries[i : i + 1], 10)[1][0], range(64)))
    np.testing.assert_array_equal(rows, expected)
    assert made[0].threads == {"index-owner_0"}
    assert 1 < made[0].searches <= 65


def test_those_who_wait_are_answered_together_each_with_its_own() -> None:
    """Seven ask while the first search goes on, for different numbers of results; one more search serves them all."""
    started, go = threading.Event(), threading.Event()

    class Held(Watched):
        def search(self, x: Vectors, k: int) -> tuple[np.ndarray, np.ndarray]:
            started.set()
            assert go.wait(10)
            return super().search(x, k)

    made: list[Held] = []

    def make(dim: int) -> Fillable:
        made.append(Held(dim))
        return made[-1]

    index, plain = filled(make), filled(faiss.IndexFlatIP)
    queries = unit(8, 1)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(index.search, queries[:1], 3)
        assert started.wait(10)
        others = [pool.submit(index.search, queries[i : i + 1], 3 + i) for i in range(1, 8)]
        while len(index._clone._waiting) < 7:
            threading.Event().wait(0.001)
        go.set()
        for i, found in enumerate([first, *others]):
            np.testing.assert_array_equal(found.result()[1], plain.search(queries[i : i + 1], 3 + i)[1])
    assert made[0].searches == 2


def test_a_copy_that_lacks_an_addition_is_not_asked_until_it_is_renewed() -> None:
    made, make = watched()
    index = filled(make)
    index.add(np.array([9000]), unit(1, 9))
    assert index.search(unit(1, 9), 1)[1].tolist() == [[9000]]
    assert made[0].searches == 0
    assert index.compact()
    assert index.search(unit(1, 9), 1)[1].tolist() == [[9000]]
    assert [each.searches for each in made] == [0, 1]
    assert not index.compact()


def test_a_copy_never_shows_what_was_removed_or_is_not_allowed() -> None:
    made, make = watched()
    index = filled(make)
    query = unit(1, 1)
    best = index.search(query, 100)[1][0]
    index.remove(best[:30])
    allowed = PassageSet.of(np.setdiff1d(np.arange(5000), best[40:60]))
    assert index.search(query, 50, allowed)[1][0].tolist() == [*best[30:40], *best[60:100]]
    assert made[0].searches == 2


@pytest.mark.parametrize("fails_at", ["making", "searching"])
def test_a_failing_gpu_is_reported_and_the_processor_answers(fails_at: str, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Watched):
        def search(self, x: Vectors, k: int) -> tuple[np.ndarray, np.ndarray]:
            raise RuntimeError("CUDA error 700")

    def make(dim: int) -> Fillable:
        if fails_at == "making":
            raise RuntimeError("out of memory")
        return Failing(dim)

    with caplog.at_level(logging.WARNING):
        index = filled(make)
        assert index.search(unit(1), 1)[1].tolist() == [[0]]
    assert "the processor searches" in caplog.text


def test_the_owner_ends_with_the_index() -> None:
    before = set(threading.enumerate())
    index = filled(faiss.IndexFlatIP)
    (owner,) = set(threading.enumerate()) - before
    del index
    gc.collect()
    owner.join(5)
    assert not owner.is_alive()


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu(), reason="no NVIDIA GPU, or faiss-cpu is installed")
def test_the_gpu_finds_what_the_processor_finds() -> None:
    on_gpu, on_cpu = filled(gpu_flat, 20_000), filled(faiss.IndexFlatIP, 20_000)
    assert on_gpu._clone is not None
    allowed = PassageSet.of(np.arange(0, 20_000, 3))
    for k in (1, 10, 500, 1900):
        for chosen in (None, allowed):
            scores, ids = on_gpu.search(unit(70, 2), k, chosen)
            np.testing.assert_allclose(scores, on_cpu.search(unit(70, 2), k, chosen)[0], atol=1e-5)
            assert chosen is None or chosen.contains(ids).all()
    on_gpu.remove(np.arange(10_000))
    assert (on_gpu.search(unit(5, 2), 100)[1] >= 10_000).all()
    on_gpu.add(np.arange(10_000), unit(10_000))
    assert on_gpu.compact()
    np.testing.assert_array_equal(on_gpu.search(unit(5, 2), 10)[1], on_cpu.search(unit(5, 2), 10)[1])


@pytest.mark.parametrize(
    ("module", "words"), [("None", "FAISS is missing"), ("types.ModuleType('faiss')", "FAISS is damaged")]
)
def test_without_faiss_the_message_names_the_two_extras(module: str, words: str) -> None:
    program = (
        f"import sys, types; sys.modules['faiss'] = {module}\n"
        "from retrieval.errors import AtelierError\n"
        "try:\n    import retrieval.index\nexcept AtelierError as error:\n    print(error)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert words in said
    assert "atelier[cpu]" in said
    assert "atelier[gpu]" in said
