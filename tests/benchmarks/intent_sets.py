"""The public sets of intent and sentiment in their official splits, as the benchmark `intents` trains and asks them."""

import gzip
import json
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

DATA = Path(os.environ.get("ATELIER_DATA", Path(__file__).parents[3] / "shared" / "data"))
Pair = tuple[str, str | None]  # a text and its label; None: of none that are known
HELD = 500  # rows of train kept back to calibrate with, where a set has no official ones
TWEETS = 8_000  # rows of the 47,474 that are trained on where nothing else is said
MORE_TWEETS = {f"tweeteval-{most}": most for most in (16_000, 32_000, 47_474)}  # the curve by rows
SHOTS = 10


@dataclass(frozen=True, slots=True)
class Split:
    """One set. even: every label weighs the same, as its measure wants it. goal, floor: the issue's."""

    name: str
    train: Sequence[Pair]
    held: Sequence[Pair]
    test: Sequence[Pair]
    measure: str  # accuracy, or macro-recall
    licence: str
    may_ship: bool
    goal: float
    even: bool = False

    @property
    def labels(self) -> list[str]:
        return sorted({label for _, label in self.train if label is not None})


def rows(path: str) -> list[dict[str, str]]:
    with gzip.open(DATA / f"{path}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _banking(seed: int) -> Split:
    pairs = _shuffled([(row["text"], row["intent"]) for row in rows("banking77/train")], seed)
    test = [(row["text"], row["intent"]) for row in rows("banking77/test")]
    return Split("banking77", pairs[HELD:], pairs[:HELD], test, "accuracy", "CC BY 4.0", may_ship=True, goal=0.94)


def _few(seed: int) -> Split:
    """Ten rows an intent and no others: there is nothing to calibrate with but folds of these."""
    whole = _banking(seed)
    taken: dict[str, list[Pair]] = defaultdict(list)
    for text, label in [*whole.held, *whole.train]:
        if label is not None and len(taken[label]) < SHOTS:
            taken[label].append((text, label))
    train = [pair for label in sorted(taken) for pair in taken[label]]
    return Split("banking77, 10 shots", train, (), whole.test, "accuracy", "CC BY 4.0", may_ship=True, goal=0.86)


def _clinc(seed: int) -> Split:
    def pairs(name: str) -> list[Pair]:
        return [(row["text"], None if row["intent"] == "oos" else row["intent"]) for row in rows(f"clinc150/{name}")]

    train, held, test = (pairs(name) for name in ("train", "val", "test"))
    return Split("clinc150", _shuffled(train, seed), held, test, "accuracy", "CC BY 3.0", may_ship=True, goal=0.97)


def _sst(seed: int) -> Split:
    def pairs(name: str) -> list[Pair]:
        return [(row["text"], row["label"]) for row in rows(f"sst/{name}") if row["label"] != "neutral"]

    train, held, test = (pairs(name) for name in ("train", "dev", "test"))
    return Split("sst2", _shuffled(train, seed), held, test, "accuracy", "none stated", may_ship=False, goal=0.90)


def _tweets(seed: int, most: int = TWEETS) -> Split:
    def pairs(name: str) -> list[Pair]:
        return [(row["text"], row["label"]) for row in rows(f"tweeteval_sentiment/{name}")]

    train, held, test = (pairs(name) for name in ("train_rebuilt", "val", "test"))
    return Split(
        "tweeteval sentiment" if most == TWEETS else f"tweeteval sentiment, {most:,} rows",
        _shuffled(train, seed)[:most],
        held,
        test,
        "macro-recall",
        "none stated",
        may_ship=False,
        goal=0.70,
        even=True,
    )


def _shuffled(pairs: list[Pair], seed: int) -> list[Pair]:
    return [pairs[i] for i in np.random.default_rng(seed).permutation(len(pairs))]


SETS: dict[str, Callable[[int], Split]] = {
    "banking77": _banking,
    "banking77-10": _few,
    "clinc150": _clinc,
    "sst2": _sst,
    "tweeteval": _tweets,
} | {name: partial(_tweets, most=most) for name, most in MORE_TWEETS.items()}
