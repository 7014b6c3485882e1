"""What more rows made of the same ones, and messages without labels, add to `atelier finetune intent`.

Intents of one of clinc150's domains, eight rows each, asked its test rows: as given; with numbers for their names, so
that these teach nothing; with each row again less one of its words (Wei & Zou 2019); and with unlabelled messages,
which may teach behind the guard. `python -m tests.benchmarks.intent_extras --seeds 0 1 2` adds the runs that the file
lacks.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from finetune.few_shot import learn
from finetune.heads import calibration_error
from finetune.heads_data import OWN, Row
from retrieval.encoder import TransformerEncoder
from tests.benchmarks.intent_few import COMMAND, said_by
from tests.benchmarks.intent_runs import finished, keep
from tests.benchmarks.intent_sets import rows

SET = "clinc150, 15 intents of a domain, 8 shots"
SHOTS, UNLABELLED, OTHERS, MOST = 8, 300, 100, 15  # rows of an intent; messages of the domain, and of others; intents
PLAIN, NUMBERED, SHORTER, TAUGHT = (
    "as given",
    "with numbers for names",
    "+ rows less a word",
    "+ messages without labels",
)
WAYS = (PLAIN, NUMBERED, SHORTER, TAUGHT)


@dataclass(frozen=True, slots=True)
class Domain:
    """One of clinc150's domains. taken: rows to learn from; rest: the others' texts, and those of other domains."""

    labels: list[str]
    taken: list[Row]
    rest: list[str]
    others: list[str]
    asked: list[dict[str, str]]


def domain_of(seed: int, rng: np.random.Generator, intents: int = MOST) -> Domain:
    """The seed's domain."""
    whole = [row for row in rows("clinc150/train") if row["intent"] != "oos"]
    domain = sorted({row["domain"] for row in whole})[seed]
    labels = sorted({row["intent"] for row in whole if row["domain"] == domain})[:intents]
    taken, rest, others = [], [], []
    count = Counter[str]()
    for i in rng.permutation(len(whole)):
        row = whole[i]
        if row["intent"] not in labels:
            others.append(row["text"])
        elif count[row["intent"]] < SHOTS:
            count[row["intent"]] += 1
            taken.append(Row(row["text"], row["intent"], OWN))
        else:
            rest.append(row["text"])
    return Domain(labels, taken, rest, others, [row for row in rows("clinc150/test") if row["intent"] in labels])


def extras(
    seed: int, encoder: TransformerEncoder, ways: Sequence[str] = WAYS, intents: int = MOST
) -> list[dict[str, Any]]:
    """Each of `ways` on the same rows. The domain is the seed's."""
    rng = np.random.default_rng(seed)
    made = domain_of(seed, rng, intents)
    labels, taken, asked = made.labels, made.taken, made.asked
    shorter = [Row(less, row.label, OWN) for row in taken if (less := _less(row.text, rng)) != row.text]
    numbered = [replace(row, label=f"{labels.index(row.label or ''):02}") for row in taken]
    given = {NUMBERED: numbered, SHORTER: [*taken, *shorter]}
    right = np.array([labels.index(row["intent"]) for row in asked])
    found = []
    for way in ways:
        messages = [*made.rest[:UNLABELLED], *made.others[:OTHERS]] if way == TAUGHT else []
        begun = time.process_time()
        learned = learn(encoder, given.get(way, taken), messages, seed=seed)
        spent = round(time.process_time() - begun, 1)
        chances = said_by(learned, encoder, [row["text"] for row in asked])
        hit = chances.argmax(axis=1) == right
        figures = {"accuracy": float(hit.mean()), "ece": calibration_error(chances, hit), "taught": len(learned.taught)}
        depth = 0 if learned.branch is None else len(learned.branch.branch.layers)
        found.append({"set": SET, "seed": seed, "depth": depth, "model": way, **figures, "seconds": spent})
    return found


def _less(text: str, rng: np.random.Generator) -> str:
    words = text.split()
    if len(words) > 1:
        words.pop(int(rng.integers(len(words))))
    return " ".join(words)


def extras_left(seed: int, encoder: TransformerEncoder) -> Iterator[list[dict[str, Any]]]:
    """What the kept runs lack, one after another."""
    done = {run["model"] for run in finished() if (run["set"], run["seed"]) == (SET, seed)}
    for way in WAYS:
        if way not in done:
            yield extras(seed, encoder, [way])


def command_of(way: str) -> str:
    """What the table calls it: contenders of the command go by their own names."""
    return COMMAND if way == PLAIN else f"{COMMAND} {way}" if way in WAYS else way


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    encoder = TransformerEncoder()
    for seed in parser.parse_args().seeds:
        for found in extras_left(seed, encoder):
            keep(found)


if __name__ == "__main__":
    main()
