"""How far passages say what a generated sentence says: a small linear model over what can be read off both.

Numbers, dates and names must stand in the passages, or the sentence is not supported, whatever else speaks for it. The
rest is weighed: how many of its words the nearest sentence has with its neighbours and its heading, whether one denies
what the other says, how near they are in meaning, and whether its names and numbers stand among the words that they
stand among there (`alignment`). The weights were fitted on sentences made from SQuAD 1.1's training passages: true
ones, also in other words, and altered, denied and unrelated ones (`python -m tests.benchmarks.fit_trust`).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.generation import alignment
from agent.generation.alignment import Said
from agent.generation.durations import told_otherwise
from agent.generation.facts import (
    Figures,
    broken_names,
    denied,
    figures,
    is_negated,
    known_words,
    lacking_figures,
    lacking_names,
    miscounted,
    names,
)
from agent.generation.sentences import cut
from agent.german import language_of
from agent.rewrite import content_words
from retrieval.encoder import Encoder
from retrieval.passage import Passage, Vectors
from retrieval.tokens import UNSPACED, is_unspaced, words

NAMES = (
    "around", "passage", "figures_elsewhere", "names_elsewhere", "opening_missing", "denied_here", "denied_there",
    "negation_differs", "length", "cosine", *alignment.NAMES,
)  # fmt: skip
HOLDS = 0.65  # from here on a sentence is shown; the benchmark `trust` counts how many altered and reworded ones are
UNLIKE = 0.5  # the cosine where no encoder votes: that of a right sentence in other words, on average
MARKED = re.compile(r"[*_`~#>]+|\[\d{1,2}(?:\s*,\s*\d{1,2})*\]")
_LIST_MARK = re.compile(r"^\s*(?:[-*+•–]|\(?\d{1,3}[.)])\s+")
SAME = 0.5  # of a sentence's words: from here on another one is about the same
SIGN = 4  # letters that one sign of a script without spaces says as much as
_YEAR = re.compile(r"(?<![\w.,])(?:1\d{3}|20\d\d)(?!\w|[.,]\d)")
_UNSPACED = re.compile(f"[{UNSPACED}]")
_SPACE = re.compile(r"\W+")


@dataclass(frozen=True, slots=True)
class Found:
    """How one sentence was found in the passages. passage: the one that supports it best, from 0; lacks: see Claim.

    is_foreign: the passage is in another language, so only numbers and codes were compared.
    """

    support: float
    passage: int
    lacks: str = ""
    is_foreign: bool = False

    @property
    def holds(self) -> bool:
        return self.support >= HOLDS


@dataclass(frozen=True, slots=True)
class _Unit:
    text: str
    words: frozenset[str]
    denied: frozenset[str]
    is_negated: bool
    figures: Figures
    known: frozenset[str]
    plain: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A passage read once.

    label: its heading and source as words in a row, and labelled: their figures. vectors: of its units, and said: its
    words in their contexts; None: no encoder, or one that does not show these.
    """

    units: tuple[_Unit, ...]
    heading: frozenset[str]
    words: frozenset[str]
    known: frozenset[str]
    figures: Figures
    label: str
    labelled: frozenset[float]
    language: str
    vectors: Vectors | None
    said: Said | None


def read(passage: Passage, encoder: Encoder | None = None) -> Evidence:
    """A passage as sentences are held against it. encoder: None: meaning does not vote. Blocks: an encoder pass."""
    label = f"{passage.heading}\n{passage.source}"
    whole = f"{label}\n{passage.text}"
    texts = [f"{unit.head} {unit.text}".strip() for unit in cut(passage.text)] or [passage.text]
    heading = frozenset(words(passage.heading))
    said, vectors = alignment.said(texts, encoder) if encoder is not None else (None, None)
    units = tuple(_unit(text) for text in texts)
    known = known_words(whole)
    return Evidence(
        units=units,
        heading=heading,
        words=frozenset(words(whole)),
        known=known,
        figures=figures(whole),
        label=plain(label),
        labelled=figures(label).values,
        language=_language(passage.text),
        vectors=vectors,
        said=said,
    )


