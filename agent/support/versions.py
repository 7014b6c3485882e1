"""An older document beside a newer one: what they say apart of what was asked, also in other words. Pure.

`conflicts` names two sentences only where all of their telling words agree. Of two documents of which one is of an
earlier day, or says that it is old, less is enough to show both: a figure of the same kind that differs, or one that
denies what the other says, in sentences about what was asked. Nobody is misled by both, with their days; who reads the
older alone is.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import combinations, product

from agent.generation.answer import is_dated, leans_back
from agent.generation.asked_kind import lacks_kind
from agent.generation.facts import denied, is_month, measured, names
from agent.generation.sentences import Kind, cut
from agent.german import language_of
from agent.rewrite import content_words
from agent.support.conflicts import HIGH, LOOSE, LOW, NUMBERED, Conflict, Statement
from retrieval.passage import Passage
from retrieval.tokens import words

COVERED, WELL = 0.5, 0.6  # of a question's topic words, the share that both statements with their headings must have,
# and one of them
BEST, ANY = (
    0.1,
    5,
)  # the search's probability of the better passage, from about which one is quoted; how many are compared
SHARED = 2  # telling words that both must have, headings included
APART = timedelta(days=180)  # a day in a name against the day of the other's file: less may be the same version
STEM = 4  # letters that forms of one word share at least
LONGEST, PLAIN = 240, 140  # characters of a sentence; of one that denies what another says
_OLD = frozenset(words("old outdated obsolete superseded archive archived deprecated legacy alt alte veraltet archiv"))
_DAYS = frozenset(
    words(
        "monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch donnerstag freitag samstag "
        "sonntag"
    )
)
_GRAMMAR = frozenset(
    words(
        "wie oft viel viele was wer wo wann warum welche welcher welches muss müssen darf dürfen kann können soll "
        "sollen hat haben ist sind wird werden ich wir man mein meine mir uns unser unsere der die das den dem des ein "
        "eine einen einem im in an am auf für von vom zu zum zur mit bei bis alle und oder es sie gibt es auch noch "
        "often many much long when"
    )
)
_COSTS = frozenset(
    words(
        "cost costs price prices pay pays paid charge charges charged fee fees kostet kosten preis preise "
        "zahlt zahlen bezahlt gebühr gebühren"
    )
)
_VERB = re.compile(
    r"(?i)\b(?:is|are|was|were|be|must|may|can|cannot|could|should|shall|will|would|need|needs|has|have|had|do|does|get"
    r"|gets|receives?|takes?|pays?|costs?|changes?|expires?|lasts?|opens?|closes?|starts?|begins?|ends?|runs?|allows?"
    r"|ist|sind|war|muss|müssen|darf|dürfen|kann|können|soll|sollen|hat|haben|wird|werden|beträgt|gilt|gelten|öffnet"
    r"|schließt|kostet|kosten|bekommt|bekommen|erhält|erhalten|endet|beginnt|läuft)\b"
)
_JOINT = re.compile(r"(?:,? (?:and|but|und|aber)|[,;]) ")
_CLOCK = re.compile(r"\s?(?::\d\d|[ap]\.?m\b|o['’]clock|Uhr\b)", re.IGNORECASE)
_NO_COUNT = re.compile(r"(?i)\W*(?:who|whom|whose|where|why|wer|wem|wen|wo|woher|warum|wieso)\b")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_DATE = re.compile(r"\d[-./]\d")
_RANGE = re.compile(r"\s?(?:-|–|to|bis|and|und|or|oder)\s?\d", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Clause:
    """A part of a sentence with what it takes over from the rest. figures: values by what they count."""

    statement: Statement
    telling: frozenset[str]
    subject: frozenset[str]
    names: frozenset[str]
    denied: frozenset[str]
    figures: dict[str, frozenset[float]]
    bounds: tuple[bool, bool]
    heading: frozenset[str]
    share: float  # of the question's topic words, with the heading


def apart(question: str, passages: Sequence[Passage]) -> Iterator[Conflict]:
    """Statements of two documents that may differ on a question, those nearest to it first.

    Whether they do, tells who knows that one of the documents is of an earlier version (`succeeds`); `is_even` says
    whether both may be meant.
    """
    asked = frozenset(words(" ".join(content_words(question)))) - _GRAMMAR
    if not asked or _YEAR.search(question):  # who names a year wants what held then
        return
    read = [list(_clauses(passage, place, asked)) for place, passage in enumerate(passages[:ANY])]
    counts = _NO_COUNT.match(question) is None
    found = [
        (ours.share + theirs.share, Conflict(ours.statement, theirs.statement))
        for i, j in combinations(range(len(read)), 2)
        if passages[i].source != passages[j].source and max(passages[i].score, passages[j].score) >= BEST
        for ours, theirs in product(read[i], read[j])
        if max(ours.share, theirs.share) >= WELL and _differ(ours, theirs, asked, counts=counts)
    ]
    yield from (conflict for _, conflict in sorted(found, key=lambda pair: -pair[0]))


def is_even(question: str, found: Conflict, passages: Sequence[Passage]) -> bool:
    """Whether both statements of `apart` meet the same words of the question, with all that stands around them.

    Where one has a word of it more, that one is what was asked for: the interns' leave, and not the managers'. What
    something costs and what is paid for it is one.
    """
    asked = frozenset(words(" ".join(content_words(question)))) - _GRAMMAR
    met = []
    for statement in (found.one, found.other):
        passage = passages[statement.passage]
        said = frozenset(words(f"{passage.source} {passage.heading} {statement.text}"))
        met.append({word for word in asked if _has(word, said) or (word in _COSTS and _COSTS & said)})
    return met[0] == met[1]


def is_nearest(question: str, found: Conflict, passages: Sequence[Passage]) -> bool:
    """Whether no sentence that may answer has more of the question's words than either statement has.

    Else that sentence is asked about, and not what two documents say apart beside it: how many days of leave there are
    is no answer to how many may be carried over. Words of the heading count, but where it gives as many to all those
    of the sentence do: under "Opening hours" it is "opens at 8:00" that opens, and not "is closed in winter".
    """
    asked = frozenset(words(" ".join(content_words(question)))) - _GRAMMAR

    def met(passage: Passage, text: str) -> tuple[int, int]:
        own = frozenset(words(text))
        whole = own | frozenset(words(passage.heading))
        return sum(_has(word, whole) for word in asked), sum(_has(word, own) for word in asked)

    nearest = max(met(passages[each.passage], each.text) for each in (found.one, found.other))
    return all(
        met(passage, unit.text) <= nearest
        for passage in passages[:ANY]
        for unit in cut(passage.text)
        if not lacks_kind(question, unit.text)
    )


def says_old(passage: Passage) -> bool:
    """Whether a document's name or heading says that it no longer counts."""
    return bool(_OLD & frozenset(words(f"{passage.source.rpartition('/')[2]} {passage.heading}")))


