"""The vector index under several threads: searches beside mutations and rebuilds, and one search shared by many."""

import threading
import time

import numpy as np
import pytest

from retrieval.cutoffs import Cutoffs, Kind
from retrieval.index import VectorIndex
from retrieval.passage import PassageSet
from retrieval.structure import CRUMB
from tests.retrieval.test_index import DIM, NEVER, STORES, PlainStore, assert_same, some_ids, unit

KINDS = [name for name in STORES if name != "plain"]


@pytest.mark.parametrize("kind", KINDS)
def test_searches_during_mutations_see_whole_batches_and_nothing_that_was_removed(kind: str) -> None:
    store = STORES[kind]()
    vectors = unit(2000)
    pairs = vectors[:1000], vectors[:1000]  # ids i and i + 1000 hold one vector and come and go together
    store.add(np.arange(1000, 2000), pairs[1])
    store.add(np.arange(1000), pairs[0])
    store.compact()
    failures: list[str] = []
    stop = threading.Event()
    removed = np.zeros(1000, bool)

    def search(seed: int) -> None:
        random = np.random.default_rng(seed)
        while not stop.is_set():
            i = int(random.integers(1000))
            was_removed = bool(removed[i])
            ids = set(store.search(vectors[i : i + 1], 2)[1][0].tolist())
            if len(ids & {i, i + 1000}) == 1:
                failures.append(f"half of pair {i}: {ids}")
            if was_removed and i < 500 and ids & {i, i + 1000}:
                failures.append(f"{i} came back")

    searchers = [threading.Thread(target=search, args=(seed,)) for seed in range(3)]
    for thread in searchers:
        thread.start()
    for i in range(200):
        store.remove(some_ids(i, i + 1000))
        removed[i] = True
        if i % 3:
            j = 700 + i  # these come again
            store.remove(some_ids(j, j + 1000))
            store.add(some_ids(j, j + 1000), np.repeat(vectors[j : j + 1], 2, axis=0))
        if i % 50 == 0:
            store.compact()
    stop.set()
    for thread in searchers:
        thread.join()
    assert failures == []


def test_mutations_during_a_rebuild_are_in_the_new_structure() -> None:
    store, plain, query = VectorIndex(DIM, cutoffs=Cutoffs(0, 500, NEVER, probes=NEVER)), PlainStore(), unit(1, 9)
    vectors = unit(40_000)
    store.add(np.arange(30_000), vectors[:30_000])
    nearest = np.argsort(-(vectors[:30_000] @ query[0]))
    rebuilding = threading.Thread(target=store.compact)
    rebuilding.start()
    while store._touched is None and rebuilding.is_alive():
        time.sleep(0)
    store.remove(nearest[:300])
    store.add(nearest[200:250], vectors[nearest[:50]])
    store.add(np.arange(30_000, 40_000), vectors[30_000:])
    during = rebuilding.is_alive()
    rebuilding.join()
    assert during, "the rebuild was over too early to test anything"
    assert store._structure.kind is Kind.INVERTED
    plain.add(nearest[300:], vectors[nearest[300:]])
    plain.add(nearest[200:250], vectors[nearest[:50]])
    plain.add(np.arange(30_000, 40_000), vectors[30_000:])
    assert_same(store, plain, np.concatenate([query, unit(3, 10)]), 60)
    assert not store.compact()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [1.0, 0.3, 0.001])
def test_a_search_that_threads_share_finds_what_one_alone_finds(kind: str, share: float) -> None:
    rows = 12 * CRUMB + 11
    store = STORES[kind]()
    store.add(np.arange(rows) * 2, unit(rows))
    store.compact()
    store.remove(np.arange(0, rows, 5) * 2)
    chosen = np.random.default_rng(1).permutation(rows)[: int(share * rows)] * 2
    allowed = None if share == 1 else PassageSet.of(chosen)
    for query in np.split(unit(4, 7), 4):
        with store.looking(query, 20, allowed) as look:
            helpers = [threading.Thread(target=look.help) for _ in range(3)]
            for helper in helpers:
                helper.start()
            look.help()
            for helper in helpers:
                helper.join()
            scores, ids = look.best()
        alone_scores, alone_ids = store.search(query, 20, allowed)
        assert ids.tolist() == alone_ids[0][alone_ids[0] >= 0].tolist()
        np.testing.assert_array_equal(scores, alone_scores[0][: len(scores)])


def test_a_mutation_waits_for_a_shared_search_to_end() -> None:
    store = VectorIndex(DIM, cutoffs=Cutoffs(0, NEVER, NEVER))
    store.add(np.arange(8 * CRUMB), unit(8 * CRUMB))
    removing = threading.Thread(target=store.remove, args=(np.arange(8 * CRUMB),))
    with store.looking(unit(1, 7), 5) as look:
        removing.start()
        look.help()
        assert len(look.best()[1]) == 5
        assert removing.is_alive()
    removing.join()
    assert store.search(unit(1, 7), 5)[1].tolist() == [[-1] * 5]
