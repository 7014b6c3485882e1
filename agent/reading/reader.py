"""The trained reader: how likely each sentence of the passages answers a question, or none does.

Boosted trees weigh what the linear reader sees (`agent/generation/evidence.py`), how each word of the question is met
by the sentence and around it (`met.py`), and what is found where both are read as one text (`crossed.py`). They were
fitted on SQuAD 1.1's training questions and on such that were altered so that their passage does not answer them
(`python -m tests.benchmarks.fit_reading`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from agent.german import language_of
from agent.reading import met
from agent.trees import Trees
from retrieval.encoder import States
from retrieval.tokens import is_unspaced

# How far the trees are believed rather than the linear reader, which depends less on where it was fitted. Crosswise on
# the questions of `fit_reading`, from `answer.HOLDS` on .725 of the answerable are answered rightly (trees alone .716,
# the linear reader .648) and .240 of all wrongly (.233, .342).
BELIEVED = 0.8
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Beside:
    """What a question is read beside.

    units: the sentences of each passage. seen: what the linear reader saw, a row for each sentence of all passages in
    order, (sentences, features). before: its log-odds, with the search's trust, (sentences,). crossed: what the cross
    reader found, (sentences,). is_row: which are rows of tables, (sentences,). asks_yes_no: of both SQuAD has none, so
    there the linear reader may make the trees surer.
    """

    question: str
    headings: Sequence[str]
    units: Sequence[Sequence[str]]
    seen: Floats
    before: Floats
    crossed: Floats
    is_row: NDArray[np.bool_]
    asks_yes_no: bool


@dataclass(frozen=True, slots=True)
class AnswerReader:
    """The trees, and the encoder whose words they were fitted on, by its id."""

    encoder: str
    trees: Trees

    def read(self, beside: Beside, states: States, layer: int) -> Floats:
        """The log-odds that each sentence answers, (sentences,). states: of `texts_of`; layer: the last one."""
        weighed = self.trees.log_odds(features(beside, states, layer))
        made = BELIEVED * weighed + (1 - BELIEVED) * beside.before
        if beside.asks_yes_no:
            made = np.maximum(weighed, (weighed + beside.before) / 2)
        return np.where(beside.is_row, np.maximum(weighed, beside.before), made)


@cache
def shipped() -> AnswerReader:
    """The one that comes with Atelier, from `reader.json`."""
    held = json.loads(files("agent.reading").joinpath("reader.json").read_text(encoding="utf-8"))
    return AnswerReader(str(held["encoder"]), Trees.of(held))


def texts_of(question: str, headings: Sequence[str], units: Sequence[Sequence[str]]) -> list[str]:
    """All that the encoder is to read for it, in this order."""
    return [question, *headings, *(text for here in units for text in here)]


def features(beside: Beside, states: States, layer: int) -> Floats:
    """What the trees read, (sentences, features)."""
    passages = len(beside.headings)
    own, *rest = met.Words.of(texts_of(beside.question, beside.headings, beside.units), states, layer)
    flat = rest[passages:]
    words = [flat[start:end] for start, end in pairwise(np.cumsum([0, *map(len, beside.units)]))]
    before, crossed = ([each, _apart(each)] for each in (beside.before, beside.crossed))
    return np.column_stack([beside.seen, *before, met.features(own, words, rest[:passages]), *crossed])


def _apart(odds: Floats) -> Floats:
    """How far each sentence stands out from the best of the others."""
    if len(odds) < 2:
        return np.zeros(len(odds))
    second, first = np.sort(odds)[-2:]
    made: Floats = odds - np.where(odds == first, second, first)
    return made


def knows(question: str) -> bool:
    """Whether a question is in the language that the reader was fitted in."""
    return not is_unspaced(question) and language_of(question) in ("", "en")