def succeeds(
    stated: tuple[datetime | None, datetime | None],
    files: tuple[datetime | None, datetime | None],
    old: tuple[bool, bool],
) -> bool:
    """Whether one of two documents is surely of an earlier version than the other.

    stated: the days that they give themselves. files: those of their files. old: whether either says so.
    """
    one, other = stated
    if one is not None and other is not None:
        return one != other
    if old[0] != old[1]:
        return True
    day, file = (one, files[1]) if one is not None else (other, files[0])
    return day is not None and file is not None and file - day >= APART


def _clauses(passage: Passage, place: int, asked: frozenset[str]) -> Iterator[_Clause]:
    """Those that are about what was asked."""
    heading = frozenset(words(passage.heading))
    known = {word: _has(word, heading) for word in asked}
    units = cut(passage.text)
    for at, unit in enumerate(units):
        if unit.kind is Kind.CODE or len(unit.text) > LONGEST or is_dated(unit.text):
            continue
        is_led = at > 0 and units[at - 1].block == unit.block and leans_back(unit.text)  # "They are not changed"
        led = _opening(units[at - 1].text) if is_led else frozenset[str]()
        said = led | frozenset(words(unit.text))
        if sum(known[word] or _has(word, said) for word in asked) < COVERED * len(asked):
            continue
        whole = " ".join(f"{unit.head} {unit.text}".split() if unit.kind is Kind.ROW else unit.text.split())
        shown = f"{units[at - 1].text} {whole}" if is_led else whole
        parts = _parts(whole)
        subject = led or _opening(parts[0])
        for number, part in enumerate(parts):
            made = _clause(Statement(shown, place, frozenset()), part, heading, subject if number else led)
            share = sum(_has(word, made.telling | heading) for word in asked) / len(asked)
            if share >= COVERED:
                yield replace(made, share=share)


def _opening(text: str) -> frozenset[str]:
    """What a sentence begins with, mostly what it is about."""
    return frozenset(words(" ".join(content_words(text)[:1])))


