"""Fits `agent/generation/support.py`: `python -m tests.benchmarks.fit_trust`. Prints the constants.

On sentences made from SQuAD 1.1 train (`claims.py`), every sixth article held out for the threshold.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

from agent.generation import alignment, support
from agent.generation.facts import broken_names, lacking_figures, lacking_names, names
from agent.generation.facts import figures as figures_of
from retrieval.encoder import Encoder, TransformerEncoder
from retrieval.passage import Passage
from tests.benchmarks.claims import ALTERED, KINDS, Made, made
from tests.benchmarks.squad import articles

EVERY = 9  # articles of SQuAD's 442
SIGNS = [1, 1, -1, -1, -1, -1, -1, -1, -1, 1, 1, -1, -1, -1, 1]  # of support.NAMES
LET_THROUGH = 0.01  # of altered sentences held out, the most that the threshold lets through


def fitted(x: NDArray[np.float64], y: NDArray[np.bool_], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logistic regression's weights, the bias last, none against the sense of its feature: SIGNS."""
    weight = weight * np.where(y, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    table, side = np.column_stack([x, np.ones(len(x))]), np.where(y, 1.0, -1.0)
    least = np.array([1.0] * x.shape[1] + [0.0])

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = side * (table @ weights)
        slope = table.T @ (-weight * side / (1 + np.exp(margin)))
        punished = least * weights
        return float((weight * np.logaddexp(0, -margin)).sum() + punished @ weights / 2), slope + punished

    bounds = [(0, None) if sign > 0 else (None, 0) for sign in SIGNS]
    bounds[support.NAMES.index("length")] = (-0.6, 0)  # short sentences are not truer, their words are fewer
    bounds[support.NAMES.index("denied_there")] = (None, -2.5)
    start = np.zeros(table.shape[1])
    start[support.NAMES.index("denied_there")] = -2.5
    found: NDArray[np.float64] = minimize(loss, start, jac=True, bounds=[*bounds, (None, None)], method="L-BFGS-B").x
    return found


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
            own, vectors = alignment.said([bare], encoder)
            table.append(support.features(bare, here, own, vectors[0]))
            lacking = lacking_figures(figures_of(bare), here.figures) or lacking_names(names(bare).certain, here.known)
            hard.append(bool(lacking or broken_names(bare, [unit.text for unit in here.units])))
            labels.append(each.is_true)
            kinds.append(each.kind)
            held_out.append(number % 6 == 5)
    x, y, kind = np.array(table), np.array(labels), np.array(kinds)
    is_out, missing = np.array(held_out), np.array(hard)
    fit = ~is_out & ~missing  # what lacks a number or a name is refused anyway
    weight = np.where(np.isin(kind, ALTERED), 2.0, 1.0)
    weights = fitted(x[fit], y[fit], weight[fit])
    score = 1 / (1 + np.exp(-(x @ weights[:-1] + weights[-1])))
    capped = np.where(missing, np.minimum(score, 0.01 * score), score)
    altered = np.sort(capped[is_out & np.isin(kind, ALTERED)])
    threshold = float(altered[int(np.ceil(len(altered) * (1 - LET_THROUGH))) - 1]) + 1e-3
    print(f"{len(y):,} sentences, {y.mean():.2f} true; AUROC held out {roc_auc_score(y[is_out], capped[is_out]):.4f}")
    print("WEIGHTS = np.array([", ", ".join(f"{value:.3f}" for value in weights[:-1]), "])")
    print(f"BIAS = {weights[-1]:.3f}\nHOLDS at {LET_THROUGH:.0%} of altered let through: {threshold:.3f}")
    for name, value in zip(support.NAMES, weights[:-1], strict=True):
        print(f"  {name:20} {value:+.3f}")
    for at in (threshold, 0.3, 0.4, 0.5, 0.6):
        shares = {each: np.mean(capped[is_out & (kind == each)] >= at) for each in KINDS}
        print(f"  shown at {at:.3f}: " + ", ".join(f"{name} {share:.3f}" for name, share in shares.items()))


if __name__ == "__main__":
    fit_support(TransformerEncoder())
