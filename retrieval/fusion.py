"""Words and vectors into one ranking, weighed per query by a small learned model.

No constant weight suits all questions: words win on encyclopedia questions, vectors on paraphrased FAQs. A network with
one hidden layer reads, for each candidate, both arms' scores and what the query's words do in the passage, and returns
the probability that the passage answers the query. It orders the passages and says when none of them answers.
`finetune/fusion.py` trains it; the weights lie beside this file with their provenance.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexCorrupt
from retrieval.overlap import BM25, HAS_LEAD, LENGTH, RAREST, Overlap, measure
from retrieval.passage import Ids, PassageSet, placed
from retrieval.words import Query, Snapshot, WordIndex, best, ordered

WEIGHTS = Path(__file__).with_name("fusion.json")
FEW = 256  # passages: so many are read whole sooner than the best are found by their words
CONSTANT = 0.5  # the weight of vectors where nothing was learned for the encoder
FEATURES = (
    *("cosine", "cosine_minmax", "cosine_margin", "cosine_rank", "best_cosine", "cosine_spread", "voted"),
    *("bm25_share", "bm25_minmax", "bm25_margin", "bm25_rank", "best_bm25", "bm25_spread"),
    *("coverage", "window", "lead", "lead_precision", "pairs", "rarest", "log_length", "has_lead"),
    *("log_words", "mean_idf", "unknown", "agreement", "blend"),
)

Row = NDArray[np.float64]
Table = NDArray[np.float32]
Weights = dict[str, list[float] | list[list[float]]]  # as JSON holds them


@dataclass(frozen=True, slots=True)
class Hits:
    """What one arm found, best first. scores: (m,), BM25 or cosine. ids: (m,)."""

    scores: NDArray[np.floating]
    ids: Ids


NOTHING = Hits(np.zeros(0, np.float32), np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True)
class Worded:
    """What the words arm found: passages `ids` (m,) among which the best `count` are. parsed: as `snapshot` knows it.

    How good each is, is read together with what the vectors find (`fuse`).
    """

    snapshot: Snapshot
    parsed: Query
    ids: Ids
    count: int

    @classmethod
    def found(cls, index: WordIndex, query: str, count: int, allowed: PassageSet | None = None) -> Self:
        """Search the words of `query` for the best `count` of the `allowed` passages."""
        snapshot = index.snapshot
        parsed = index.parse(query, snapshot)
        if allowed is not None and len(allowed) <= FEW:
            return cls(snapshot, parsed, allowed.ids, count)
        return cls(snapshot, parsed, best(snapshot, parsed, count, allowed), count)

    def beside(self, others: Ids) -> tuple[Ids, Overlap, int]:
        """The best `count` and, after them, those of the `others` (distinct) that are not among them.

        Their overlap in that order, and how many are the words arm's own.
        """
        ids = self.ids
        if len(others):
            order = ids.argsort()
            places, here = placed(ids[order], others) if len(ids) else (others, np.zeros(len(others), bool))
            at = np.empty(len(others), np.int64)
            at[here] = order[places[here]]
            at[~here] = len(ids) + np.arange(np.count_nonzero(~here))
            ids = np.concatenate((ids, others[~here]))
        overlap = measure(self.snapshot, self.parsed, ids)
        chosen = ordered(overlap.rows[BM25, : len(self.ids)], self.ids, self.count)
        own = len(chosen)
        if len(others):
            is_own = np.zeros(len(ids), bool)
            is_own[chosen] = True
            chosen = np.concatenate((chosen, at[~is_own[at]]))
        return ids[chosen], overlap.take(chosen), own


@dataclass(frozen=True, slots=True)
class Fused:
    """Best first.

    ids: (n,). scores: (n,) in 0..1: the probability that the passage answers the query where a learned model ranked
    (calibrated), else a plain blend of both arms that says nothing about answering. similarities: (n,) cosine, nan for
    passages that only words found. worded: how many of them words found.
    """

    ids: Ids
    scores: Row
    similarities: Row
    calibrated: bool
    worded: int


@dataclass(frozen=True, slots=True)
class Fusion:
    """logit = relu(((x - mean) / scale) @ w1 + b1) @ w2 + b2. mean, scale: (f,); w1: (f, h); b1, w2: (h,)."""

    mean: Table
    scale: Table
    w1: Table
    b1: Table
    w2: Table
    b2: float

    @classmethod
    def of(cls, weights: Weights) -> Self:
        arrays = {name: np.array(weights[name], dtype=np.float32) for name in ("mean", "scale", "w1", "b1", "w2")}
        return cls(**arrays, b2=float(np.asarray(weights["b2"])[0]))

    def logits(self, table: Table) -> Row:
        hidden = np.maximum(((table - self.mean) / self.scale) @ self.w1 + self.b1, 0)
        result: Row = (hidden @ self.w2 + self.b2).astype(np.float64)
        return result


@cache
def learned(encoder: str, path: Path = WEIGHTS) -> Fusion | None:
    """The fusion trained with this encoder id (another encoder's cosines mean something else), else None.

    Raises IndexCorrupt when the file is there and is not a fusion of these features.
    """
    if not path.exists():
        return None
    try:
        stored = json.loads(path.read_text("utf-8"))
        if stored["encoder"] != encoder:
            return None
        if tuple(stored["features"]) != FEATURES:
            raise ValueError("other features")  # noqa: TRY301 - same remedy as a damaged file
        return Fusion.of(stored["weights"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexCorrupt(f"{path.name} holds no fusion weights ({error}). Train them again or reinstall.") from error


def fuse(words: Worded, vectors: Hits, *, spoken: float = 1.0, model: Fusion | None = None) -> Fused:
    """Both arms' passages in one order. At least 100 hits an arm are worth giving.

    spoken: how well the encoder speaks the query's language, 0..1 (`retrieval.language`): at 0 vectors have no vote.
    """
    near = vectors if spoken > 0 else NOTHING
    ids, overlap, own = words.beside(near.ids)
    similarities = np.full(len(ids), np.nan)
    if len(near.ids):
        order = near.ids.argsort()
        places, here = placed(near.ids[order], ids)
        similarities[here] = near.scores[order[places[here]]]
    if not len(ids):
        return Fused(ids, similarities, similarities, model is not None, own)
    if model is None:
        scores = blend(overlap.rows[BM25], similarities, spoken * CONSTANT)
    else:
        logits = spoken * model.logits(features(overlap, similarities)) if spoken > 0 else np.zeros(len(ids))
        if spoken < 1:
            logits += (1 - spoken) * model.logits(features(overlap, np.full(len(ids), np.nan)))
        scores = 1 / (1 + np.exp(-logits))
    order = np.lexsort((ids, -scores))
    return Fused(ids[order], scores[order], similarities[order], model is not None, own)


def blend(bm25: Row, similarities: Row, weight: float) -> Row:
    """Min-max scores of both arms, `weight` on vectors (nan: not found, as bad as the worst found)."""
    blended: Row = (1 - weight) * bm25 / max(bm25.max(initial=0), 1e-9) + weight * _minmax(similarities)
    return blended


def features(overlap: Overlap, similarities: Row) -> Table:
    """What the model reads of each of n candidates, (n, len(FEATURES)), n > 0.

    similarities: (n,), nan where vectors did not find the passage; all nan when they did not vote.
    """
    found = np.isfinite(similarities)
    voted = bool(found.any())
    cosine = np.where(found, similarities, similarities[found].min()) if voted else np.zeros(len(found))
    scaled = _minmax(similarities) if voted else cosine
    bm25, mass = overlap.rows[BM25], max(overlap.mass, 1e-9)
    worded = bm25 / max(bm25.max(), 1e-9)
    cosine_rank, cosine_first, cosine_tenth, cosine_margin = _ranking(cosine)
    bm25_rank, bm25_first, bm25_tenth, bm25_margin = _ranking(bm25)
    both = np.count_nonzero((cosine_rank < 10) & (bm25_rank < 10)) if voted else 0
    columns: tuple[Row | float, ...] = (
        *(cosine, scaled, cosine_margin, np.log1p(cosine_rank) if voted else 0.0),
        *(cosine_first, cosine_first - cosine_tenth, float(voted)),
        *(bm25 / mass, worded, bm25_margin / mass, np.log1p(bm25_rank)),
        *(bm25_first / mass, (bm25_first - bm25_tenth) / mass),
        *overlap.rows[BM25 + 1 : RAREST + 1],
        *(np.log1p(overlap.rows[LENGTH]), overlap.rows[HAS_LEAD]),
        *(np.log1p(overlap.count), overlap.mass / max(overlap.count, 1), overlap.unknown),
        *(both / min(len(found), 10), (1 - CONSTANT) * worded + CONSTANT * scaled if voted else worded),
    )
    table = np.empty((len(FEATURES), len(found)), dtype=np.float32)
    for i, column in enumerate(columns):
        table[i] = column
    return table.T


def _minmax(similarities: Row) -> Row:
    finite = np.isfinite(similarities)
    if not finite.any():
        return np.zeros(len(similarities))
    low, high = similarities[finite].min(), similarities[finite].max()
    if high - low < 1e-9:  # one passage, or copies of one: all are the best
        return finite.astype(np.float64)
    scaled: Row = (np.where(finite, similarities, low) - low) / (high - low)
    return scaled


def _ranking(scores: Row) -> tuple[Row, float, float, Row]:
    """Ranks from 0, (n,); the best and the tenth score; and how far each is behind the best, (n,).

    For the best itself: how far it is ahead of the second, or of nothing when it is alone.
    """
    order = np.argsort(-scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(len(scores))
    best = scores[order[0]]
    margin: Row = scores - best
    margin[order[0]] = best - scores[order[1]] if len(scores) > 1 else max(best, 0)
    return ranks, float(best), float(scores[order[min(len(scores), 10) - 1]]), margin
