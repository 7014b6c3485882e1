"""Fits `agent/generation/support.py` and `agent/support/matching.py`: `python -m tests.benchmarks.fit_trust`.

Support: on sentences made from SQuAD 1.1 train (`claims.py`), every sixth article held out for the threshold. Matching:
on banking77 and clinc150 train, where the same intent stands for the same question and half of the intents have no
entry; the intents of even number fit, the others choose the threshold. Prints the constants to paste.
"""

import gzip
import json
import random
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from agent.generation import support
from agent.generation.facts import figures as figures_of
from agent.generation.facts import lacking_figures, lacking_names, names
from agent.support import matching
from retrieval.encoder import Encoder, TransformerEncoder
from retrieval.passage import Passage
from tests.benchmarks.claims import ALTERED, KINDS, Made, made
from tests.benchmarks.squad import DATA, articles

EVERY = 9  # articles of SQuAD's 442
LET_THROUGH = 0.01  # of altered sentences held out, the most that the threshold lets through


def evidence(each: Made, encoder: Encoder) -> support.Evidence:
    return support.read(Passage(1, each.passage, "", "", None, None, "t/everyone", 1.0), encoder)


def fit_support(encoder: Encoder) -> None:
    chosen = articles("train_v1.1")[::EVERY]
    table, labels, kinds, hard, held_out = [], [], [], [], []
    for number, article in enumerate(chosen):
        read: dict[str, support.Evidence] = {}
        for each in made([article, chosen[number - 1]], 12, number):
            if each.passage not in article.texts.values():
                continue
            read.setdefault(each.passage, evidence(each, encoder))
            here, bare = read[each.passage], support.stripped(each.text)
            table.append(support.features(bare, here, encoder([bare])[0]))
            missing = lacking_figures(figures_of(bare), here.figures) or lacking_names(names(bare).certain, here.known)
            hard.append(bool(missing))
            labels.append(each.is_true)
            kinds.append(each.kind)
            held_out.append(number % 6 == 5)
    x, y, kind = np.array(table), np.array(labels), np.array(kinds)
    out, missing = np.array(held_out), np.array(hard)
    fit = ~out & ~missing  # what lacks a number or a name is refused anyway
    weight = np.where(np.isin(kind, ALTERED), 2.0, 1.0)
    model = LogisticRegression(C=1.0, max_iter=5000, class_weight="balanced").fit(x[fit], y[fit], weight[fit])
    score = model.predict_proba(x)[:, 1]
    capped = np.where(missing, np.minimum(score, 0.01 * score), score)
    altered = np.sort(capped[out & np.isin(kind, ALTERED)])
    threshold = float(altered[int(np.ceil(len(altered) * (1 - LET_THROUGH))) - 1]) + 1e-3
    print(f"{len(y):,} sentences, {y.mean():.2f} true; AUROC held out {roc_auc_score(y[out], capped[out]):.4f}")
    print("WEIGHTS = np.array([", ", ".join(f"{value:.3f}" for value in model.coef_[0]), "])")
    print(f"BIAS = {model.intercept_[0]:.3f}\nHOLDS at {LET_THROUGH:.0%} of altered let through: {threshold:.3f}")
    for name, value in zip(support.NAMES, model.coef_[0], strict=True):
        print(f"  {name:20} {value:+.3f}")
    for at in (threshold, 0.3, 0.4, 0.5, 0.6):
        shares = {each: np.mean(capped[out & (kind == each)] >= at) for each in KINDS}
        print(f"  shown at {at:.3f}: " + ", ".join(f"{name} {share:.3f}" for name, share in shares.items()))


def intents(name: str, label: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with gzip.open(DATA / f"{name}/train.jsonl.gz", "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            found.setdefault(row[label], []).append(row["text"])
    return found


def asked(
    groups: dict[str, list[str]], encoder: Encoder, seed: int, count: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """For each question its nearest entries: features, whether it is the same intent, and the question's number."""
    chance = random.Random(seed)
    names_of = [name for name in sorted(groups) if name != "oos"]
    there = [name for name in names_of if chance.random() < 0.5]
    entries = [(name, text) for name in there for text in chance.sample(groups[name], 3)]
    questions = [(name, text) for name in names_of for text in chance.sample(groups[name], 8)]
    questions = chance.sample([each for each in questions if each not in entries], count)
    known = [matching.read(text) for _, text in entries]
    vectors = encoder([text for _, text in entries])
    queries = encoder([text for _, text in questions])
    rows, labels, owners = [], [], []
    for number, ((name, text), vector) in enumerate(zip(questions, queries, strict=True)):
        cosines = (vectors @ vector).astype(np.float64)
        near = np.argsort(-cosines)[: matching.NEAR]
        ids = [entry for entry, _ in entries]
        rows.append(matching.features(matching.read(text), known, cosines, ids, near))
        labels += [ids[place] == name for place in near]
        owners += [number] * len(near)
    return np.vstack(rows), np.array(labels), np.array(owners)


def fit_matching(encoder: Encoder) -> None:
    fitted, chosen = [], []
    for name, label in (("banking77", "intent"), ("clinc150", "intent")):
        groups = intents(name, label)
        for part, into in ((0, fitted), (1, chosen)):
            half = {each: groups[each] for place, each in enumerate(sorted(groups)) if place % 2 == part}
            into += [asked(half, encoder, seed, 250) for seed in range(3)]
    x, y = np.vstack([each[0] for each in fitted]), np.concatenate([each[1] for each in fitted])
    model = LogisticRegression(C=1.0, max_iter=5000).fit(x, y)
    print("WEIGHTS = np.array([", ", ".join(f"{value:.3f}" for value in model.coef_[0]), "])")
    print(f"BIAS = {model.intercept_[0]:.3f}")
    for name, value in zip(matching.NAMES, model.coef_[0], strict=True):
        print(f"  {name:20} {value:+.3f}")
    best, right = [], []
    for rows, labels, owners in chosen:
        score = model.predict_proba(rows)[:, 1]
        for owner in np.unique(owners):
            here = np.flatnonzero(owners == owner)
            top = here[np.argmax(score[here])]
            best.append(score[top])
            right.append(labels[top])
    _thresholds(best, right)


def _thresholds(best: Sequence[float], right: Sequence[bool]) -> None:
    score, is_right = np.array(best), np.array(right)
    for at in (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95):
        said = score >= at
        print(f"  at {at:.2f}: answered {said.mean():.3f}, of these wrong {1 - is_right[said].mean():.3f}")


if __name__ == "__main__":
    loaded = TransformerEncoder()
    if "matching" not in sys.argv[1:]:
        fit_support(loaded)
    if "support" not in sys.argv[1:]:
        fit_matching(loaded)