def _parts(text: str) -> list[str]:
    """A sentence's parts, where several count something of their own: "have 8 characters and change every 90 days"."""
    joints = [0, *(joint.end() for joint in _JOINT.finditer(text)), len(text)]
    parts, start = [], 0
    for at in joints[1:]:
        part, rest = text[start:at], text[at:]
        if at == len(text) or (_counts(part) and _counts(rest) and _VERB.search(" ".join(rest.split()[:4]))):
            parts.append(part)
            start = at
    return [part.strip(" ,;") for part in parts if part.strip(" ,;")] or [text]


def _counts(text: str) -> dict[str, frozenset[float]]:
    """The figures of a text by the word behind them; of a range that behind its end."""
    found: dict[str, set[float]] = {}
    open_ended: list[float] = []
    for value, shown in measured(text):
        behind = text.partition(shown)[2]
        kind = "clock" if _CLOCK.match(behind) or _CLOCK.search(shown) else ""
        kind = "date" if value < 0 or _DATE.search(shown) or is_month(behind) else kind
        if kind:
            found.setdefault(kind, set()).add(value)
            continue
        open_ended.append(value)
        if _RANGE.match(behind):
            continue
        following = words(" ".join(behind.split()[:1]))
        if following and not following[0].isdigit():
            found.setdefault(following[0], set()).update(open_ended)
        open_ended = []
    return {unit: frozenset(values) for unit, values in found.items()}


def _clause(statement: Statement, part: str, heading: frozenset[str], subject: frozenset[str]) -> _Clause:
    numbered = frozenset("".join(found) for found in NUMBERED.findall(part))
    is_german = language_of(statement.text) == "de"
    named = {word for name in names(part, is_german=is_german).certain for word in words(name)}
    counts = _counts(part)
    verb = _VERB.search(part)
    said = {word for word in words(" ".join(content_words(part))) if not word.isdigit()} - _GRAMMAR
    before = part[: verb.start()] if verb else ""
    opening = {word for word in words(" ".join(content_words(before))) if not word.isdigit()} - LOOSE - _GRAMMAR
    return _Clause(
        statement,
        frozenset(said | subject) - LOOSE,
        frozenset(opening) or subject,
        numbered | named - _DAYS,
        denied(part),
        counts,
        (LOW.search(part) is not None, HIGH.search(part) is not None),
        heading,
        0.0,
    )


def _differ(one: _Clause, other: _Clause, asked: frozenset[str], *, counts: bool) -> bool:
    if one.names - other.names and other.names - one.names:
        return False
    around = one.heading | other.heading
    if _own(one.subject, other.subject | around) and _own(other.subject, one.subject | around):
        return False  # part-time and full-time
    timed = int(any(kind in one.figures and kind in other.figures for kind in ("clock", "date")))
    if max(_shared(one, other), _shared(other, one)) + timed < SHARED:
        return False
    return (counts and _counts_apart(one, other)) or _denies(one, other, asked) or _denies(other, one, asked)


def _counts_apart(one: _Clause, other: _Clause) -> bool:
    if one.bounds != other.bounds and True in one.bounds and True in other.bounds:
        return False
    both = set(one.figures) & set(other.figures)
    return bool(both) and all(one.figures[unit] != other.figures[unit] for unit in both)


def _denies(one: _Clause, other: _Clause, asked: frozenset[str]) -> bool:
    """Whether one denies a word that was asked about and that the other says."""
    about = {word for word in one.denied if _has(word, asked)}
    if min(one.share, other.share) < WELL or max(len(one.statement.text), len(other.statement.text)) > PLAIN:
        return False
    return any(_has(word, other.telling) and not _has(word, other.denied) for word in about)


def _shared(one: _Clause, other: _Clause) -> int:
    return sum(_has(word, other.telling | other.heading) for word in one.telling)


def _own(words_of: Collection[str], others: Collection[str]) -> list[str]:
    return [word for word in words_of if not _has(word, others)]


def _has(word: str, others: Collection[str]) -> bool:
    if word in others:
        return True
    one = _bare(word)
    start = one[:STEM]  # looked at first: of two words it mostly differs
    if len(start) < STEM:
        return False
    return any(_is_one(one, _bare(other)) for other in others if other[:STEM] == start or other[:2] == "ge")


def _bare(word: str) -> str:
    return word[2:] if word[:2] == "ge" and len(word) > 6 else word


def _is_one(one: str, two: str) -> bool:
    """Whether two words are forms of one: change, changed; ändern, geändert."""
    least = max(STEM, min(len(one), len(two)) - 1)
    return len(one) >= least and one[:least] == two[:least]