def supported(
    sentence: str, evidence: Sequence[Evidence], cited: Sequence[int] = (), encoder: Encoder | None = None
) -> Found:
    """How far a sentence is supported by the passages it cites, or where these do not by another one.

    cited: places in `evidence`, from 0; none: all of them. Where a passage is in another language, only numbers, codes
    and abbreviations can be compared.
    """
    bare = stripped(sentence)
    if not evidence:
        return Found(0.0, 0, "no passage")
    order = [place for place in cited if 0 <= place < len(evidence)]
    own: Said | None = None
    vector = None
    if encoder is not None and not any(_is_quoted(bare, each) for each in evidence):
        own, (vector,) = alignment.said([bare], encoder)
    best = Found(-1.0, 0)
    others = [[place] for place in range(len(evidence)) if place not in order]
    for places in filter(None, [order, *others]):
        together = [evidence[place] for place in places]
        for place in places:
            found = _found(bare, place, together, evidence[place], (own, vector))
            if found.support > best.support:
                best = found
        if best.holds:
            break
    return best


def _found(
    bare: str,
    place: int,
    together: Sequence[Evidence],
    evidence: Evidence,
    read_as: tuple[Said | None, NDArray[np.float32] | None],
) -> Found:
    """together: the passages cited together, of which any may have a number or a name. read_as: the sentence's."""
    if _is_quoted(bare, evidence):
        return Found(1.0, place)
    values = frozenset[float]().union(*(_near_figures(bare, each) for each in together))
    missing = lacking_figures(figures(bare), Figures(values, ()))
    language = _language(bare)
    is_foreign = bool(language and evidence.language and language != evidence.language)
    # names and nouns are written otherwise there, codes and abbreviations are not
    named = names(bare, is_german=is_foreign or language == "de").certain
    missing += lacking_names(named, frozenset[str]().union(*(each.known for each in together)))
    if language != "de" and not is_foreign:
        missing += broken_names(bare, [f"{each.label} {unit.text}" for each in together for unit in each.units])
    if not is_foreign:
        units = [unit for each in together for unit in each.units]
        missing += miscounted(bare, [unit.text for unit in units]) + _misdated(bare, units)
    if missing:
        otherwise = told_otherwise(bare, [unit.text for each in together for unit in _near(bare, each)])
        missing = [each for each in dict.fromkeys(missing) if each not in otherwise]
    if is_foreign:
        return Found(0.0 if missing else HOLDS, place, ", ".join(missing), is_foreign=True)
    probability = 1 / (1 + math.exp(-float(features(bare, evidence, *read_as) @ WEIGHTS + BIAS)))
    if missing:
        return Found(min(probability, 0.5 * HOLDS), place, ", ".join(missing))
    return Found(probability, place)


def _misdated(bare: str, units: Sequence[_Unit]) -> list[str]:
    """Years of a sentence that another says of it: "In 1066 Lanfranc …", where he has a year of his own.

    Of 479 true sentences from SQuAD's training passages one was doubted for it, of 125 with another number 55.
    """
    years = set(_YEAR.findall(bare))
    if not years or not units:
        return []
    own = frozenset(words(" ".join(content_words(bare)))) - years
    share, near = max(((_share(own, unit.words), unit) for unit in units), key=lambda pair: pair[0])
    there = set(_YEAR.findall(near.text))
    return sorted(years - there) if there and share >= SAME else []


def _near_figures(bare: str, evidence: Evidence) -> frozenset[float]:
    """The figures of the units near a sentence: others are about other things.

    In a sentence of another language nothing tells what is near.
    """
    if evidence.language and _language(bare) not in ("", evidence.language):
        return evidence.figures.values
    return evidence.labelled.union(*(unit.figures.values for unit in _near(bare, evidence)))


def _near(bare: str, evidence: Evidence) -> list[_Unit]:
    """The two units that share most words with a sentence, and those beside them, in order."""
    own = frozenset(words(bare))
    ranked = sorted(range(len(evidence.units)), key=lambda place: -_share(own, evidence.units[place].words))[:2]
    around = {place for near in ranked for place in (near - 1, near, near + 1) if _in(place, evidence.units)}
    return [evidence.units[place] for place in sorted(around)]


