"""How far each sentence of the evidence answers a question: a small linear model over what can be read off both.

The features are those of early open-domain question answering (Ferrucci et al. 2010): the question's words in the
sentence, in its heading and around it, closeness in meaning, and whether the sentence has what the question asks for (a
name, a date, a number). The weights were fitted on SQuAD 1.1's training questions, half of them with the passage that
answers taken away (`python -m tests.benchmarks.fit_extractive`).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.generation.sentences import Kind, Unit, cut, name_of
from agent.reading import crossed
from agent.reading.reader import AnswerReader, Beside, knows, texts_of
from agent.rows import row_of
from agent.surface import looks_like_question
from retrieval.encoder import Encoder, LayeredEncoder, TransformerEncoder
from retrieval.passage import Passage, Vectors
from retrieval.tokens import is_unspaced, words

NAMES = (
    "cosine", "best_cosine", "coverage", "coverage_passage", "names_missing", "wanted_found", "wanted_missing", "pairs",
    "length", "rank",
)  # fmt: skip
Features = NDArray[np.float64]  # (units, len(NAMES))

_ASKS = {
    "person": re.compile(r"(?i)\b(?:who|whom|whose|which (?:person|man|woman)|wer|wen|wem)\b|谁"),
    "time": re.compile(
        r"(?i)\b(?:when|(?:what|which) (?:year|date|day|month|time|century|decade)|(?:since|until|by) when|wann)\b"
        r"|什么时候|何时|几点|哪[一]?[年天]"
    ),
    "number": re.compile(
        r"(?i)\b(?:how (?:many|much|old|long|tall|far|large|big|high|often|fast|deep|wide|heavy|soon|late)"
        r"|what (?:percentage|percent|number|price|cost|size|amount|rate|share|fraction|population)"
        r"|wie ?viele?|wie (?:lange|oft|hoch|groß|alt))\b"
        r"|多少|几[天个次]|多[久长大]"
    ),
    "place": re.compile(r"(?i)\b(?:where|(?:what|which) (?:city|country|place|state|town)|wo|woher|wohin)\b|哪里|在哪"),
}
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|"
    r"Nov(?:ember)?|Dec(?:ember)?|Januar|Februar|März|Mai|Juni|Juli|Oktober|Dezember)"
)
_TIME = re.compile(
    rf"(?i)\b(?:1\d{{3}}|20\d\d)s?\b|\b{_MONTH}\b|\b\d{{1,2}}(?:st|nd|rd|th) century\b|\bcentur|\b\d{{1,2}}[:.]\d\d\b"
    r"|\b\d{1,2} ?[ap]\.?m\b|\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?\b"
    r"|\b(?:noon|midnight|spring|summer|autumn|winter)\b"
    r"|\b(?:days?|weeks?|months?|years?|hours?|minutes?) (?:after|before|ago)\b"
    r"|\b(?:today|tomorrow|yesterday|daily|weekly|monthly|yearly)\b|[年月日天周]"
)
_NUMBER = re.compile(
    r"(?i)\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|hundreds?|thousands?|millions?"
    r"|billions?|half|quarter|third|twice|once|no limit|unlimited|several|few|zwei|drei|vier|fünf)\b"
    r"|[一二三四五六七八九十百千万两]"
)
_YES_OR_NO = re.compile(
    r"(?i)\W*(?:is|are|was|were|do|does|did|can|could|will|would|should|may|must|has|have|ist|sind|kann|gibt)\b"
)
_YES_NO = re.compile(r"(?:Yes|No|Not|Ja|Nein)\b")
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)(?<![\w-])[A-ZÄÖÜ][\w'’-]+")
_PERSON_WORD = re.compile(
    r"(?i)\b(?:everyone|everybody|anyone|nobody|people|persons?|members?|managers?|admin\w*|users?|teams?|staff|employees?|"
    r"owners?|director|head|king|queen|president|you|we)\b"
)
# Words that carry a question's grammar, not its topic: they match everywhere.
_PLAIN = frozenset(
    words(
        "a an and any are as at be been but by can could did do does for from get had has have he her his how "
        "i if in into is it its many may me might more most much must my name of on one or our please should "
        "so some tell than that the their them then there these they this to type us use used was we were "
        "what when where which who whom whose why will with would you your s t der die das ein eine und ist "
        "sind wie was wer wo wann warum ich wir kann für von zu mit im in den dem des es auf le la les un une "
        "des du de et est que qui comment où quand pourquoi"
    )
)


_PLAIN_HAN = re.compile("[的了是有吗呢么什怎多少久谁哪几何请问我你他您可以要]")


@dataclass(frozen=True, slots=True)
class Scored:
    """A unit of evidence and the probability that it holds the answer. passage: place in the prompt, from 0."""

    unit: Unit
    passage: int
    place: int  # of the unit in its passage
    probability: float


@dataclass(frozen=True, slots=True)
class Question:
    """A question read once. weights: its topic words, each with its share of what is asked (they sum to 1)."""

    text: str
    weights: dict[str, float]
    ordered: list[str]
    names: frozenset[str]
    wants: str  # a key of _ASKS, or ""


def read_question(text: str, passages: Sequence[Passage]) -> Question:
    """Weigh a question's words: rarer ones in the evidence, and longer ones, say more."""
    ordered = [word for word in words(text) if word not in _PLAIN and not _PLAIN_HAN.search(word)]
    texts = [set(words(f"{passage.heading}\n{passage.text}")) for passage in passages]
    weights = {
        word: math.log((len(texts) + 1.5) / (sum(word in each for each in texts) + 0.5)) * min(1.0, 0.4 + len(word) / 8)
        for word in dict.fromkeys(ordered)
    }
    total = math.fsum(weights.values()) or 1.0
    names = frozenset(words(" ".join(_NAME.findall(text)))) | {word for word in ordered if word.isdigit()}
    wants = next((kind for kind, shape in _ASKS.items() if shape.search(text)), "")
    return Question(text, {word: weight / total for word, weight in weights.items()}, ordered, names - _PLAIN, wants)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a question found.

    units: all units of all passages, in reading order. sections: for each passage, the probability that the whole of it
    answers, by its heading ("How do I delete my data?" over what to type). unread: why the trained reader did not vote;
    empty where it did.
    """

    units: tuple[Scored, ...]
    sections: tuple[float, ...]
    unread: str = ""

    @property
    def is_read(self) -> bool:
        return not self.unread

    def of(self, passage: int) -> list[Scored]:
        return [scored for scored in self.units if scored.passage == passage]


class Reader:
    """Reads passages for a question. The encoder votes only where vectors voted in the search."""

    def __init__(self, encoder: Encoder, trained: AnswerReader | None = None) -> None:
        """trained: weighs the same once more, where it knows encoder and language. Raises as CrossReader."""
        self._encoder = encoder
        self._trained = trained
        self._crossed: crossed.CrossReader | None = None
        if trained is not None and trained.encoder == encoder.id and isinstance(encoder, TransformerEncoder):
            self._crossed = crossed.shipped(encoder)

    def read(self, text: str, passages: Sequence[Passage]) -> Reading:
        """Every unit of `passages` and every section with its probability."""
        question = read_question(text, passages)
        units = [cut(passage.text) for passage in passages]
        trust = [TRUST * float(np.clip(_logit(passage.score), -2, 2)) for passage in passages]
        flat = [(number, place, unit) for number, here in enumerate(units) for place, unit in enumerate(here)]
        unread = self._unread(text, passages) if flat else NOTHING
        logits = self._logits(question, units, passages, trust, is_read=not unread)
        logits = logits + [_named(question, unit, passages[number]) for number, _, unit in flat]
        scored = tuple(
            Scored(unit, number, place, _probability(float(logit)) if _says(units[number], place) else 0.0)
            for (number, place, unit), logit in zip(flat, logits, strict=True)
        )
        sections = zip(self._sections(question, passages), trust, strict=True)
        return Reading(scored, tuple(_probability(logit + more) for logit, more in sections), unread)

    def _unread(self, text: str, passages: Sequence[Passage]) -> str:
        """Why the trained reader does not vote; empty where it does."""
        if self._crossed is None:
            return UNTRAINED
        if not knows(text) or not any(passage.similarity is not None for passage in passages):
            return UNKNOWN
        return ""

    def _logits(
        self,
        question: Question,
        units: Sequence[Sequence[Unit]],
        passages: Sequence[Passage],
        trust: Sequence[float],
        *,
        is_read: bool,
    ) -> Features:
        """The log-odds that each unit answers, (units,)."""
        sizes = [len(here) for here in units]
        reader, encoder = self._crossed, self._encoder
        if not is_read or self._trained is None or reader is None or not isinstance(encoder, LayeredEncoder):
            alone: Features = self.features(question, units, passages) @ WEIGHTS + BIAS + np.repeat(trust, sizes)
            return alone
        titles = [_title(passage) for passage in passages]
        quotable = [[_quotable(unit) for unit in here] for here in units]
        states = encoder.states(texts_of(question.text, titles, quotable), [encoder.depth])
        vectors = np.delete(states.embeddings, range(1, 1 + len(titles)), axis=0)
        table = self.features(question, units, passages, vectors)
        before = table @ WEIGHTS + BIAS + np.repeat(trust, sizes)
        found = reader.read(question.text, titles, quotable, before)
        rows = [unit.kind is Kind.ROW or row_of(unit.text) is not None for here in units for unit in here]
        beside = Beside(
            question.text,
            titles,
            quotable,
            table,
            before,
            found,
            is_row=np.array(rows, dtype=np.bool_),
            asks_yes_no=_YES_OR_NO.match(question.text) is not None,
        )
        return self._trained.read(beside, states, encoder.depth)

    def _sections(self, question: Question, passages: Sequence[Passage]) -> list[float]:
        titles = [_title(passage) for passage in passages]
        covered = [
            sum(weight * _match(word, set(words(passage.heading))) for word, weight in question.weights.items())
            for passage in passages
        ]
        if any(passage.similarity is not None for passage in passages):
            vectors = self._encoder([question.text, *titles])
            cosine = [float(c) for c in vectors[1:] @ vectors[0]]
        else:
            cosine = [0.3 + 0.4 * share for share in covered]
        return [
            _section(question, passage.text, title, c, share)
            for passage, title, c, share in zip(passages, titles, cosine, covered, strict=True)
        ]

    def features(
        self,
        question: Question,
        units: Sequence[Sequence[Unit]],
        passages: Sequence[Passage],
        vectors: Vectors | None = None,
    ) -> Features:
        """One row a unit, over all passages in order. vectors: of the question and all units, where they are known."""
        flat = [unit for here in units for unit in here]
        table = np.zeros((len(flat), len(NAMES)))
        if not flat:
            return table
        voted = any(passage.similarity is not None for passage in passages)
        if voted:
            if vectors is None:
                vectors = self._encoder([question.text, *(_quotable(unit) for unit in flat)])
            cosine = vectors[1:] @ vectors[0]
        else:
            cosine = np.full(len(flat), 0.45)  # where the encoder is silent, as far as an average right sentence
        row = 0
        for rank, (passage, here) in enumerate(zip(passages, units, strict=True)):
            heading = set(words(passage.heading))
            found = [set(words(f"{unit.head} {unit.text}")) for unit in here]
            around = set().union(heading, *found)
            for place, unit in enumerate(here):
                near = found[place - 1] if place else set()
                table[row] = [
                    0.0,
                    0.0,
                    *_features(question, unit, found[place], near, heading, around),
                    math.log1p(rank),
                ]
                row += 1
        table[:, 0], table[:, 1] = cosine, float(cosine.max())
        return table


def _named(question: Question, unit: Unit, passage: Passage) -> float:
    """What it adds to the log-odds that the name of a field is what is asked for: "Phone: 42". Set by hand."""
    if unit.kind is not Kind.FIELD:
        return 0.0
    name = [word for word in words(name_of(unit).replace("-", "")) if word not in _PLAIN]
    asked, own = set(question.weights), set(words(f"{passage.heading}\n{unit.text}"))
    if not name or not all(_match(word, asked) for word in name) or not all(_match(who, own) for who in question.names):
        return 0.0
    around = set(words(f"{passage.heading}\n{passage.text.replace('-', '')}"))
    return NAMED * math.fsum(weight * _match(word, around) for word, weight in question.weights.items())


def _says(units: Sequence[Unit], place: int) -> bool:
    """Whether it may answer: no question does, unless a list, a table or code behind it says what it asks for."""
    if not units[place].asks:
        return True
    behind = units[place + 1] if place + 1 < len(units) else units[place]
    return units[place].announces and behind.kind is not Kind.SENTENCE and not behind.asks


def _features(
    question: Question, unit: Unit, found: set[str], near: set[str], heading: set[str], around: set[str]
) -> list[float]:
    weights = question.weights
    inside = sum(weight * _match(word, found) for word, weight in weights.items())
    beside = sum(
        weight * max(_match(word, found), 0.7 * _match(word, heading), 0.4 * (word in near))
        for word, weight in weights.items()
    )
    passage = sum(weight * _match(word, around) for word, weight in weights.items())
    missing = [name for name in question.names if not _match(name, around)]
    has = _has(question, unit.text)
    pairs = list(zip(question.ordered, question.ordered[1:], strict=False))
    joined = " ".join(words(unit.text))
    return [
        max(inside, 0.85 * beside),
        passage,
        len(missing) / max(len(question.names), 1),
        float(has is True),
        float(has is False),
        sum(f"{a} {b}" in joined for a, b in pairs) / max(len(pairs), 1),
        math.log1p(len(found)),
    ]


def _section(question: Question, text: str, title: str, cosine: float, covered: float) -> float:
    """The log-odds that the section under `title` answers: it asks the same, or leaves nothing of the question over.

    Set by hand on documentation and FAQ files: SQuAD's articles have no headings.
    """
    if not title or (covered < 0.6 and not looks_like_question(title)):
        return -math.inf
    logit = 9 * (cosine - 0.58) + 2.5 * covered
    if question.wants in ("number", "time") and not (_NUMBER.search(text) or _TIME.search(text)):
        logit -= 1.5
    if _YES_OR_NO.match(question.text) and _YES_NO.match(text):
        logit += 1.0
    return logit


def _logit(probability: float) -> float:
    return math.log(max(probability, 1e-6) / max(1 - probability, 1e-6))


def _probability(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit > -30 else 0.0


def _match(word: str, found: set[str]) -> float:
    """1 for the word itself, less for one of the same stem (install, installing, installation)."""
    if word in found:
        return 1.0
    if len(word) < 4 or is_unspaced(word):
        return 0.0
    if len(word) == 4:
        return 0.7 if any(f"{word}{end}" in found for end in ("ing", "ed", "er")) else 0.0
    stem = word[: max(5, len(word) - 3)]
    return 0.7 if any(other.startswith(stem) for other in found) else 0.0


def _has(question: Question, text: str) -> bool | None:
    """Whether `text` has what the question asks for; None when it asks for nothing that can be told by its shape."""
    if not question.wants:
        return None
    if question.wants == "time":
        return _TIME.search(text) is not None
    if question.wants == "number":
        return any(found[0] not in question.text for found in _NUMBER.finditer(text))
    new = [name for name in _NAME.findall(text) if name not in question.text]
    return bool(new) or (question.wants == "person" and _PERSON_WORD.search(text) is not None) or None


def _title(passage: Passage) -> str:
    return passage.heading.rsplit(" > ", 1)[-1]


def _quotable(unit: Unit) -> str:
    return unit.text if unit.kind is not Kind.ROW else f"{unit.head.partition(chr(10))[0]} {unit.text}"


NOTHING = "there was nothing to read"
UNTRAINED = "it was trained with another encoder than the one in use"
UNKNOWN = "it reads English alone"
NAMED = 4.0
TRUST = 0.5  # of the search's own log-odds that the passage answers
WEIGHTS = np.array([6.206, -1.194, 3.906, -0.802, -1.578, 0.162, -1.419, 0.830, 0.297, -2.031])
BIAS = -6.100
