"""How well messages are understood where it counts: on sources that were absent from training.

Three kinds of evidence, next to a majority label and TF-IDF with logistic regression trained on the same rows: each
public source left out whole; the same sources' rows left out in folds (the easy figure that others report); and sources
and messages no head is ever trained on. Then the time that understanding adds to the bare encoder.
"""

import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline

from agent import surface
from agent.head import Inputs
from agent.message import Intent, Move, Understanding
from agent.policy import decide
from agent.understanding import Understander
from finetune.heads import (
    CAPS,
    FOLDS,
    LABELS,
    Figures,
    Logits,
    Unseen,
    embed,
    figures_of,
    fit,
    fit_temperature,
    left_out,
)
from finetune.heads_data import OWN, Kind, Row, held_out_rows, own_rows, shared_rows
from retrieval.encoder import Encoder, TransformerEncoder
from tests.benchmarks import Cell, Report

DATA = Path(os.environ.get("ATELIER_DATA", Path(__file__).parents[3] / "shared" / "data"))
MESSAGES = Path(__file__).parent / "team_messages.jsonl"
TWENTY_TOKENS = "hey, do we need a purchase order for a train ticket under 500 euros? finance is asking"
MOVES = {
    Intent.ASK: {Move.ANSWER},
    Intent.IDEATE: {Move.IDEATE},
    Intent.FEEDBACK: {Move.CAPTURE},
    Intent.COMPLAINT: {Move.CAPTURE, Move.ESCALATE, Move.ANSWER},
    Intent.HUMAN: {Move.ESCALATE},
    Intent.SMALL_TALK: {Move.CHAT},
    Intent.HELP: {Move.CHAT},
    Intent.OUT_OF_SCOPE: {Move.CHAT},
}
Learner = Callable[[list[int], list[int]], Logits]  # rows to train on, rows to label -> logits


class Bench:
    """One head's rows, and three learners that may be trained on any of them."""

    def __init__(self, kind: Kind, encoder: Encoder, trained: Sequence[Row], asked: Sequence[Row]) -> None:
        self.kind: Kind = kind
        self.rows = [*trained, *asked]
        self.trained = len(trained)
        texts = [row.text for row in self.rows]
        vectors = embed(encoder, texts, lambda _: None)
        self.inputs = Inputs.of(vectors, texts)
        no_features, no_grams = np.zeros((len(texts), len(surface.NAMES)), np.float32), np.empty(0, np.intp)
        self.bare = Inputs(np.hstack([vectors, no_features]), (no_grams,) * len(texts))
        self.learners: dict[str, Learner] = {
            "majority": self.majority,
            "TF-IDF + logistic": self.tfidf,
            "embedding alone": lambda train, ask: self.head(train, ask, self.bare),
            "Atelier": lambda train, ask: self.head(train, ask, self.inputs),
        }

    def head(self, train: list[int], ask: list[int], inputs: Inputs) -> Logits:
        return fit(self.kind, inputs.chosen(train), [self.rows[i] for i in train]).logits(inputs.chosen(ask))

    def tfidf(self, train: list[int], ask: list[int]) -> Logits:
        known = [i for i in train if self.rows[i].label is not None]
        features = FeatureUnion(
            [
                ("words", TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)),
                ("letters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)),
            ]
        )
        model = make_pipeline(features, LogisticRegression(C=10, class_weight="balanced", max_iter=1000))
        model.fit([self.rows[i].text for i in known], [self.rows[i].label for i in known])
        logs = model.predict_log_proba([self.rows[i].text for i in ask])
        result = np.full((len(ask), len(LABELS[self.kind])), -30.0)
        result[:, [LABELS[self.kind].index(label) for label in model.classes_]] = np.maximum(logs, -30)
        return result

    def majority(self, train: list[int], ask: list[int]) -> Logits:
        counts = Counter(self.rows[i].label for i in train if self.rows[i].label is not None)
        shares = np.array([counts[label] + 1e-9 for label in LABELS[self.kind]])
        return np.tile(np.log(shares / shares.sum()), (len(ask), 1))

    def figures(self) -> list[dict[str, Cell]]:
        """Every kind of evidence for every learner."""
        known = range(self.trained)
        sources = sorted({row.source for row in self.rows[: self.trained] if row.label is not None} - {OWN})
        by_source = {source: [i for i in known if self.rows[i].source == source] for source in sources}
        folds = np.random.default_rng(1).permutation(self.trained) % FOLDS
        found = []
        for name, learn in self.learners.items():
            temperature = self._temperature() if name == "Atelier" else 1.0
            for source in sources:
                rest = [i for i in known if self.rows[i].source != source]
                away = self._labelled(by_source[source])
                found.append(self._row(name, source, "source absent", away, learn(rest, away), temperature))
            said = np.empty((self.trained, len(LABELS[self.kind])))
            for fold in range(FOLDS):
                away = [i for i in known if folds[i] == fold]
                said[away] = learn([i for i in known if folds[i] != fold], away)
            for source in [*sources, OWN]:
                away = self._labelled([i for i in known if self.rows[i].source == source])
                found.append(self._row(name, source, "same source", away, said[away], temperature))
            asked = range(self.trained, len(self.rows))
            said = learn(list(known), list(asked)) if asked else said
            for source in sorted({self.rows[i].source for i in asked}):
                away = [i for i in asked if self.rows[i].source == source]
                logits = said[[i - self.trained for i in away]]
                found.append(self._row(name, source, "never trained on", away, logits, temperature))
        return found

    def _temperature(self) -> float:
        rows = self.rows[: self.trained]
        return fit_temperature(left_out(self.kind, self.inputs.chosen(range(self.trained)), rows, 0), LABELS[self.kind])

    def _labelled(self, chosen: Sequence[int]) -> list[int]:
        return [i for i in chosen if self.rows[i].label is not None]

    def _row(
        self, learner: str, source: str, evidence: str, away: list[int], logits: Logits, temperature: float
    ) -> dict[str, Cell]:
        part = Unseen(source, evidence, tuple(self.rows[i] for i in away), logits)
        result: Figures = figures_of(part, LABELS[self.kind], temperature)
        return {
            "head": self.kind,
            "evidence": evidence,
            "source": source,
            "model": learner,
            "rows": result.rows,
            "accuracy": round(result.accuracy, 3),
            "macro_f1": round(result.macro_f1, 3),
            "ece": round(result.ece, 3),
        }


