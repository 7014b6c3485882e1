"""One contract for every vector store: a plain exact search and VectorIndex in each of its structures."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from numpy.typing import NDArray

from retrieval.cutoffs import Cutoffs, Kind
from retrieval.index import VectorIndex
from retrieval.passage import Ids, PassageSet, Vectors

DIM = 24
NEVER = 10**9


class Store(Protocol):
    def add(self, ids: Ids, vectors: Vectors) -> None: ...
    def remove(self, ids: Ids) -> int: ...
    def search(
        self, queries: Vectors, k: int, allowed: PassageSet | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]: ...
    def vectors(self, ids: Ids) -> Vectors: ...
    def compact(self) -> bool: ...
    @property
    def ids(self) -> Ids: ...
    def __len__(self) -> int: ...


class PlainStore:
    """The specification: a dictionary, and every score computed."""

    def __init__(self) -> None:
        self.kept: dict[int, Vectors] = {}

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def ids(self) -> Ids:
        return np.array(sorted(self.kept), np.int64)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        wanted = [int(i) for i in ids]
        if len(set(wanted)) != len(wanted) or set(wanted) & set(self.kept) or min(wanted, default=0) < 0:
            raise ValueError("ids")
        if vectors.shape != (len(wanted), DIM) or not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
            raise ValueError("vectors")
        self.kept.update(zip(wanted, vectors, strict=True))

    def remove(self, ids: Ids) -> int:
        return sum(self.kept.pop(int(i), None) is not None for i in ids)

    def compact(self) -> bool:
        return False

    def vectors(self, ids: Ids) -> Vectors:
        return np.array([self.kept.get(int(i), np.zeros(DIM)) for i in ids], np.float32).reshape(-1, DIM)

    def search(
        self, queries: Vectors, k: int, allowed: PassageSet | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        ids = self.ids if allowed is None else self.ids[allowed.contains(self.ids)]
        scores = np.full((len(queries), k), -np.inf, np.float32)
        best = np.full((len(queries), k), -1, np.int64)
        for row, query in enumerate(queries):
            cosines = (self.vectors(ids).astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
            order = np.lexsort((ids, -cosines))[:k]
            scores[row, : len(order)], best[row, : len(order)] = cosines[order], ids[order]
        return scores, best


def on_the_side(dim: int) -> object:
    """Stands where a GPU would: another index, owned by one thread, that knows no selectors."""
    import faiss

    return faiss.IndexFlatIP(dim)


STORES: dict[str, Callable[[], Store]] = {
    "plain": PlainStore,
    "flat": lambda: VectorIndex(DIM, cutoffs=Cutoffs(NEVER, NEVER, NEVER)),
    "scan": lambda: VectorIndex(DIM, cutoffs=Cutoffs(0, NEVER, NEVER)),
    "inverted": lambda: VectorIndex(DIM, cutoffs=Cutoffs(0, 1, NEVER)),
    "cloned": lambda: VectorIndex(DIM, cutoffs=Cutoffs(0, NEVER, 1), accelerator=on_the_side),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    return STORES[request.param]()


def unit(rows: int, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((rows, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def some_ids(*ids: int) -> Ids:
    return np.array(ids, np.int64)


def assert_same(store: Store, plain: Store, queries: Vectors, k: int, allowed: PassageSet | None = None) -> None:
    scores, ids = store.search(queries, k, allowed)
    expected_scores, expected_ids = plain.search(queries, k, allowed)
    assert scores.dtype == np.float32
    assert ids.dtype == np.int64
    np.testing.assert_array_equal(ids, expected_ids)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-6)


def test_finds_the_nearest_with_exact_scores_whatever_the_structure(store: Store) -> None:
    vectors, ids, plain = unit(3000), np.arange(3000) * 3 + 5, PlainStore()
    for part in np.array_split(np.arange(3000), 4):
        store.add(ids[part], vectors[part])
        plain.add(ids[part], vectors[part])
    store.compact()
    assert len(store) == 3000
    for queries in (unit(1, 1), unit(70, 2)):
        assert_same(store, plain, queries, 10)
    assert_same(store, plain, unit(3, 3), 150)
    np.testing.assert_array_equal(store.vectors(some_ids(5, 8)), vectors[:2])


def test_ids_may_come_in_any_order_and_go_and_come_again(store: Store) -> None:
    vectors, plain = unit(500), PlainStore()
    order = np.random.default_rng(3).permutation(500)
    for each in (store, plain):
        each.add(order[:400], vectors[order[:400]])
        each.compact()
        assert each.remove(np.append(order[:100], [10_000, -1])) == 100
        each.add(order[400:], vectors[order[400:]])
        each.add(order[50:100], vectors[order[:50]])  # an id that comes again brings another vector
    np.testing.assert_array_equal(store.ids, plain.ids)
    assert_same(store, plain, unit(20, 1), 450)


def test_what_is_removed_is_gone_at_the_next_search(store: Store) -> None:
    vectors = unit(400)
    store.add(np.arange(400), vectors)
    store.compact()
    for i in range(0, 400, 40):
        assert store.search(vectors[i : i + 1], 1)[1][0, 0] == i
        assert store.remove(some_ids(i)) == 1
        assert i not in store.search(vectors[i : i + 1], 400)[1]
    assert store.remove(some_ids(0, 40, 41, 41)) == 1
    assert not store.vectors(some_ids(41)).any()


@pytest.mark.parametrize("share", [0.0, 0.002, 0.05, 0.3, 0.9, 1.0])
def test_only_allowed_rows_come_back_and_none_is_missed(store: Store, share: float) -> None:
    vectors, plain = unit(2000), PlainStore()
    for each in (store, plain):
        each.add(np.arange(2000), vectors)
        each.compact()
    chosen = np.random.default_rng(1).permutation(2000)[: round(2000 * share)]
    allowed = PassageSet.of(np.append(chosen, [5000, 70_000]) if share else chosen)  # some are in no index
    for k in (1, 10, 300):
        assert_same(store, plain, unit(5, 4), k, allowed)


def test_allowed_ids_that_are_not_here_cost_nothing_that_is(store: Store) -> None:
    vectors, plain = unit(9000), PlainStore()
    for each in (store, plain):
        each.add(np.arange(9000), vectors)
        each.compact()
    for absent in (90, 2000, 8990):
        allowed = PassageSet.of(np.append(np.arange(4), np.arange(20_000, 20_000 + absent)))
        assert_same(store, plain, unit(3, 4), 10, allowed)


@pytest.mark.parametrize("share", [0.02, 0.11, 0.3])
def test_few_probes_never_starve_an_allowed_set(share: float) -> None:
    """Where the lists near the query hold too few allowed rows, the others are read too."""
    query, vectors = unit(1), unit(3000, 1)
    store = VectorIndex(DIM, cutoffs=Cutoffs(0, 1, NEVER, probes=1))
    store.add(np.arange(3000), vectors)
    store.compact()
    allowed = PassageSet.of(np.argsort(vectors @ query[0])[: round(3000 * share)])
    ids = store.search(query, 20, allowed)[1]
    assert allowed.contains(ids).all()
    assert len(set(ids[0].tolist())) == 20


def test_an_allowed_corner_far_from_the_query_is_still_found(store: Store) -> None:
    query, plain = unit(1), PlainStore()
    vectors = unit(3000, 1)
    allowed = PassageSet.of(np.argsort(vectors @ query[0])[:900])  # the 30% that resemble it least
    for each in (store, plain):
        each.add(np.arange(3000), vectors)
        each.compact()
    assert_same(store, plain, query, 20, allowed)


def test_equal_vectors_are_ordered_by_id_even_when_there_are_many(store: Store) -> None:
    same, plain = np.repeat(unit(1), 600, axis=0), PlainStore()
    order = np.random.default_rng(2).permutation(600)
    for each in (store, plain):
        each.add(order, same)
        each.add(np.arange(600, 1200), unit(600, 1))
        each.compact()
    assert_same(store, plain, unit(1), 10)
    assert_same(store, plain, np.concatenate([unit(1), unit(9, 6)]), 10)


def test_near_duplicates_do_not_hide_the_best(store: Store) -> None:
    near = unit(1) + 3e-4 * np.random.default_rng(5).standard_normal((800, DIM)).astype(np.float32)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    plain = PlainStore()
    for each in (store, plain):
        each.add(np.arange(800), near)
        each.compact()
    np.testing.assert_allclose(store.search(unit(1), 5)[0], plain.search(unit(1), 5)[0], atol=1e-6)


def test_vectors_that_lie_along_one_axis_are_found(store: Store) -> None:
    axes, plain = np.eye(DIM, dtype=np.float32), PlainStore()
    for each in (store, plain):
        each.add(np.arange(DIM), axes)
        each.compact()
    assert_same(store, plain, axes, 1)


def test_an_empty_store_and_an_absurd_k_give_padding(store: Store) -> None:
    scores, ids = store.search(unit(2), 3)
    assert (ids == -1).all()
    assert np.isneginf(scores).all()
    store.add(some_ids(7), unit(1))
    assert store.search(unit(1), 4)[1].tolist() == [[7, -1, -1, -1]]
    assert store.search(unit(2), 0)[1].shape == (2, 0)
    assert store.search(unit(0), 5)[1].shape == (0, 5)
    store.add(some_ids(), unit(0))
    assert store.remove(some_ids()) == 0
    assert store.remove(some_ids(7)) == 1
    store.compact()
    assert store.search(unit(1), 2)[1].tolist() == [[-1, -1]]


@pytest.mark.parametrize(
    ("ids", "vectors"),
    [
        (some_ids(1, 1), unit(2)),
        (some_ids(5, 6), unit(2)),
        (some_ids(-1, 6), unit(2)),
        (some_ids(6), unit(2)),
        (some_ids(6, 7), unit(2)[:, :-1]),
        (some_ids(6, 7), unit(2) * 2),
        (some_ids(6, 7), unit(2) * np.float32("nan")),
        (some_ids(6, 7), unit(2) * 0),
    ],
    ids=["twice", "already here", "negative", "too few ids", "narrow", "long", "nan", "zero"],
)
def test_bad_rows_are_refused_and_change_nothing(store: Store, ids: Ids, vectors: Vectors) -> None:
    store.add(some_ids(5), unit(1))
    with pytest.raises(ValueError, match=r".+"):
        store.add(ids, vectors)
    assert store.ids.tolist() == [5]
    assert store.search(unit(1), 3)[1].tolist() == [[5, -1, -1]]


class StoreMachine(RuleBasedStateMachine):
    """Any history of additions, removals and rebuilds leaves the index equal to the specification."""

    @initialize(kind=st.sampled_from([name for name in STORES if name != "plain"]))
    def start(self, kind: str) -> None:
        self.store, self.plain, self.next = STORES[kind](), PlainStore(), 0

    @rule(rows=st.integers(1, 40), seed=st.integers(0, 99), falling=st.booleans())
    def add(self, rows: int, seed: int, falling: bool) -> None:
        ids = np.arange(self.next, self.next + rows)[:: -1 if falling else 1]
        self.next += rows
        for store in (self.store, self.plain):
            store.add(ids, unit(rows, seed))

    @precondition(lambda self: len(self.plain))
    @rule(seed=st.integers(0, 99), share=st.floats(0, 1))
    def remove(self, seed: int, share: float) -> None:
        gone = np.random.default_rng(seed).permutation(self.plain.ids)[: round(share * len(self.plain))]
        assert self.store.remove(gone) == self.plain.remove(gone)

    @precondition(lambda self: len(self.plain))
    @rule()
    def bring_back(self) -> None:
        some = self.plain.ids[::3]
        vectors = self.plain.vectors(some)
        for store in (self.store, self.plain):
            store.remove(some)
            store.add(some, vectors)

    @rule()
    def compact(self) -> None:
        self.store.compact()

    @rule(k=st.integers(1, 60), seed=st.integers(0, 99), share=st.floats(0, 1))
    def search_allowed(self, k: int, seed: int, share: float) -> None:
        allowed = PassageSet.of(np.random.default_rng(seed).permutation(self.next)[: round(share * self.next)])
        assert_same(self.store, self.plain, unit(3, seed + 100), k, allowed)

    @invariant()
    def same(self) -> None:
        if hasattr(self, "store"):
            assert_same(self.store, self.plain, unit(2, 500), 7)
            np.testing.assert_array_equal(self.store.ids, self.plain.ids)


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=30, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_the_structure_follows_the_size() -> None:
    store = VectorIndex(DIM, cutoffs=Cutoffs(100, 1000, NEVER))
    assert store._structure.kind is Kind.FLAT
    store.add(np.arange(200), unit(200))
    assert store._structure.kind is Kind.SCAN
    store.add(np.arange(200, 1200), unit(1000))
    assert store.compact()
    assert store._structure.kind is Kind.INVERTED
    store.remove(np.arange(1180))
    assert store.compact()
    assert store._structure.kind is Kind.FLAT
    assert store.search(unit(1000)[990:991], 1)[1].tolist() == [[1190]]


def test_cutoffs_do_not_flutter_around_a_size() -> None:
    cutoffs = Cutoffs(100, 1000, NEVER)
    assert cutoffs.due(1000, Kind.SCAN, 0) is Kind.INVERTED
    assert cutoffs.due(900, Kind.INVERTED, 1000) is None
    assert cutoffs.due(499, Kind.INVERTED, 1000) is Kind.SCAN
    assert cutoffs.due(2001, Kind.INVERTED, 1000) is Kind.INVERTED
    assert cutoffs.due(99, Kind.SCAN, 0) is None
    assert cutoffs.due(20, Kind.SCAN, 0) is Kind.FLAT
