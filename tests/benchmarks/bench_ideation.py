"""Ideation's parts against what a user would pick instead: groups, duplicates, aimed stimuli.

People's topics are stood in for by intents (clinc150, banking77), question pairs by covid_faq, people's ideas by the
lists of dolly15k's brainstorming rows. Recommendation and speed have files of their own.
"""

import gzip
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score

from agent.ideation.aim import aimed
from agent.ideation.groups import DUPLICATE, clusters
from agent.ideation.measures import vendi
from agent.ideation.stimuli import things
from agent.ideation.vectors import IdeaVectors
from retrieval.encoder import Encoder, TransformerEncoder
from tests.benchmarks import Cell, Report

DATA = Path(os.environ.get("ATELIER_DATA", Path(__file__).parents[3] / "shared" / "data"))
SIZES = ((4, 6), (6, 10), (10, 10), (15, 20), (20, 30))  # topics, ideas on each (0.4 to 1.6 times so many)
PRECISION = 0.95
_ITEM = re.compile(r"^\s*(?:[-*•–]|\(?\d{1,2}[.):])\s*")


def lines(name: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def own_topics() -> list[dict[str, str]]:
    """Where the data sets are missing: eight topics, made of a few words each."""
    parts = {
        "coffee": "espresso beans,a new grinder,milk for flat whites,a barista course,coffee cups,filter coffee",
        "bikes": "bicycle stands,repair kits for bikes,a cycling club,helmets to borrow,tyre pumps,cargo bicycles",
        "books": "a library shelf,novels to swap,a reading circle,audiobooks,bookmarks,poetry evenings",
        "garden": "tomato plants,a herb garden,compost,flower beds,a greenhouse,garden tools",
        "music": "a choir,guitar lessons,a jukebox,concert tickets,a piano in the hall,drum nights",
        "money": "cheaper invoices,a budget review,tax advice,expense cards,pay transparency,savings plans",
        "health": "yoga at noon,flu shots,a nurse on call,standing desks,fruit baskets,sleep workshops",
        "travel": "train vouchers,a map of hotels,shared taxis,visa help,luggage tags,flight credits",
    }
    return [{"text": text, "intent": name} for name, texts in parts.items() for text in texts.split(",")]


Labels = Sequence[int]
Method = Callable[[Sequence[str], Any], Any]


def tried(count: int) -> list[int]:
    return np.unique(np.geomspace(2, max(2, min(count - 1, round(1.5 * count**0.5))), 12).round().astype(int)).tolist()


def kmeans_on_words(texts: Sequence[str], _: Any) -> Any:
    rows = TfidfVectorizer(sublinear_tf=True, stop_words="english").fit_transform(texts)
    found = [KMeans(each, n_init=4, random_state=0).fit_predict(rows) for each in tried(len(texts))]
    return max(found, key=lambda labels: silhouette_score(rows, labels) if len(set(labels)) > 1 else -1)


def kmeans_on_vectors(_: Sequence[str], vectors: Any) -> Any:
    found = [KMeans(each, n_init=4, random_state=0).fit_predict(vectors) for each in tried(len(vectors))]
    return max(found, key=lambda labels: silhouette_score(vectors, labels, metric="cosine"))


def hdbscan(_: Sequence[str], vectors: Any) -> Any:
    """What it calls noise stands alone, a group each."""
    labels = HDBSCAN(min_cluster_size=3, min_samples=1, copy=True).fit_predict(vectors)
    noise = labels < 0
    labels[noise] = labels.max() + 1 + np.arange(noise.sum())
    return labels


METHODS: dict[str, Method] = {
    "k-means on TF-IDF": kmeans_on_words,
    "HDBSCAN on embeddings": hdbscan,
    "k-means on embeddings": kmeans_on_vectors,
    "Atelier": lambda _, vectors: clusters(vectors),
}


def grouping(encoder: Encoder, quick: bool) -> list[dict[str, Cell]]:
    """Boards of several sizes, drawn from intents; the mean over all."""
    sets = {"own topics": own_topics()}
    if DATA.is_dir():
        sets = {"clinc150": [each for each in lines("clinc150/test") if each["intent"] != "oos"]}
        sets["banking77"] = lines("banking77/test")
    found: list[dict[str, Cell]] = []
    for name, rows in sets.items():
        scores: dict[str, list[tuple[float, ...]]] = {each: [] for each in METHODS}
        for texts, labels in boards(rows, SIZES[:2] if quick else SIZES, 1 if quick else 6):
            vectors = encoder(texts)
            for method, group in METHODS.items():
                start = time.perf_counter()
                said = group(texts, vectors)
                taken = time.perf_counter() - start
                right = normalized_mutual_info_score(labels, said), adjusted_rand_score(labels, said)
                scores[method].append((*right, len(set(said)) / len(set(labels)), taken * 1e3))
        for method, values in scores.items():
            nmi, ari, number, taken = np.mean(values, axis=0)
            found.append(
                row("groups", name, method, boards=len(values), nmi=nmi, ari=ari, groups_to_topics=number, ms=taken)
            )
    return found


def boards(
    rows: Sequence[dict[str, Any]], sizes: Sequence[tuple[int, int]], repeats: int
) -> list[tuple[list[str], list[str]]]:
    by_intent: dict[str, list[str]] = {}
    for each in rows:
        by_intent.setdefault(each["intent"], []).append(each["text"])
    found = []
    for topics, size in sizes:
        if topics > len(by_intent):
            continue
        for repeat in range(repeats):
            chance = np.random.default_rng((topics, repeat))
            texts: list[str] = []
            labels: list[str] = []
            for intent in chance.choice(sorted(by_intent), topics, replace=False):
                own = by_intent[intent]
                count = min(len(own), max(2, int(size * chance.uniform(0.4, 1.6))))
                texts += [own[i] for i in chance.choice(len(own), count, replace=False)]
                labels += [intent] * count
            found.append((texts, labels))
    return found


def duplicate_rows(encoder: Encoder) -> list[dict[str, Cell]]:
    """Which pairs are proposed as the same, by thresholds from training parts: of many domains, and of one."""
    if not DATA.is_dir():
        return []
    methods: dict[str, Callable[[Sequence[str]], Any]] = {"TF-IDF": of_words, "embeddings": encoder}
    thresholds: dict[str, tuple[str, float]] = {}
    asked: dict[str, tuple[dict[str, Any], Any]] = {}
    found: list[dict[str, Cell]] = []
    for name in ("clinc150", "banking77"):
        texts, labels = sample([each for each in lines(f"{name}/train") if each["intent"] != "oos"])
        for method, vectors_of in methods.items():
            least = threshold(*pairs_of(vectors_of(texts), labels))
            thresholds[f"{method}, threshold from {name}"] = (method, least)
        texts, labels = sample([each for each in lines(f"{name}/test") if each["intent"] != "oos"])
        scored = {method: pairs_of(vectors_of(texts), labels) for method, vectors_of in methods.items()}
        asked[f"{name} test"] = ({method: scores for method, (scores, _) in scored.items()}, scored["TF-IDF"][1])
        first, second = np.triu_indices(len(texts), 1)
        for method in ("k-means on TF-IDF", "HDBSCAN on embeddings"):  # they know no likeness: a group is one thing
            groups = METHODS[method](texts, encoder(texts))
            alike = (groups[first] == groups[second]).astype(float)
            found.append(judged(f"{name} test", f"one group of {method}", alike, asked[f"{name} test"][1], 1.0))
    pairs = lines("covid_faq/question_pairs_en")
    first, second = [each["question"] for each in pairs], [each["other"] for each in pairs]
    both = of_words([*first, *second])
    likeness = {
        "TF-IDF": (both[: len(pairs)] * both[len(pairs) :]).sum(axis=1),
        "embeddings": (encoder(first) * encoder(second)).sum(axis=1),
    }
    asked["covid_faq pairs"] = likeness, np.array([bool(each["similar"]) for each in pairs])
    thresholds["Atelier"] = ("embeddings", DUPLICATE)
    return found + [
        judged(name, said, scores[method], same, least)
        for name, (scores, same) in asked.items()
        for said, (method, least) in thresholds.items()
    ]


def sample(rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """40 topics, 10 texts on each."""
    chance = np.random.default_rng(7)
    intents = sorted({each["intent"] for each in rows})
    texts: list[str] = []
    labels: list[str] = []
    for intent in chance.choice(intents, min(40, len(intents)), replace=False):
        own = [each["text"] for each in rows if each["intent"] == intent]
        texts += [own[i] for i in chance.choice(len(own), min(10, len(own)), replace=False)]
        labels += [intent] * min(10, len(own))
    return texts, labels


def of_words(texts: Sequence[str]) -> Any:
    return TfidfVectorizer(sublinear_tf=True).fit_transform(texts).toarray()


def pairs_of(vectors: Any, labels: Sequence[str]) -> tuple[Any, Any]:
    """The likeness of every pair, and whether it has one label."""
    named = np.array(labels)
    first, second = np.triu_indices(len(labels), 1)
    return (vectors @ vectors.T)[first, second], named[first] == named[second]


def threshold(scores: Any, same: Any) -> float:
    """The lowest at which the precision is still what it is to be."""
    order = np.argsort(-scores)
    precision = np.cumsum(same[order]) / np.arange(1, len(order) + 1)
    good = np.nonzero(precision >= PRECISION)[0]
    return float(scores[order[good[-1]]]) if len(good) else 1.0


def judged(name: str, method: str, scores: Any, same: Any, least: float) -> dict[str, Cell]:
    said = scores >= least
    right = int((said & same).sum())
    precision, recall = right / max(1, int(said.sum())), right / max(1, int(same.sum()))
    f1 = 2 * precision * recall / max(1e-9, precision + recall)
    return row("duplicates", name, method, threshold=least, precision=precision, recall=recall, f1=f1)


def stimuli(encoder: Encoder, quick: bool) -> list[dict[str, Cell]]:
    """Three stimuli for four ideas of people: aimed, the farthest of all, or any. Judged by LSA, not by what aims."""
    if not DATA.is_dir():
        return []
    rows = lines("dolly15k/train")
    lists = [(each["instruction"], items(each["response"])) for each in rows if each["category"] == "brainstorming"]
    lists = [(topic, found) for topic, found in lists if len(found) >= 8][: 20 if quick else None]
    judge = Judge([f"{each['instruction']} {each['response']}" for each in rows])
    encode = IdeaVectors(encoder).texts  # each text once
    topics = encode([topic for topic, _ in lists])
    likeness = topics @ topics.T
    spread: dict[str, list[tuple[float, float, float]]] = {}
    other: dict[str, list[tuple[float, float, float]]] = {}
    for i, (topic, found) in enumerate(lists):
        start, rest = found[:4], found[4:]
        near = np.argsort(-likeness[i])[1:6]
        foreign = [text for j in near for text in lists[j][1]]
        for pool, kept, scores in (([*rest, *foreign], len(rest), spread), (list(things()), 0, other)):
            encoded, ideas = encode(pool), encode(start)
            chance = np.random.default_rng(i)
            chosen = {
                "aimed": [aimed(encoded, ideas, topics[i], 3)],
                "farthest": [np.argsort((encoded @ ideas.T).max(axis=1))[:3].tolist()],
                "any": [chance.choice(len(pool), 3, replace=False).tolist() for _ in range(10)],
            }
            for method, several in chosen.items():
                values = [
                    (judge.vendi([*start, *(pool[k] for k in each)]), np.mean([k < kept for k in each]),
                     judge.near(topic, [pool[k] for k in each]))
                    for each in several
                ]  # fmt: skip
                scores.setdefault(method, []).append(tuple(np.mean(values, axis=0).tolist()))
    return [*compared("lists of dolly15k", spread), *compared("things", other)]


def items(text: str) -> list[str]:
    """The items of a list as people wrote it; what introduces it is none."""
    found = [_ITEM.sub("", line).strip() for line in text.split("\n")]
    return [each for each in found if len(each) > 3 and not each.endswith(":")]


class Judge:
    """Latent semantic analysis of all the rows: knows nothing of the encoder that aims."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._words = TfidfVectorizer(sublinear_tf=True, min_df=2, stop_words="english")
        self._main = TruncatedSVD(150, random_state=0).fit(self._words.fit_transform(texts))

    def _vectors(self, texts: Sequence[str]) -> Any:
        rows = self._main.transform(self._words.transform(texts))
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 1e-9)

    def vendi(self, texts: Sequence[str]) -> float:
        rows = self._vectors(texts)
        return vendi(rows[np.linalg.norm(rows, axis=1) > 0.5].astype(np.float32))

    def near(self, topic: str, texts: Sequence[str]) -> float:
        rows = self._vectors([topic, *texts])
        return float((rows[1:] @ rows[0]).mean())


def compared(name: str, scores: dict[str, list[tuple[float, float, float]]]) -> list[dict[str, Cell]]:
    base = np.array([each[0] for each in scores["any"]])
    found = []
    for method, values in scores.items():
        table = np.array(values)
        gain = table[:, 0] - base
        found.append(
            row("stimuli", name, method, boards=len(table), vendi=table[:, 0].mean(), gain=gain.mean(),
                p=1.0 if method == "any" else flipped(gain), on_topic=table[:, 1].mean(), near_topic=table[:, 2].mean())
        )  # fmt: skip
    return found


def flipped(gain: Any, times: int = 10_000) -> float:
    """The chance of a mean gain as large if its signs were chance (a paired permutation test, two-sided)."""
    signs = np.random.default_rng(0).choice((-1.0, 1.0), size=(times, len(gain)))
    return float(((np.abs((signs * gain).mean(axis=1)) >= abs(gain.mean())).sum() + 1) / (times + 1))


def row(part: str, data: str, method: str, **values: float) -> dict[str, Cell]:
    rounded = {name: value if isinstance(value, int) else round(float(value), 4) for name, value in values.items()}
    return {"part": part, "data": data, "method": method, **rounded}


def measures_of(record: dict[str, Cell]) -> list[dict[str, Cell]]:
    """A row for each figure, so that the table can be read in a terminal."""
    named = {name: record[name] for name in ("part", "data", "method")}
    return [{**named, "measure": name, "value": value} for name, value in record.items() if name not in named]


def run(quick: bool) -> Report:
    """quick: fewer boards and lists."""
    encoder = TransformerEncoder()
    rows = grouping(encoder, quick) + duplicate_rows(encoder) + stimuli(encoder, quick)
    notes = [
        "groups: boards of 4 to 20 topics with 2 to 48 texts each; all methods but HDBSCAN choose among the same",
        "numbers of groups by the silhouette. The method was chosen on clinc150's and banking77's training parts.",
        f"duplicates: two texts of one intent count as the same; thresholds give a precision of {PRECISION} on",
        f"training parts. Atelier's own ({DUPLICATE}) leaves a margin: 0.96 on samples of banking77's.",
        "stimuli: Vendi score of four ideas with three stimuli, by LSA; gain and p: against any three, paired;",
        "on_topic: share of stimuli from the same list; near_topic: the judge's cosine to the topic. Nobody was asked.",
    ]
    if not DATA.is_dir():
        notes.append("The shared data sets are missing: groups were measured on a few topics of our own.")
    rows = [each for record in rows for each in measures_of(record)]
    return Report(
        "ideation", "Are ideas grouped, told apart and led away from sameness better than by plain means?", rows, notes
    )
