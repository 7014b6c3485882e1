"""Recommendations of ideas against popularity and nearest embedding, on simulated people.

There is no public set of who liked whose ideas, so people are simulated over real texts (clinc150): their tastes join
topics that have nothing to do with each other in words, ideas differ in quality, and a fifth of the ideas is new, so
nobody has touched them. One idea of each person is held out. Where tastes follow the words, nearest embedding is right
by construction; that world is measured too.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.cluster import KMeans

from finetune.recommender import regressed
from retrieval.encoder import TransformerEncoder
from tests.benchmarks import Cell, Report
from tests.benchmarks.bench_ideation import DATA, lines, own_topics

TOPICS, IDEAS, PEOPLE, BEST = 24, 12, 60, 10
Method = Callable[[Any, Any], Any]  # (people, items) of what is known and the items' vectors -> scores


def popularity(known: Any, _: Any) -> Any:
    return np.tile(known.sum(axis=0), (len(known), 1))


def nearest(known: Any, vectors: Any) -> Any:
    """How near an item is to the nearest of a person's."""
    likeness = vectors @ vectors.T
    return np.array([likeness[mine > 0].max(axis=0) if mine.any() else 0 * likeness[0] for mine in known])


def factors(known: Any, _: Any, size: int = 16, ridge: float = 2.0, weight: float = 10.0) -> Any:
    """Implicit ALS (Hu, Koren & Volinsky 2008)."""
    chance = np.random.default_rng(0)
    people, items = 0.1 * chance.normal(size=(len(known), size)), 0.1 * chance.normal(size=(known.shape[1], size))
    for _step in range(12):
        for target, other, seen in ((people, items, known), (items, people, known.T)):
            gram = other.T @ other + ridge * np.eye(size)
            for i, row in enumerate(seen):
                mine = other[row > 0]
                target[i] = np.linalg.solve(gram + weight * mine.T @ mine, (1 + weight) * mine.sum(axis=0))
    return people @ items.T


METHODS: dict[str, Method] = {
    "popularity": popularity,
    "nearest embedding": nearest,
    "implicit ALS": factors,
    "EASE without texts": lambda known, vectors: known @ regressed(known, vectors, text=0),
    "Atelier": lambda known, vectors: known @ regressed(known, vectors),
}


def world(texts: Any, vectors: Any, labels: Any, seed: int, *, by_words: bool) -> tuple[Any, Any, Any]:
    """Who likes what, (people, items), the items' vectors, and which of them are new."""
    chance = np.random.default_rng(seed)
    names = sorted(set(labels))
    chosen = chance.choice(names, min(TOPICS, len(names)), replace=False)
    places = [np.nonzero(labels == each)[0] for each in chosen]
    items = np.concatenate([chance.choice(each, min(IDEAS, len(each)), replace=False) for each in places])
    topic = np.concatenate([[i] * min(IDEAS, len(each)) for i, each in enumerate(places)])
    if by_words:
        middles = np.array([vectors[items[topic == i]].mean(axis=0) for i in range(len(chosen))])
        taste = KMeans(max(2, len(chosen) // 3), n_init=4, random_state=seed).fit_predict(middles)
    else:
        taste = chance.permutation(len(chosen)) // 3
    quality = 0.7 * chance.gumbel(size=len(items))
    liked = np.zeros((PEOPLE, len(items)))
    for person in range(PEOPLE):
        mine = chance.choice(taste.max() + 1, 2, replace=False)
        pull = quality + 3.0 * np.isin(taste[topic], mine) + chance.gumbel(size=len(items))
        liked[person, np.argsort(-pull)[: chance.integers(6, 20)]] = 1
    new = chance.random(len(items)) < 0.2
    return liked, vectors[items], new


def measured(liked: Any, vectors: Any, new: Any, seed: int) -> dict[tuple[str, str], list[tuple[float, float]]]:
    chance = np.random.default_rng(seed + 1_000)
    known = liked * ~new
    held: list[tuple[int, int, str]] = []
    for person, row in enumerate(liked):
        old, fresh = np.nonzero(row * ~new)[0], np.nonzero(row * new)[0]
        if len(old) > 3:
            held.append((person, int(chance.choice(old)), "known ideas"))
            known[person, held[-1][1]] = 0
        if len(fresh):
            held.append((person, int(chance.choice(fresh)), "new ideas"))
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for name, method in METHODS.items():
        scores = method(known, vectors)
        for person, item, kind in held:
            asked = (new if kind == "new ideas" else ~new) & (known[person] == 0)
            mine = scores[person]
            above = (mine[asked] > mine[item]).sum()
            rank = above + ((mine[asked] == mine[item]).sum() - 1) / 2  # ties: the middle of those alike
            found.setdefault((kind, name), []).append(
                (float(rank < BEST), 1 / np.log2(rank + 2) if rank < BEST else 0.0)
            )
    return found


def run(quick: bool) -> Report:
    """quick: two worlds instead of ten of each kind."""
    rows = [each for each in lines("clinc150/test") if each["intent"] != "oos"] if DATA.is_dir() else own_topics()
    texts, labels = [each["text"] for each in rows], np.array([each["intent"] for each in rows])
    vectors = TransformerEncoder()(texts)
    table: list[dict[str, Cell]] = []
    for by_words, name in ((False, "tastes across topics"), (True, "tastes follow the words")):
        found: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for seed in range(2 if quick else 10):
            for key, values in measured(*world(texts, vectors, labels, seed, by_words=by_words), seed).items():
                found.setdefault(key, []).extend(values)
        for (kind, method), values in sorted(found.items(), key=lambda each: each[0][0]):
            hits, gains = np.mean(values, axis=0)
            table.append(
                {"people": name, "asked": kind, "method": method, "held_out": len(values), "hit_rate": round(hits, 4),
                 "ndcg_10": round(gains, 4)}
            )  # fmt: skip
    notes = [
        f"{PEOPLE} simulated people, up to {TOPICS * IDEAS} ideas; the top {BEST} of those a person does not know.",
        "new ideas: nobody has touched them, so popularity and ALS rank them alike: a miss. Settings: other seeds.",
    ]
    return Report(
        "recommender", "Are people shown ideas they like better than by popularity or likeness?", table, notes
    )
