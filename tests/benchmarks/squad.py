"""SQuAD as a benchmark's evidence: articles, their passages and questions (Rajpurkar et al. 2016, 2018)."""

import gzip
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bm25s
import numpy as np

from retrieval.encoder import Encoder
from retrieval.passage import Passage, Vectors
from retrieval.tokens import words

DATA = Path(os.environ.get("ATELIER_DATA", Path(__file__).parents[3] / "shared" / "data"))


@dataclass(frozen=True)
class Asked:
    text: str
    passage: int  # the passage it was written for
    answers: tuple[str, ...]  # empty: that passage does not answer it


@dataclass
class Article:
    title: str
    texts: dict[int, str] = field(default_factory=dict)
    questions: list[Asked] = field(default_factory=list)

    def passages_for(self, question: Asked, k: int, *, hide_gold: bool = False) -> tuple[Passage, ...]:
        """The `k` passages of the article whose words fit best (BM25), on wish without the gold one."""
        ids = list(self.texts)
        scores = self._index.get_scores(words(question.text) or ["?"])
        ranked = [ids[i] for i in sorted(range(len(ids)), key=lambda i: -scores[i])]
        chosen = [i for i in ranked if i != question.passage][:k] if hide_gold else ranked[:k]
        # A score of 0.5 and a low cosine say nothing, so that the reader is measured and not the search.
        return tuple(
            Passage(
                i, self.texts[i], f"{self.title}.txt", self.title.replace("_", " "), None, 1, "t/everyone", 0.5, 0.2
            )
            for i in chosen
        )

    @property
    def _index(self) -> bm25s.BM25:
        if not hasattr(self, "_cached"):
            self._cached = bm25s.BM25()
            self._cached.index([words(text) for text in self.texts.values()], show_progress=False)
        return self._cached


def articles(split: str) -> list[Article]:
    """The articles of a split. Raises FileNotFoundError without the shared data."""
    found: dict[str, Article] = {}
    numbers: dict[str, tuple[int, Article]] = {}
    for number, row in enumerate(_rows(f"squad/{split}.passages")):
        article = found.setdefault(row["title"], Article(row["title"]))
        article.texts[number] = row["text"]
        numbers[row["pid"]] = number, article
    for row in _rows(f"squad/{split}.questions"):
        number, article = numbers[row["pid"]]
        answers = () if row.get("is_impossible") else tuple({answer["text"] for answer in row["answers"]})
        article.questions.append(Asked(row["question"], number, answers))
    return list(found.values())


class Cached:
    """An encoder that encodes each text once: the same sentences are read for many questions."""

    def __init__(self, encoder: Encoder, texts: Iterable[str] = ()) -> None:
        self._encoder = encoder
        self.dim, self.id = encoder.dim, encoder.id
        self._known: dict[str, Vectors] = {}
        self(list(texts))

    def __call__(self, texts: Sequence[str]) -> Vectors:
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        self._known.update(zip(new, self._encoder(new), strict=True))
        return np.array([self._known[text] for text in texts], dtype=np.float32).reshape(len(texts), self.dim)

    def count_tokens(self, text: str) -> int:
        return self._encoder.count_tokens(text)


def _rows(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)
