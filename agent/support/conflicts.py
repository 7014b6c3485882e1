"""Documents that differ: two sentences that say the same of the same thing, but for a number or a date. Pure.

What is not surely a contradiction is none: sentences whose other words differ may be about different things (part-time
and full-time, Berlin and Paris, last year and this year). So all of their telling words must agree, and so must the
headings above them.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations, product

from agent.generation.answer import is_dated
from agent.generation.facts import denied, measured, names
from agent.generation.sentences import Kind, Unit, cut
from agent.german import language_of
from agent.rewrite import content_words
from retrieval.passage import Passage
from retrieval.tokens import words

MOST = 3  # passages, the best ones, that are compared
SCORE = 0.5  # the search's probability of the better one, at least: where two say the same, the second one's is low
COVERED = 0.5  # of a question's topic words, the share that a sentence and its heading must have
ALIKE = 0.6  # of two sentences' telling words, the share that both have
SHORTEST = 2  # telling words that both must have
# They tell one version of a document from another, not one thing from another.
_VERSION = frozenset(
    words(
        "old new current former previous latest version draft copy final update updated revised edition valid from v1 "
        "v2 v3 alt neu aktuell entwurf kopie fassung ab policy handbook guide manual rules page document faq general "
        "overview handbuch richtlinie regeln seite"
    )
)
LOOSE = frozenset(
    words(
        "about approximately around roughly total exactly only currently employee employees staff everyone everybody "
        "person people team member members each receive receives get gets have has entitled given allowed offer offers "
        "provide provides granted grant etwa rund jeder alle mitarbeiter mitarbeitende"
    )
)
# What bounds from below does not contradict what bounds from above.
LOW = re.compile(r"(?i)\b(?:at least|minimum|min|no (?:less|fewer)|mindestens|from|ab)\b|至少")
HIGH = re.compile(r"(?i)\b(?:at most|maximum|max|no more|up to|until|höchstens|bis)\b|最多|至多")
# "Level 1" and "level 2" are two things.
NUMBERED = re.compile(
    r"(?i)\b(?:levels?|stufe|floors?|stock|rooms?|raum|steps?|schritt|phases?|grades?|zones?|buildings?|chapters?|kapitel"
    r"|sections?|versions?|tiers?|class(?:es)?|groups?|gruppe|lines?|gates?|platforms?|options?|plans?|parts?|teil|numbers?"
    r"|no|nr|stages?|bands?|types?|article|artikel|paragraph)\W{1,2}(\d+)\b|[§#]\s?(\d+)"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of a passage with a figure in it. passage: its place among those compared, from 0."""

    text: str
    passage: int
    figures: frozenset[float]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two statements that cannot both hold."""

    one: Statement
    other: Statement


@dataclass(frozen=True, slots=True)
class _Read:
    statement: Statement
    telling: frozenset[str]
    names: frozenset[str]
    denied: frozenset[str]
    units: frozenset[str]  # the words that figures are followed by
    heading: frozenset[str]
    file: frozenset[str]
    bounds: tuple[bool, bool]  # from below, from above


def conflict(question: str, passages: Sequence[Passage]) -> Conflict | None:
    """The contradiction between the best passages that has most of the question's words; None is the rule."""
    asked = frozenset(words(" ".join(content_words(question))))
    best = list(enumerate(passages[:MOST]))
    if max((passage.score for _, passage in best), default=0.0) < SCORE:
        return None
    about = [
        [
            (share, each)
            for each in _statements(passage, place, asked)
            if (share := _share(asked, each.telling | each.heading | each.file)) >= COVERED
        ]
        for place, passage in best
    ]
    found = [
        (ours + theirs, Conflict(one.statement, other.statement))
        for i, j in combinations(range(len(about)), 2)
        if best[i][1].source != best[j][1].source
        for (ours, one), (theirs, other) in product(about[i], about[j])
        if _contradict(one, other)
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def between(one: Passage, other: Passage) -> list[tuple[str, str]]:
    """The contradictions between two passages, each as their two sentences."""
    return [
        (ours.statement.text, theirs.statement.text)
        for ours in _statements(one, 0)
        for theirs in _statements(other, 1)
        if _contradict(ours, theirs)
    ]


def worded(
    found: Conflict,
    passages: Sequence[Passage],
    dates: Sequence[datetime | None],
    say: Callable[[str], str],
    numbers: Sequence[int],
) -> str:
    """Both statements with their sources, the newer first where the day of either is known.

    dates: of the two. say: the words for what is named. numbers: by which the passages are cited.
    """
    pairs = sorted(
        zip((found.one, found.other), dates, strict=True),
        key=lambda pair: pair[1] or datetime.min.replace(tzinfo=UTC),
        reverse=True,
    )
    lines = []
    for statement, date in pairs:
        source = passages[statement.passage].source
        when = f" ({date:%Y-%m-%d})" if date else ""
        lines.append(f"- **{source}**{when}: {statement.text} [{numbers[statement.passage]}]")
    days = [date.date() if date else None for _, date in pairs]
    known = None not in days and days[0] != days[1]
    return "\n".join([say("differ_newer" if known else "differ"), *lines])


def _statements(passage: Passage, place: int, asked: frozenset[str] = frozenset()) -> list[_Read]:
    """Those with a figure; of what surely is not about `asked` none, since reading figures takes time."""
    file = frozenset(words(passage.source.rpartition("/")[2].partition(".")[0]))
    around = frozenset(words(passage.heading)) | file
    return [
        read
        for unit in cut(passage.text)
        if unit.kind is not Kind.CODE
        and (not asked or _share(asked, around.union(words(f"{unit.head} {unit.text}"))) >= COVERED)
        and (read := _read(unit, passage, place)) is not None
    ]


def _read(unit: Unit, passage: Passage, place: int) -> _Read | None:
    text = " ".join(f"{unit.head} {unit.text}".split()) if unit.kind is Kind.ROW else " ".join(unit.text.split())
    given = measured(text)
    values = frozenset(value for value, _ in given)
    if not values or len(text) > 400 or is_dated(text):
        return None
    shown = {word for _, part in given for word in words(part)}
    telling = frozenset(words(" ".join(content_words(text)))) - shown - LOOSE
    telling = frozenset(word for word in telling if not word.isdigit())
    numbered = frozenset("".join(found) for found in NUMBERED.findall(text))
    named = numbered.union(
        word for name in names(text, is_german=language_of(text) == "de").certain for word in words(name)
    )
    file = frozenset(words(passage.source.rpartition("/")[2].partition(".")[0]))
    following = frozenset(
        following[0] for _, part in given if (following := words(" ".join(text.partition(part)[2].split()[:1])))
    )
    bounds = (LOW.search(text) is not None, HIGH.search(text) is not None)
    return _Read(
        Statement(text, place, values),
        telling,
        named,
        denied(text),
        following,
        frozenset(words(passage.heading)),
        file,
        bounds,
    )


def _contradict(one: _Read, other: _Read) -> bool:
    ours, theirs = one.statement.figures, other.statement.figures
    if len(ours - theirs) != 1 or len(theirs - ours) != 1 or one.units != other.units:
        return False
    if one.bounds != other.bounds or one.names != other.names:
        return False
    if one.denied & other.telling != other.denied & one.telling:
        return False
    both, either = one.telling & other.telling, one.telling | other.telling
    if len(both) < min(SHORTEST, len(either)) or not both or len(both) < ALIKE * len(either):
        return False
    around = one.heading | one.file, other.heading | other.file
    apart = one.telling - other.telling - around[1], other.telling - one.telling - around[0]
    if apart[0] and apart[1]:  # each says something of its own: two things
        return False
    if one.file & other.file and _differ(one.file, other.file, both):  # leave-interns.md and leave-managers.md
        return False
    return not _differ(one.heading, other.heading, both)


def _differ(one: frozenset[str], other: frozenset[str], said: frozenset[str]) -> bool:
    """Whether each of two headings names something of its own; years and versions are nothing of that kind."""
    own = (one - other, other - one)
    return all({word for word in each if not word.isdigit()} - _VERSION - said for each in own)


def _share(asked: frozenset[str], text: frozenset[str]) -> float:
    return len(asked & text) / len(asked) if asked else 0.0
