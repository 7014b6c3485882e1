"""Fits `agent/support/matching.py`: `python -m tests.benchmarks.fit_matching`. Prints the constants, writes the trees.

On books made of banking77 and clinc150 (train): entries are an intent's messages in one to three ways, asked for by
others of the same intent, of one that the book lacks, and out of scope; on half of covid_faq's entries, each reworded
question once with its answer there and once without; and on near misses made of all these and of SQuAD's training
questions: denied, asking for something else ("when" for "where"), with one word put in for another; or but mistyped.
`bench_trust` measures on the other half of covid_faq.
"""

import json
import random
import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GroupKFold

from agent.rewrite import content_words
from agent.support import matching
from agent.trees import Trees
from retrieval.encoder import TransformerEncoder
from tests.benchmarks.faq import faq_entries, intents, reworded
from tests.benchmarks.squad import Cached, articles

BOOKS, QUESTIONS = 20, 20  # of each set of intents
FAQ, INTENT, MISS = 3.0, 0.3, 0.31  # how much a question of each set counts
TREES = 80
RISING = [1, 1, -1, -1, 1, 1, 1, 1, 1, -1, -1, 1, -1, -1]  # where more of a feature may only speak for or against
FILE = Path(matching.__file__).with_name("matching.json")
_SWAPS = (
    ("when", "where"), ("where", "when"), ("who", "when"), ("how many", "how long"), ("how much", "how often"),
    ("why", "when"), ("before", "after"), ("first", "last"), ("most", "least"), ("increase", "decrease"),
)  # fmt: skip
_VERB = re.compile(r"\b(is|was|are|were|did|does|do|can|could|should|will)\b( \w+)?")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question's features before the entries near it. weight: of the set that it comes of."""

    table: NDArray[np.float64]
    entries: list[Hashable]
    is_right: NDArray[np.bool_]
    weight: float


class _Bench:
    def __init__(self, encoder: TransformerEncoder) -> None:
        self._matcher = matching.Matcher(encoder)
        self._encoder = Cached(encoder)

    def asked(
        self, text: str, known: Sequence[str], entries: Sequence[Hashable], right: Sequence[bool], weight: float
    ) -> Asked:
        vectors = self._encoder([text, *known])
        phrasings = [matching.read(each) for each in known]
        near, table = self._matcher.features(matching.read(text), vectors[0], phrasings, vectors[1:])
        return Asked(table, [entries[i] for i in near], np.array([right[i] for i in near]), weight)


def of_intents(bench: _Bench, name: str, seed: int) -> Iterator[Asked]:
    chance = random.Random(seed)
    by = intents(name)
    outside = by.pop("oos", [])
    names = sorted(by)
    for _ in range(BOOKS):
        chosen = chance.sample(names, min(chance.choice([1, 3, 8, 20, 50, 77]), len(names)))
        book = [(text, each) for each in chosen for text in chance.sample(by[each], chance.choice([1, 1, 2, 3]))]
        for _ in range(QUESTIONS):
            where = chance.random()
            intent = chance.choice(chosen if where < 0.55 else names)
            text = chance.choice(outside) if outside and where > 0.85 else chance.choice(by[intent])
            intent = "" if outside and where > 0.85 else intent
            known = [(each, of) for each, of in book if each != text]
            if known:
                texts, labels = zip(*known, strict=True)
                yield bench.asked(text, texts, labels, [label == intent for label in labels], INTENT)


def of_faq(bench: _Bench) -> Iterator[Asked]:
    entries = faq_entries()
    for each in reworded():
        if not each.is_test:
            for there in (True, False):
                known = [entry for entry in entries if there or entry not in each.right]
                answers = [entries[entry] for entry in known]
                yield bench.asked(each.text, known, answers, [entry in each.right for entry in known], FAQ)


def of_near_misses(bench: _Bench) -> Iterator[Asked]:
    chance = random.Random(5)
    books = [[asked.text.strip() for asked in article.questions] for article in articles("train_v1.1")[3::40]]
    for name in ("banking77/train", "clinc150/train"):
        by = intents(name)
        books += [[chance.choice(by[each]) for each in chance.sample(sorted(by), 40)] for _ in range(6)]
    books += [[each.right[0] for each in reworded() if not each.is_test]] * 3
    for every in books:
        texts = list(dict.fromkeys(every))
        for text in chance.sample(texts, min(9, len(texts))):
            book = [text, *chance.sample([other for other in texts if other != text], min(9, len(texts) - 1))]
            made = [(_altered(text, chance), False), (_swapped(text, texts, chance), False)]
            for other, is_same in [*made, (_carelessly(text, chance), True)]:
                if other and other != text:
                    yield bench.asked(other, book, book, [each == text and is_same for each in book], MISS)


def _altered(text: str, chance: random.Random) -> str:
    """Another question of nearly the same words; "" where there is none."""
    fits = [(one, other) for one, other in _SWAPS if re.search(rf"(?i)\b{one}\b", text)]
    if fits and chance.random() < 0.6:
        one, other = chance.choice(fits)
        return re.sub(rf"(?i)\b{one}\b", other, text, count=1)
    return _VERB.sub(lambda verb: f"{verb[1]}{verb[2] or ''} not", text, count=1)


