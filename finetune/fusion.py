"""Train the fusion of words and vectors (`retrieval/fusion.py`) on questions whose answering passages are known.

Every question is searched with both arms, as in the product; the model learns which candidate answers it. For some
questions the answering passages are taken away, so that the probability also says "nothing here answers"; for some the
vectors are taken away, so that one model serves languages that the encoder does not speak.
"""

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finetune.fusion_data import LICENCES, Pool, cuttings, load_pools
from finetune.measures import auroc
from retrieval.encoder import Encoder
from retrieval.files import write_atomically
from retrieval.fusion import FEATURES, Fusion, Hits, Weights, features
from retrieval.overlap import measure
from retrieval.passage import Vectors
from retrieval.words import WordIndex

if TYPE_CHECKING:
    from torch import Tensor

ARM = 100  # candidates an arm
ROWS = 48  # candidates a question trains on: the likely ones teach, the others only cost time
HIDDEN = 24
EPOCHS, BATCH = 20, 128
REMOVED, MUTED, HELD_OUT = 0.25, 0.2, 0.15  # shares of questions without their passages, without vectors, for figures

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Examples:
    """q questions with up to ROWS candidates each.

    table: (q, ROWS, features). answers, real: (q, ROWS), which candidates answer, which are there at all. pool: (q,)
    the pool's number.
    """

    table: NDArray[np.float32]
    answers: NDArray[np.bool_]
    real: NDArray[np.bool_]
    pool: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the best candidate's probability, on held-out questions.

    first: per pool, how often the best candidate answers, where one does. refusal: AUROC, answerable against not.
    calibration: expected calibration error over ten bins (Guo et al. 2017).
    """

    first: dict[str, float]
    refusal: float
    calibration: float


def train_fusion(
    data: Path, out: Path, encoder: Encoder, *, seed: int = 0, size: int = 2500, progress: Progress = lambda _: None
) -> Figures:
    """Train on the sets in `data` and write the weights with their provenance to `out`; same seed, same weights.

    Raises UnreadableFile when a set is missing, OSError when `out` cannot be written.
    """
    pools = load_pools(data, seed, size=size)
    parts = []
    for number, pool in enumerate(pools):
        progress(f"reading {pool.name}: {len(pool.passages)} passages, {len(pool.questions)} questions")
        passages, questions = encoder(pool.passages), encoder(pool.questions)
        parts.append(examples(pool, number, passages, questions, seed))
        for small, kept, asked in cuttings(pool, seed + number, count=size // 25):
            parts.append(examples(small, len(pools), passages[kept], questions[asked], seed))
    every = Examples(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("table", "answers", "real", "pool"))
    )
    held_out = np.random.default_rng(seed).random(len(every.pool)) < HELD_OUT
    progress(f"training on {np.count_nonzero(~held_out)} questions")
    weights = fit(_select(every, ~held_out), seed, progress)
    figures = judge(weights, _select(every, held_out), [*(pool.name for pool in pools), "small"])
    content = {
        "about": "Trained by finetune/fusion.py for retrieval/fusion.py, on questions of the data sets named here.",
        "encoder": encoder.id,
        "trained": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "seed": seed,
        "data": LICENCES,
        "held_out": {"first": figures.first, "refusal": figures.refusal, "calibration": figures.calibration},
        "features": FEATURES,
        "weights": weights,
    }
    write_atomically(out, json.dumps(content, indent=1).encode())
    return figures


def examples(pool: Pool, number: int, passages: Vectors, questions: Vectors, seed: int) -> Examples:
    """Search every question of `pool` with both arms and read its candidates' features."""
    chance = np.random.default_rng([seed, number, *map(len, pool.questions)])
    index = WordIndex()
    index.add(np.arange(len(pool.passages)), pool.passages)
    q = len(pool.questions)
    table = np.zeros((q, ROWS, len(FEATURES)), dtype=np.float32)
    answers, real = np.zeros((q, ROWS), dtype=bool), np.zeros((q, ROWS), dtype=bool)
    for i, question in enumerate(pool.questions):
        gold = np.array(sorted(pool.answers[i]), dtype=np.int64)
        gone = gold if chance.random() < REMOVED else gold[:0]
        muted = chance.random() < MUTED
        words = _without(Hits(*index.search(question, ARM + len(gone))), gone)
        vectors = _without(_nearest(questions[i], passages, 0 if muted else ARM + len(gone)), gone)
        ids = np.union1d(words.ids, vectors.ids)
        if not len(ids):
            continue
        similarities = np.full(len(ids), np.nan)
        similarities[np.searchsorted(ids, vectors.ids)] = vectors.scores
        snapshot = index.snapshot
        read = features(measure(snapshot, index.parse(question, snapshot), ids), similarities)
        likely = np.argsort(-read[:, FEATURES.index("blend")], kind="stable")
        first = np.minimum(read[:, FEATURES.index("cosine_rank")], read[:, FEATURES.index("bm25_rank")])
        chosen = np.union1d(likely[: ROWS // 2], np.argsort(first, kind="stable")[: ROWS // 2])
        here = np.isin(ids[chosen], gold)
        table[i, : len(chosen)], answers[i, : len(chosen)], real[i, : len(chosen)] = read[chosen], here, True
    some = real.any(axis=1)
    return Examples(table[some], answers[some], real[some], np.full(np.count_nonzero(some), number))


def fit(data: Examples, seed: int, progress: Progress = lambda _: None) -> Weights:
    """Weights that `Fusion.of` takes.

    The loss has two parts on one logit: each candidate's cross-entropy makes it a probability, a softmax over the
    candidates of a question makes it rank.
    """
    import torch

    torch.manual_seed(seed)
    rows = data.table[data.real]
    mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-3
    inputs = torch.from_numpy((data.table - mean) / scale)
    answers, real = torch.from_numpy(data.answers), torch.from_numpy(data.real)
    share = 1 / np.sqrt(np.bincount(data.pool)[data.pool])  # a large pool teaches more, but does not drown a small one
    importance = torch.from_numpy((share / share.mean()).astype(np.float32))
    first, second = torch.nn.Linear(len(FEATURES), HIDDEN), torch.nn.Linear(HIDDEN, 1)
    parameters = [*first.parameters(), *second.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=5e-3, weight_decay=1e-3)
    steps = EPOCHS * -(-len(inputs) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps)
    for epoch in range(EPOCHS):
        total = 0.0
        for chosen in torch.split(torch.randperm(len(inputs)), BATCH):
            logits = second(torch.relu(first(inputs[chosen]))).squeeze(-1)
            loss = (_loss(logits, answers[chosen], real[chosen]) * importance[chosen]).mean()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(chosen)
        progress(f"epoch {epoch + 1} of {EPOCHS}: loss {total / len(inputs):.4f}")
    return {
        "mean": _rounded(mean),
        "scale": _rounded(scale),
        "w1": _rounded(first.weight.detach().T.numpy()),
        "b1": _rounded(first.bias.detach().numpy()),
        "w2": _rounded(second.weight.detach()[0].numpy()),
        "b2": _rounded(second.bias.detach().numpy()),
    }


def judge(weights: Weights, data: Examples, names: Sequence[str]) -> Figures:
    """Figures on examples that `fit` did not see."""
    model = Fusion.of(weights)
    logits = model.logits(data.table.reshape(-1, len(FEATURES))).reshape(data.real.shape)
    logits[~data.real] = -np.inf
    best = logits.argmax(axis=1)
    right = data.answers[np.arange(len(best)), best]
    probability = 1 / (1 + np.exp(-logits.max(axis=1)))
    able = np.asarray(data.answers.any(axis=1))
    first = {
        name: round(float(right[(data.pool == i) & able].mean()), 4)
        for i, name in enumerate(names)
        if ((data.pool == i) & able).any()
    }
    bins = np.minimum((probability * 10).astype(int), 9)
    gaps = [abs(probability[bins == b].mean() - right[bins == b].mean()) * np.mean(bins == b) for b in np.unique(bins)]
    return Figures(first, round(auroc(probability, able), 4), round(float(sum(gaps)), 4))


def _loss(logits: "Tensor", answers: "Tensor", real: "Tensor") -> "Tensor":
    """(q,) from (q, ROWS) each."""
    import torch

    each = torch.nn.functional.binary_cross_entropy_with_logits(logits, answers.float(), reduction="none")
    pointwise = (each * real).sum(1)
    shown = logits.masked_fill(~real, -1e4)
    right = torch.logsumexp(shown.masked_fill(~answers, -1e4), 1)
    listwise = (torch.logsumexp(shown, 1) - right) * answers.any(1)
    return pointwise + listwise


def _rounded(weights: NDArray[np.float32]) -> Any:
    return np.round(weights.astype(np.float64), 6).tolist()


def _nearest(question: NDArray[np.float32], passages: Vectors, k: int) -> Hits:
    scores = passages @ question
    best = np.argsort(-scores, kind="stable")[:k]
    return Hits(scores[best], best)


def _without(hits: Hits, gone: NDArray[np.int64]) -> Hits:
    kept = ~np.isin(hits.ids, gone)
    return Hits(hits.scores[kept], hits.ids[kept])


def _select(data: Examples, chosen: NDArray[np.bool_]) -> Examples:
    return Examples(data.table[chosen], data.answers[chosen], data.real[chosen], data.pool[chosen])
