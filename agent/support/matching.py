"""How surely a question is one that the team has answered: word by word, in meaning and in letters.

Near in meaning is not the same question: "Can I send parcels?" is near "Can I get parcels?". So beside the cosine of
the two questions stands how well each word of either is met by a word of the other, in its context (late interaction:
Khattab & Zaharia 2020), weighted by how much the word tells the nearest entries apart: where all are about parcels,
"parcels" says nothing and "send" everything. A linear model orders the entries; trees say how likely the first one
answers: by its score, how far it stands out, and whether a single word is unmet, for that is then what is asked. Fitted
by `python -m tests.benchmarks.fit_matching`.
"""

import json
import re
from collections import Counter, OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from agent.german import language_of
from agent.trees import Trees
from retrieval.encoder import DEFAULT, Encoder, LayeredEncoder
from retrieval.passage import Vectors
from retrieval.tokens import is_unspaced, words

NAMES = (
    "cosine", "cosine_apart", "met", "met_apart", "theirs_apart", "unmet", "theirs_unmet", "letters", "negated", "kind",
)  # fmt: skip
STANDS = ("score", "apart", "one_unmet", "theirs_one_unmet", *NAMES)
THRESHOLD = 0.65  # from here on an entry answers: crosswise, 6% of covid_faq's fitted half wrongly
# By an encoder that nothing was fitted on: all-mpnet-base-v2 has 19% of the same half wrong from .65 on, 3% from here.
UNFITTED = 0.94
NEAR = 32  # ways to ask that are looked at closely: those with the highest cosines
KEPT = 2000  # ways to ask whose words are kept: some 20 kB each
PRIOR = 8.0  # entries that a small book is filled up with when it is asked what its entries have in common,
COMMON = 0.35  # in which a word is met this well
LETTERS = NAMES.index("letters")
LEAST, CLOSE = 3.5, 0.5  # of score and cosine: where few questions were seen, the trees know too little
FAR_OFF = 0.01  # by this its probability is less otherwise: it stays the best of all, and answers nothing
ALIKE = 0.3  # how alike in letters an entry must be in a language the encoder hardly knows
RIVALS = 4  # entries that the best one must stand out from
_NEGATED = re.compile(r"(?i)\b(?:not|no|never|without|cannot|\w+n['’]t|nicht|kein\w*|nie|ohne)\b|[不没无]")
_KINDS = (
    r"\bhow (?:many|much)\b|\bwie ?viele?\b|多少",
    r"\b(?:when|how (?:long|soon|often)|until|wann|wie (?:lange|oft))\b|什么时候",
    r"\b(?:where|wo|woher|wohin)\b|哪里",
    r"\b(?:who|whom|whose|wer|wem|wen)\b|谁",
    r"\b(?:why|warum|wieso)\b|为什么",
)
_SHAPES = tuple(re.compile(shape, re.IGNORECASE) for shape in _KINDS)
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Phrasing:
    """A question read once.

    letters: the runs of 3 and 4 of its words. kind: what it asks for, -1 untold. is_foreign: in a language that the
    usual encoders know too little of to tell its questions apart.
    """

    text: str
    letters: frozenset[str]
    is_negated: bool
    kind: int
    is_foreign: bool


def read(text: str) -> Phrasing:
    kind = next((number for number, shape in enumerate(_SHAPES) if shape.search(text)), -1)
    row = f" {' '.join(words(text))} "
    letters = frozenset(row[at : at + size] for size in (3, 4) for at in range(len(row) - size + 1))
    is_foreign = is_unspaced(text) or language_of(text) not in ("", "en")
    return Phrasing(text, letters, _NEGATED.search(text) is not None, kind, is_foreign)