def _swapped(text: str, texts: Sequence[str], chance: random.Random) -> str:
    """The question about something else: one of its topic words is put out for one of another question."""
    own = [word for word in content_words(text) if len(word) > 3]
    other = [word for word in content_words(chance.choice(texts)) if len(word) > 3 and word not in own]
    if not own or not other:
        return ""
    return re.sub(rf"\b{re.escape(chance.choice(own))}\b", chance.choice(other), text, count=1)


def _carelessly(text: str, chance: random.Random) -> str:
    """The same question as somebody types it in a hurry."""
    said = [
        word for word in text.rstrip("?").split() if word.lower() not in ("the", "a", "an") or chance.random() < 0.5
    ]
    place = chance.randrange(len(said))
    word = said[place]
    if len(word) > 4:
        at = chance.randrange(1, len(word) - 2)
        said[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    opening = chance.choice(["", "", "hi, ", "can you tell me ", "quick question: "])
    return opening + " ".join(said).lower()


def fit_order(rows: Sequence[Asked]) -> NDArray[np.float64]:
    """Weights under which a right entry comes before the others (softmax over the entries of a question)."""
    rows = [each for each in rows if each.is_right.any()]
    table = np.concatenate([each.table for each in rows])
    scale = table.std(0) + 1e-9
    table = table / scale
    sizes = np.array([len(each.table) for each in rows])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    weight = np.array([each.weight for each in rows])
    weight /= weight.sum()
    right = np.concatenate([each.is_right for each in rows]).astype(float)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        score = table @ weights
        raised = np.exp(score - np.repeat(np.maximum.reduceat(score, starts), sizes))
        total, ours = np.add.reduceat(raised, starts), np.add.reduceat(raised * right, starts)
        share = raised / np.repeat(total, sizes) - raised * right / np.repeat(ours, sizes)
        slope = table.T @ (share * np.repeat(weight, sizes))
        return float(-(weight * np.log(ours / total)).sum() + 0.02 * weights @ weights), slope + 0.04 * weights

    fitted: NDArray[np.float64] = minimize(loss, np.zeros(table.shape[1]), jac=True).x / scale
    return fitted


def fit_acceptance(rows: Sequence[Asked], weights: NDArray[np.float64]) -> Trees:
    """Trees that say whether the first entry answers."""
    scores = [each.table @ weights for each in rows]
    pairs = list(zip(rows, scores, strict=True))
    table = np.array([matching.standing(each.table, score, each.entries) for each, score in pairs])
    right = np.array([each.is_right[int(np.argmax(score))] for each, score in pairs])
    weight = np.array([each.weight for each in rows])
    model = HistGradientBoostingClassifier(
        max_iter=TREES, max_leaf_nodes=6, learning_rate=0.07, min_samples_leaf=15, monotonic_cst=RISING, random_state=0
    )
    folds = GroupKFold(5).split(table, right, np.arange(len(rows)) // 6)  # the same question stays in one fold
    sure = np.zeros(len(rows))
    for fitted, left in folds:
        sure[left] = model.fit(table[fitted], right[fitted], weight[fitted]).predict_proba(table[left])[:, 1]
    print(f"{len(rows):,} questions, right first {np.average(right, weights=weight):.3f}")
    for name, one in (("covid_faq", FAQ), ("intents", INTENT), ("near misses", MISS)):
        here = weight == one
        able = max(sum(each.is_right.any() for each, own in zip(rows, here, strict=True) if own), 1)
        for at in (0.4, 0.5, 0.6, 0.7):
            said = here & (sure >= at)
            wrong = (said & ~right).sum() / here.sum()
            print(
                f"  {name} at {at}: right {(said & right).sum() / able:.3f} of the answerable, {wrong:.3f} of all wrong"
            )
    return as_trees(model.fit(table, right, weight))


def as_trees(model: HistGradientBoostingClassifier) -> Trees:
    """The fitted model as `matching` holds it. Thresholds are what sklearn itself compares with."""
    nodes = [each[0].nodes for each in model._predictors]
    width = max(map(len, nodes))

    def column(name: str) -> NDArray[np.float64]:
        return np.array([np.pad(each[name].astype(float), (0, width - len(each))) for each in nodes])

    is_leaf = np.array([np.pad(each["is_leaf"], (0, width - len(each)), constant_values=1) for each in nodes]) > 0
    feature = np.where(is_leaf, -1, column("feature_idx")).astype(np.int64)
    left, right = column("left").astype(np.int64), column("right").astype(np.int64)
    base = float(np.ravel(model._baseline_prediction)[0])
    return Trees(feature, np.where(is_leaf, 0, column("num_threshold")), left, right, column("value"), base)


def write(trees: Trees) -> None:
    held = {name: np.round(value, 6).tolist() for name, value in asdict(trees).items()}
    FILE.write_text(json.dumps(held, separators=(",", ":")) + "\n", encoding="utf-8")


def run() -> None:
    bench = _Bench(TransformerEncoder())
    rows = [*of_faq(bench), *of_intents(bench, "banking77/train", 1), *of_intents(bench, "clinc150/train", 2)]
    rows += of_near_misses(bench)
    weights = fit_order(rows)
    print(f"WEIGHTS = np.array([{', '.join(f'{each:.2f}' for each in weights)}])")
    for name, value in zip(matching.NAMES, weights, strict=True):
        print(f"  {name:16} {value:+.2f}")
    write(fit_acceptance(rows, weights))


if __name__ == "__main__":
    run()
