"""How well the words of a question are met by a sentence and what stands around it, each in its context. Pure.

A question may be near a sentence in meaning and still ask for something else, for one word: another name, another
number, the opposite. So each of its words is looked for by itself among the words of the sentence (late interaction:
Khattab & Zaharia 2020), weighted by how little any sentence meets it: what all passages are about tells nothing apart.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.generation.facts import is_negated
from agent.reading.lexicon import GRAMMAR, OPPOSITES
from retrieval.encoder import States
from retrieval.passage import Vectors

NAMES = (
    "met", "met_apart", "met_around", "unmet", "unmet_around", "name_unmet", "name_unmet_around", "name_lacks",
    "number_lacks", "number_lacks_around", "theirs_met", "opposite", "negation", "grammar_met",
)  # fmt: skip
PRIOR, COMMON = 6.0, 0.35  # sentences that few ones are filled up with, in which a word is met this well
_NAME = re.compile(r"(?<!^)(?<![\w'-])[A-ZÄÖÜ][\w'’-]*|(?<![\w.,])\d[\d.,]*")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Words:
    """A text's words in order. vectors: of each in its context, unit rows, (n, dim)."""

    text: str
    words: tuple[str, ...]
    vectors: Vectors
    is_negated: bool

    @classmethod
    def of(cls, texts: Sequence[str], states: States, layer: int) -> "list[Words]":
        found = []
        for text, row, spans in zip(texts, states.layers[layer], states.offsets, strict=True):
            starts = np.array([start if end > start else -1 for start, end in spans])
            said, vectors = [], []
            for word in _WORD.finditer(text):
                own = np.flatnonzero((starts >= word.start()) & (starts < word.end()))
                if len(own):  # else beyond what the encoder reads
                    mean = row[own].mean(0)
                    said.append(word[0].lower())
                    vectors.append(mean / max(float(np.linalg.norm(mean)), 1e-6))
            made = np.array(vectors, np.float32).reshape(len(said), row.shape[-1])
            found.append(cls(text, tuple(said), made, is_negated(text)))
        return found


def features(question: Words, passages: Sequence[Sequence[Words]], headings: Sequence[Words]) -> Floats:
    """A row for each sentence of all passages in order, (sentences, len(NAMES))."""
    flat = [unit for here in passages for unit in here]
    if not flat or not question.words:
        return np.zeros((len(flat), len(NAMES)))
    best = np.array([_best(question, unit) for unit in flat])  # (sentences, our words)
    usual = (best.sum(0) + PRIOR * COMMON) / (len(flat) + PRIOR)
    topic = np.array([word not in GRAMMAR for word in question.words])
    weight = np.maximum(1 - usual, 0.05) * np.where(topic, 1.0, 0.1)
    weight /= weight.sum()
    scale = np.sqrt(max(int(topic.sum()), 1))
    named = {part.lower() for found in _NAME.findall(question.text) for part in _WORD.findall(found)} - GRAMMAR
    is_name = np.array([word in named for word in question.words])
    asked, place, rows = set(question.words), 0, []
    for here, heading in zip(passages, headings, strict=True):
        above = _best(question, heading)
        table = best[place : place + len(here)]
        whole = np.maximum(table.max(0), above) if len(here) else above
        everything = set(heading.words).union(*(unit.words for unit in here))
        for i, unit in enumerate(here):
            own = table[i]
            near = np.maximum(table[max(0, i - 1) : i + 2].max(0), above)
            said = set(unit.words)
            beside = said.union(heading.words, *(other.words for other in here[max(0, i - 1) : i + 2]))
            lacking = [word for word in named if word not in everything]
            numbers = [word for word in named if word[0].isdigit()]
            rows.append(
                [
                    weight @ own,
                    weight @ (own - usual),
                    weight @ near,
                    (weight * (1 - own)).max() * scale,
                    (weight * (1 - whole)).max() * scale,
                    (1 - own[is_name]).max(initial=0.0),
                    (1 - whole[is_name]).max(initial=0.0),
                    len(lacking) / max(len(named), 1),
                    float(any(word not in said for word in numbers)),
                    float(any(word not in beside for word in numbers)),
                    _theirs(unit, question),
                    float(_is_opposite(asked, said, everything)),
                    float(question.is_negated) - float(unit.is_negated),
                    own[~topic].mean() if (~topic).any() else COMMON,
                ]
            )
        place += len(here)
    return np.array(rows)


def _best(question: Words, other: Words) -> Floats:
    """How well each word of the question is met."""
    if not other.words:
        return np.zeros(len(question.words))
    result: Floats = (question.vectors @ other.vectors.T).max(1).astype(np.float64)
    return result


def _theirs(unit: Words, question: Words) -> float:
    """How well the sentence's own topic words are met: one that says much else says it of something else."""
    own = [i for i, word in enumerate(unit.words) if word not in GRAMMAR]
    return float((unit.vectors[own] @ question.vectors.T).max(1).mean()) if own else 0.0


def _is_opposite(asked: set[str], said: set[str], everything: set[str]) -> bool:
    """Whether the sentence says the opposite of a word that is asked for and stands nowhere in the passage."""
    return any(said & other for word in asked - everything if (other := OPPOSITES.get(word)))