def features(
    bare: str, evidence: Evidence, own_words: Said | None, vector: NDArray[np.float32] | None
) -> NDArray[np.float64]:
    """What speaks for and against a sentence without marks, (len(NAMES),). own_words, vector: its own."""
    own = frozenset(words(" ".join(content_words(bare)))) or frozenset(words(bare))
    units = evidence.units
    shares = [_share(own, unit.words) for unit in units]
    nearest = max(range(len(units)), key=lambda i: (shares[i], -i))
    near = units[nearest]
    around = near.words.union(evidence.heading, *(units[i].words for i in (nearest - 1, nearest + 1) if _in(i, units)))
    named = names(bare)
    ours = denied(bare)
    denials = frozenset(word for word in near.denied if len(word) > 3)
    cosine = UNLIKE
    if vector is not None and evidence.vectors is not None:
        cosine = float((evidence.vectors @ vector).max())
    elsewhere = [
        each for each in lacking_figures(figures(bare), near.figures) if each not in told_otherwise(bare, [near.text])
    ]
    return np.array(
        [
            _share(own, around),
            _share(own, evidence.words),
            float(bool(elsewhere)),
            float(bool(lacking_names(named.certain, near.known))),
            float(bool(named.opening) and bool(lacking_names([named.opening], evidence.known))),
            float(bool((ours & near.words) - near.denied)),
            float(bool(denials) and denials <= frozenset(words(bare)) and not ours),
            float(is_negated(bare) != near.is_negated),
            math.log1p(len(own)),
            cosine,
            *alignment.features(own_words, evidence.said),
        ]
    )


def stripped(sentence: str) -> str:
    """A sentence without marks of Markdown, of a list, and without citations."""
    return re.sub(r"\s+", " ", MARKED.sub(" ", _LIST_MARK.sub("", sentence))).strip()


def plain(text: str) -> str:
    """The words in a row, each between spaces, so that what is quoted is found in it."""
    return f" {_SPACE.sub(' ', MARKED.sub('', text).casefold()).strip()} "


def _unit(text: str) -> _Unit:
    known, negated = known_words(text), is_negated(text)
    return _Unit(text, frozenset(words(text)), denied(text), negated, figures(text), known, plain(text))


def _is_quoted(bare: str, evidence: Evidence) -> bool:
    """Whether the words stand there as they are, and not as part of a sentence that denies them."""
    row = plain(bare)
    if row in evidence.label:
        return True
    return any(row in unit.plain and unit.is_negated == is_negated(bare) for unit in evidence.units)


def _share(own: frozenset[str], text: frozenset[str]) -> float:
    """How many of a sentence's words a text has; one of the same stem counts nearly as much."""
    if not own:
        return 0.0
    return sum(1.0 if word in text else _stemmed(word, text) for word in own) / len(own)


def _stemmed(word: str, text: frozenset[str]) -> float:
    if len(word) < 4 or is_unspaced(word):
        return 0.0
    stem = word[: max(4, len(word) - 3)]
    return 0.8 if any(other.startswith(stem) for other in text) else 0.0


def _in(place: int, units: Sequence[_Unit]) -> bool:
    return 0 <= place < len(units)


def _language(text: str) -> str:
    """As far as it matters here: scripts without spaces are no European language. A name in one makes no text so."""
    if is_unspaced(text) and SIGN * len(_UNSPACED.findall(text)) >= sum(map(str.isalpha, text)):
        return "unspaced"
    return language_of(text)


# Each with the sign that it must have; pairs of words, their order and listed opposites weighed nothing then, and are
# not looked for. What is denied there weighs at least so much: a sentence that says all of it without the denial is its
# opposite.
WEIGHTS = np.array([
    1.167, 0.879, -0.658, -1.992, -0.828, -4.703, -2.5, -1.056, -0.6, 0.692, 2.157, -1.654, -0.187, -0.539, 0.879,
])  # fmt: skip
BIAS = -1.807
