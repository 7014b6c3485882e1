"""Fits `agent/generation/support.py` and `agent/support/matching.py`: `python -m tests.benchmarks.fit_trust`.

Support: on sentences made from SQuAD 1.1 train (`claims.py`), every sixth article held out for the threshold. Matching:
on every other reworded question of covid_faq (the benchmark measures on the rest), against books of all sizes with and
without its own entry, and on SQuAD's training questions against others of the same passage. Prints the constants.
"""

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
from retrieval.passage import Passage, Vectors
from tests.benchmarks.claims import ALTERED, KINDS, Made, made
from tests.benchmarks.faq import LIKE, faq_entries, faq_pairs
from tests.benchmarks.squad import articles

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
            lacking = lacking_figures(figures_of(bare), here.figures) or lacking_names(names(bare).certain, here.known)
            hard.append(bool(lacking))
            labels.append(each.is_true)
            kinds.append(each.kind)
            held_out.append(number % 6 == 5)
    x, y, kind = np.array(table), np.array(labels), np.array(kinds)
    is_out, missing = np.array(held_out), np.array(hard)
    fit = ~is_out & ~missing  # what lacks a number or a name is refused anyway
    weight = np.where(np.isin(kind, ALTERED), 2.0, 1.0)
    model = LogisticRegression(C=1.0, max_iter=5000, class_weight="balanced").fit(x[fit], y[fit], weight[fit])
    score = model.predict_proba(x)[:, 1]
    capped = np.where(missing, np.minimum(score, 0.01 * score), score)
    altered = np.sort(capped[is_out & np.isin(kind, ALTERED)])
    threshold = float(altered[int(np.ceil(len(altered) * (1 - LET_THROUGH))) - 1]) + 1e-3
    print(f"{len(y):,} sentences, {y.mean():.2f} true; AUROC held out {roc_auc_score(y[is_out], capped[is_out]):.4f}")
    print("WEIGHTS = np.array([", ", ".join(f"{value:.3f}" for value in model.coef_[0]), "])")
    print(f"BIAS = {model.intercept_[0]:.3f}\nHOLDS at {LET_THROUGH:.0%} of altered let through: {threshold:.3f}")
    for name, value in zip(support.NAMES, model.coef_[0], strict=True):
        print(f"  {name:20} {value:+.3f}")
    for at in (threshold, 0.3, 0.4, 0.5, 0.6):
        shares = {each: np.mean(capped[is_out & (kind == each)] >= at) for each in KINDS}
        print(f"  shown at {at:.3f}: " + ", ".join(f"{name} {share:.3f}" for name, share in shares.items()))


Asked = tuple[NDArray[np.float64], list[bool]]


def faq_rows(encoder: Encoder) -> list[Asked]:
    """For every other reworded question the nearest entries of books of any size, with and without its own."""
    chance = random.Random(1)
    pairs = faq_pairs()[::2]
    entries = faq_entries()
    questions = list(entries)
    vectors, known = encoder(questions), [matching.read(each) for each in questions]
    found = []
    for (gold, other), vector in zip(pairs, encoder([other for _, other in pairs]), strict=True):
        place = questions.index(gold)
        like = set(np.flatnonzero(vectors @ vectors[place] >= LIKE)) | {place}
        others = [i for i in range(len(questions)) if i not in like]
        for size in (len(others),):
            for own in ([place], []):
                kept = [*own, *chance.sample(others, size)]
                found.append(_row(other, vector, [known[i] for i in kept], vectors[kept], [i == place for i in kept]))
    return found


def other_questions(encoder: Encoder) -> list[Asked]:
    """Questions of SQuAD's training passages against others of the same passage: near, and never the same."""
    found = []
    for article in articles("train_v1.1")[3::60]:
        here: dict[int, list[str]] = {}
        for asked in article.questions:
            here.setdefault(asked.passage, []).append(asked.text)
        for texts in [each for each in here.values() if len(each) > 4][:25]:
            vectors = encoder(texts)
            known = [matching.read(text) for text in texts[1:]]
            found.append(_row(texts[0], vectors[0], known, vectors[1:], [False] * len(known)))
    return found


def _row(
    text: str, vector: Vectors, known: Sequence[matching.Phrasing], vectors: Vectors, right: Sequence[bool]
) -> Asked:
    cosines = (vectors @ vector).astype(np.float64)
    near = np.argsort(-cosines)[: matching.NEAR]
    return matching.features(matching.read(text), known, cosines, near), [right[i] for i in near]


def fit_matching(encoder: Encoder) -> None:
    rows = [*faq_rows(encoder), *other_questions(encoder)]
    x, y = np.vstack([each for each, _ in rows]), np.concatenate([np.array(each) for _, each in rows])
    model = LogisticRegression(C=10.0, max_iter=5000).fit(x, y)
    print(f"{len(rows):,} questions, {len(y):,} entries, {y.mean():.3f} right")
    print("WEIGHTS = np.array([", ", ".join(f"{value:.3f}" for value in model.coef_[0]), "])")
    print(f"BIAS = {model.intercept_[0]:.3f}")
    for name, value in zip(matching.NAMES, model.coef_[0], strict=True):
        print(f"  {name:20} {value:+.3f}")
    scores = [model.predict_proba(each)[:, 1] for each, _ in rows]
    best = [int(np.argmax(each)) for each in scores]
    pairs = zip(scores, best, strict=True)
    _thresholds([float(each[i]) for each, i in pairs], [right[i] for (_, right), i in zip(rows, best, strict=True)])


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