def team_messages() -> list[Row]:
    rows = map(json.loads, MESSAGES.read_text("utf-8").splitlines())
    return [Row(row["text"], row["label"], f"team messages, {row['split']}") for row in rows]


def moves(understander: Understander, rows: Sequence[Row]) -> list[dict[str, Cell]]:
    """How often the shipped heads and the policy together make the right move, and how many questions they lose."""
    found: list[dict[str, Cell]] = []
    for source in sorted({row.source for row in rows}):
        part = [row for row in rows if row.source == source]
        understood = understander.understand_all([row.text for row in part])
        right = [_moves_right(row, it) for row, it in zip(part, understood, strict=True)]
        found.append(
            {
                "head": "policy",
                "evidence": "right move",
                "source": source,
                "model": "as shipped",
                "rows": len(part),
                "accuracy": round(statistics.mean(right), 3),
                "lost": sum(row.label == Intent.ASK and not hit for row, hit in zip(part, right, strict=True)),
            }
        )
    return found


def _moves_right(row: Row, understood: Understanding) -> bool:
    return decide(understood, text=row.text).move in MOVES[Intent(row.label or "")]


def times(encoder: Encoder, understander: Understander, repeats: int) -> list[dict[str, Cell]]:
    """Milliseconds for one message of 20 tokens, the two measured in turn."""
    bare, whole = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        encoder([TWENTY_TOKENS])
        middle = time.perf_counter()
        understander.understand(TWENTY_TOKENS)
        bare.append(middle - start)
        whole.append(time.perf_counter() - middle)
    base, full = statistics.median(bare) * 1e3, statistics.median(whole) * 1e3
    return [
        {"head": "both", "evidence": "time", "model": "bare encoder", "ms": round(base, 3)},
        {"head": "both", "evidence": "time", "model": "Atelier", "ms": round(full, 3), "ratio": round(full / base, 3)},
    ]


def run(quick: bool) -> Report:
    encoder = TransformerEncoder()
    understander = Understander(encoder)
    caps: dict[Kind, int] = {"intent": 40, "sentiment": 60} if quick else CAPS
    rows: list[dict[str, Cell]] = []
    messages = team_messages()
    for kind in LABELS:
        trained = own_rows(kind) + shared_rows(kind, DATA, cap=caps[kind], seed=0)
        taught = {row.text for row in trained}
        unseen = held_out_rows(kind, DATA, cap=caps[kind], seed=0) + (messages if kind == "intent" else [])
        asked = [row for row in unseen if row.text not in taught]
        rows += Bench(kind, encoder, trained, asked).figures()
        if kind == "intent":
            rows += moves(understander, asked)
    rows += times(encoder, understander, 20 if quick else 300)
    notes = [
        "source absent: trained on all other sources. same source: five folds over all rows together.",
        "never trained on: whole data sets, and team messages written by hand by the author of the training rows.",
        "Only 'fresh' is untouched: written and scored once, after all choices. 'second look' had .877 when new; then",
        "its errors led to similar training rows. 'development' was looked at all along. Figures of the held-out sets",
        "were seen while features and strengths were chosen, so they flatter a little.",
        "ece: calibration error, 10 bins; the temperature comes from left-out rows. macro_f1: over a source's labels.",
        "right move: accuracy counts a doubtful errand that is searched for as wrong. lost: questions not answered.",
        "sst and tweeteval_sentiment state no licence: they only measure. Labels are capped: a third is neutral.",
    ]
    if not DATA.is_dir():
        notes.append("The shared data sets are missing: only the project's own rows were measured.")
    return Report(
        "understanding", "Are messages understood on sources never trained on, and at what cost?", rows, notes
    )