class Matcher:
    """Compares questions by an encoder's words. threshold: from here on an entry answers. Thread-safe."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.threshold = THRESHOLD if encoder.id == DEFAULT else UNFITTED
        self._words: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = Lock()

    def warm(self, known: Sequence[str]) -> None:
        """Encode the words of entries before the first question. Blocks."""
        self._of(known[:KEPT])

    def probabilities(
        self, asked: Phrasing, vector: Vectors, known: Sequence[Phrasing], vectors: Vectors, entries: Sequence[Hashable]
    ) -> Floats:
        """For each known way to ask the probability that its answer is the one to `asked`, (n,); 0 but for the best.

        vector, vectors: of `asked` and `known`, (dim,) and (n, dim). entries: which of `known` have one answer. One
        that is the same letter by letter has 1. Blocks: an encoder pass.
        """
        made = np.zeros(len(known))
        if not len(known):
            return made
        near, table = self.features(asked, vector, known, vectors)
        scores = table @ WEIGHTS
        best = int(np.argmax(scores))
        stands = standing(table, scores, [entries[place] for place in near])
        is_near = scores[best] >= LEAST and table[best, 0] >= CLOSE
        is_near = is_near and (not asked.is_foreign or table[best, LETTERS] >= ALIKE)
        made[near[best]] = trees().probability(stands) * (1.0 if is_near else FAR_OFF)
        same = "".join(words(asked.text))
        for place in near:
            if same and same == "".join(words(known[place].text)):
                made[place] = 1.0
        return made

    def features(
        self, asked: Phrasing, vector: Vectors, known: Sequence[Phrasing], vectors: Vectors
    ) -> tuple[NDArray[np.intp], Floats]:
        """The places of the NEAR nearest, and a row for each, (NEAR, len(NAMES))."""
        cosines = (vectors @ vector).astype(np.float64)
        near = np.argsort(-cosines)[:NEAR]
        here = [known[place] for place in near]
        (own,) = self._encoded([asked.text])  # not kept: anybody asks, and long
        theirs = self._of([each.text for each in here])
        columns = (
            cosines[near],
            _apart(vector, vectors[near]),
            *_met(own, theirs),
            _letters(asked, here),
            np.array([float(asked.is_negated != each.is_negated) for each in here]),
            np.array([float(asked.kind != each.kind and asked.kind >= 0 <= each.kind) for each in here]),
        )
        return near, np.column_stack(columns)

    def _of(self, texts: Sequence[str]) -> list[Vectors]:
        """The words of each text as unit rows, (pieces, dim)."""
        with self._lock:
            had = {text: self._words[text] for text in texts if text in self._words}
            for text in had:
                self._words.move_to_end(text)
        new = list(dict.fromkeys(text for text in texts if text not in had))
        made = dict(zip(new, self._encoded(new), strict=True)) if new else {}
        with self._lock:
            self._words.update(made)
            while len(self._words) > KEPT:
                self._words.popitem(last=False)
        return [had[text] if text in had else made[text] for text in texts]

    def _encoded(self, texts: Sequence[str]) -> list[Vectors]:
        encoder = self._encoder
        if not isinstance(encoder, LayeredEncoder):  # it shows no words in context: each is encoded alone
            return [np.asarray(encoder(words(text) or [text]), np.float32) for text in texts]
        states = encoder.states(texts, [encoder.depth])
        found = []
        for text, row, spans in zip(texts, states.layers[encoder.depth], states.offsets, strict=True):
            said = [i for i, (start, end) in enumerate(spans) if any(map(str.isalnum, text[start:end]))] or [0]
            found.append(row[said] / np.maximum(np.linalg.norm(row[said], axis=1, keepdims=True), 1e-6))
        return found


def standing(table: Floats, scores: Floats, entries: Sequence[Hashable]) -> Floats:
    """What says how likely the best of some scored entries answers, (len(STANDS),).

    Its score, how far it stands out from the next ones, how much of what is unmet is one word, and its own row.
    """
    best = int(np.argmax(scores))
    others: dict[Hashable, float] = {}
    for score, entry in zip(scores, entries, strict=True):
        if entry != entries[best]:
            others[entry] = max(float(score), others.get(entry, -np.inf))
    rivals = np.maximum(np.sort([*others.values(), *[FAR] * RIVALS])[::-1][:RIVALS], FAR)
    row = dict(zip(NAMES, table[best], strict=True))
    left = 1.05 - row["met"]  # where all else is met, the one word that is not is what is asked
    top = float(scores[best])
    return np.array([top, top - rivals.mean(), row["unmet"] / left, row["theirs_unmet"] / left, *table[best]])


@cache
def trees() -> Trees:
    """Those that were fitted, from `matching.json`."""
    return Trees.of(json.loads(files("agent.support").joinpath("matching.json").read_text(encoding="utf-8")))


def _apart(vector: Vectors, vectors: Vectors) -> Floats:
    """The cosines once what all have in common is taken away."""
    middle = vectors.sum(0) / (len(vectors) + PRIOR)
    left, right = vector - middle, vectors - middle
    lengths = np.maximum(np.linalg.norm(right, axis=1) * np.linalg.norm(left), 1e-6)
    cosines: Floats = (right @ left / lengths).astype(np.float64)
    return cosines


def _met(own: Vectors, theirs: Sequence[Vectors]) -> tuple[Floats, ...]:
    """How well words are met, (n,) each: ours, and beyond what any entry does; theirs so; the worst of either."""
    count = len(theirs)
    sizes = np.array([len(each) for each in theirs])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    every = np.vstack(theirs)
    pairs = (own @ every.T).astype(np.float64)
    ours = np.maximum.reduceat(pairs, starts, axis=1)  # (our words, entries): the best that meets each
    usual = (ours.sum(1) + PRIOR * COMMON) / (count + PRIOR)
    weight = np.maximum(1 - usual, 0.02)
    weight /= weight.sum()
    met = weight @ ours
    unmet = (weight[:, None] * (1 - ours)).max(0) * np.sqrt(len(own))
    # their words: how ours meet them, beyond how the other entries do
    by_us = pairs.max(0)
    # entry by entry: all at once took 0.8 GB where entries were as long as the encoder reads
    among = np.column_stack([(every @ each.T).max(1) for each in theirs]).astype(np.float64)
    among[np.arange(len(every)), np.repeat(np.arange(count), sizes)] = 0.0
    common = (among.sum(1) + PRIOR * COMMON) / (count - 1 + PRIOR)
    telling = np.maximum(1 - common, 0.02)
    total = np.add.reduceat(telling, starts)
    theirs_apart = np.add.reduceat(telling * (by_us - common), starts) / total
    worst = telling / np.repeat(total, sizes) * (1 - by_us)
    theirs_unmet = np.maximum.reduceat(worst, starts) * np.sqrt(sizes)
    return met, met - float(weight @ usual), theirs_apart, unmet, theirs_unmet


def _letters(asked: Phrasing, here: Sequence[Phrasing]) -> Floats:
    """The cosines of runs of letters, rare ones weighing more: these find typing errors and compounds."""
    held = Counter(run for each in here for run in each.letters)
    share = {run: np.log(1 + (len(here) + PRIOR) / (1 + held[run])) ** 2 for run in held | Counter(asked.letters)}

    def size(letters: frozenset[str]) -> float:
        return float(np.sqrt(sum(share[run] for run in letters))) or 1.0

    own = size(asked.letters)
    return np.array(
        [sum(share[run] for run in asked.letters & each.letters) / own / size(each.letters) for each in here]
    )


WEIGHTS = np.array([1.69, 3.03, 3.22, 5.33, 3.23, -11.61, -1.94, 4.29, -0.24, 0.25])
FAR = 1.5  # a rival's score at least: to stand out from what is about other things says nothing
