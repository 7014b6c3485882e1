"""Fits `agent/reading/reader.json`: `python -m tests.benchmarks.fit_reading`. Takes some five processor minutes.

On questions of SQuAD 1.1's training articles, one in EVERY of them, searched for among them all; to as many again, made
of these, no passage has the answer (`altered.py`). Figures are crosswise over articles: none is fitted on what it is
measured on.
"""

import datetime as dt
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from agent.generation.answer import HOLDS, UNSURE
from agent.generation.evidence import Reader
from agent.reading import reader
from agent.reading.reader import BELIEVED, Beside
from agent.trees import Trees
from retrieval.encoder import States, TransformerEncoder
from tests.benchmarks.altered import altered
from tests.benchmarks.bench_trust import EVERYONE, searched
from tests.benchmarks.fit_matching import as_trees
from tests.benchmarks.squad import Article, articles

EVERY, ARTICLES = 20, 14  # of the 442 articles
QUESTIONS = 24  # of an article that can be answered, and as many that cannot
FOLDS = 7
FILE = Path(reader.__file__).with_name("reader.json")
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Row:
    """A question. table: of its sentences, (sentences, features); before: the linear reader's log-odds of them.

    is_right: which hold a gold answer. article: its number.
    """

    table: Floats
    before: Floats
    is_right: NDArray[np.bool_]
    is_answerable: bool
    article: int


class _Watching(reader.AnswerReader):
    """Votes as the linear reader does, and keeps what it saw."""

    def read(self, beside: Beside, states: States, layer: int) -> Floats:
        SEEN.append((beside, reader.features(beside, states, layer)))
        return beside.before


SEEN: list[tuple[Beside, Floats]] = []


def rows(encoder: TransformerEncoder) -> Iterator[Row]:
    chosen = articles("train_v1.1")[::EVERY][:ARTICLES]
    reading = Reader(encoder, _Watching(encoder.id, reader.shipped().trees))
    with searched(encoder, chosen) as base:
        for number, article in enumerate(chosen):
            for text, answers in _asked(article, Random(number)):
                SEEN.clear()
                reading.read(text, base.search(text, EVERYONE, 5))
                for beside, table in SEEN:
                    flat = [unit for here in beside.units for unit in here]
                    right = np.array([any(each in unit for each in answers) for unit in flat], dtype=np.bool_)
                    yield Row(table, beside.before, right, bool(answers), number)


def _asked(article: Article, chance: Random) -> Iterator[tuple[str, Sequence[str]]]:
    can = article.questions
    for each in can[:: max(1, len(can) // QUESTIONS)][:QUESTIONS]:
        yield each.text, each.answers
    made = 0
    for each in chance.sample(can, min(len(can), 2 * QUESTIONS)):
        near = [other.text for other in chance.sample(can, min(40, len(can)))]
        if made < QUESTIONS and (text := altered(each.text, article.texts[each.passage], near, chance)):
            made += 1
            yield text, ()


def model() -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=100,
        max_leaf_nodes=5,
        learning_rate=0.06,
        min_samples_leaf=50,
        l2_regularization=5.0,
        random_state=0,
    )


def crosswise(given: Sequence[Row]) -> list[Floats]:
    """The log-odds of each question's sentences, by a model that saw none of its article."""
    found: list[Floats] = [each.before for each in given]
    for fold in range(FOLDS):
        fitted = fit([each for each in given if each.article % FOLDS != fold])
        for i, each in enumerate(given):
            if each.article % FOLDS == fold:
                found[i] = fitted.log_odds(each.table)
    return found


def fit(given: Sequence[Row]) -> Trees:
    table, right = np.vstack([each.table for each in given]), np.concatenate([each.is_right for each in given])
    return as_trees(model().fit(table, right))


def ordered(given: Sequence[Row], scores: Sequence[Floats]) -> list[tuple[float, bool]]:
    """Of each question how sure its best sentence is, and whether it is right; the surest first."""
    best = [
        (float(score.max()), bool(each.is_right[score.argmax()])) for each, score in zip(given, scores, strict=True)
    ]
    return sorted(best, reverse=True)


def within(best: Sequence[tuple[float, bool]], wrong: float) -> int:
    """How many are answered rightly where at most `wrong` of all are answered wrongly."""
    bad = right = 0
    for _, is_right in best:
        bad += not is_right
        if bad > wrong * len(best):
            break
        right += is_right
    return right


def write(trees: Trees, encoder: str) -> None:
    held = {name: np.round(value, 5).tolist() for name, value in asdict(trees).items()}
    facts = {
        "encoder": encoder,
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
        "fitted_on": "SQuAD 1.1 train (Rajpurkar et al. 2016, CC BY-SA 4.0), and questions altered from it",
        "fitted_by": "python -m tests.benchmarks.fit_reading",
    }
    FILE.write_text(json.dumps(facts | held, separators=(",", ":")) + "\n", encoding="utf-8")


def tell(given: Sequence[Row]) -> None:
    """Print the figures of both readers and of both together as they are believed, crosswise."""
    can = sum(each.is_answerable for each in given)
    linear, trees = [each.before for each in given], crosswise(given)
    both = [BELIEVED * one + (1 - BELIEVED) * other for one, other in zip(trees, linear, strict=True)]
    for name, found in (("linear", linear), ("trees", trees), ("both", both)):
        best = ordered(given, found)
        shares = ", ".join(f"{within(best, wrong) / can:.3f} at {wrong:.0%} wrong" for wrong in (0.03, 0.05, 0.07, 0.1))
        print(f"{name}: of the answerable right {shares}; always answering {within(best, 1.0) / can:.3f}")
        for at in (HOLDS, UNSURE):
            said = [is_right for score, is_right in best if score >= math.log(at / (1 - at))]
            print(f"  from {at}: {sum(said) / can:.3f} right, of all {1 - len(said) / len(best):.3f} not answered")
            print(f"  and {(len(said) - sum(said)) / len(best):.3f} wrong")


def main() -> None:
    encoder = TransformerEncoder()
    given = list(rows(encoder))
    tell(given)
    write(fit(given), encoder.id)


if __name__ == "__main__":
    main()
