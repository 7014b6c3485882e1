"""How surely a question is the one that the team has answered: a small linear model over both. Pure.

Near in meaning is not the same question: "Can I send parcels?" is near "Can I get parcels?". So beside the cosine stand
the words of either that the other lacks, a denial on one side only, and what is asked for. The weights were fitted on
half of covid_faq's reworded questions and on SQuAD's training questions, which are never the same as others of their
passage (`python -m tests.benchmarks.fit_trust`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.rewrite import content_words
from retrieval.tokens import words

NAMES = ("cosine", "theirs", "ours", "negated", "kind")
THRESHOLD = 0.60  # the probability from which an entry answers
NEAR = 8  # entries that are looked at closely: those with the highest cosines
_NEGATED = re.compile(r"(?i)\b(?:not|no|never|without|cannot|\w+n['’]t|nicht|kein\w*|nie|ohne)\b|[不没无]")
_KINDS = (
    r"\bhow (?:many|much)\b|\bwie ?viele?\b|多少",
    r"\b(?:when|how (?:long|soon|often)|until|wann|wie (?:lange|oft))\b|什么时候",
    r"\b(?:where|wo|woher|wohin)\b|哪里",
    r"\b(?:who|whom|whose|wer|wem|wen)\b|谁",
    r"\b(?:why|warum|wieso)\b|为什么",
    r"\b(?:how|wie)\b|怎么|如何",
    r"^\W*(?:can|could|may|is|are|do|does|did|should|must|will|has|have|kann|darf|ist|sind|muss|soll\w*)\b",
)
_SHAPES = tuple(re.compile(shape, re.IGNORECASE) for shape in _KINDS)


@dataclass(frozen=True, slots=True)
class Phrasing:
    """A question read once. content: its topic words as the index has them. kind: what it asks for, -1 unknown."""

    text: str
    content: frozenset[str]
    is_negated: bool
    kind: int


def read(text: str) -> Phrasing:
    kind = next((number for number, shape in enumerate(_SHAPES) if shape.search(text)), -1)
    content = frozenset(words(" ".join(content_words(text)))) or frozenset(words(text))
    return Phrasing(text, content, _NEGATED.search(text) is not None, kind)


def probabilities(asked: Phrasing, known: Sequence[Phrasing], cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each known question the probability that its answer is the one to `asked`, (n,); 0 for those far off.

    cosines: with `asked`, (n,).
    """
    made = np.zeros(len(known))
    if not len(known):
        return made
    near = np.argsort(-cosines)[:NEAR]
    table = features(asked, known, cosines, near)
    made[near] = 1 / (1 + np.exp(-(table @ WEIGHTS + BIAS)))
    same = "".join(words(asked.text))
    for place in near:
        if same and same == "".join(words(known[place].text)):
            made[place] = 1.0
    return made


def features(
    asked: Phrasing,
    known: Sequence[Phrasing],
    cosines: NDArray[np.float64],
    near: NDArray[np.intp],
) -> NDArray[np.float64]:
    """One row for each place in `near`, (len(near), len(NAMES))."""
    held = [known[place].content for place in near]
    share = {word: 1 / (1 + sum(word in each for each in held)) for word in asked.content.union(*held)}
    table = np.zeros((len(near), len(NAMES)))
    for row, place in enumerate(near):
        other = known[place]
        table[row] = (
            cosines[place],
            _missing(asked.content, other.content, share),
            _missing(other.content, asked.content, share),
            float(asked.is_negated != other.is_negated),
            float(asked.kind != other.kind),
        )
    return table


def _missing(ours: frozenset[str], theirs: frozenset[str], share: dict[str, float]) -> float:
    """How much of our words the others lack, 0..1; a word of the same stem counts little, a common one less."""
    total = sum(share[word] for word in ours)
    lacking = sum(share[word] * _lacks(word, theirs) for word in ours)
    return lacking / total if total else 0.0


def _lacks(word: str, others: frozenset[str]) -> float:
    if word in others:
        return 0.0
    stem = word[: max(4, len(word) - 3)]
    return 0.3 if len(word) > 4 and any(other.startswith(stem) for other in others) else 1.0


WEIGHTS = np.array([7.019, -3.125, -1.103, 0.739, -0.725])
BIAS = -3.478
