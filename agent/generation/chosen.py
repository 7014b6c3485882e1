"""The rows of a table that a question asks for by what stands in their cells: "which boats have four seats?". Pure.

A condition is held against all rows, so that none that meets it is left out and none that does not is shown; where one
word of the question is neither the table's nor plain grammar, nothing is said here. "How many plans are there?" counts.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.conversation import WORD
from agent.generation.adjectives import asked_of_table
from agent.generation.asked_on import AskedOn
from agent.generation.forms import days_of, has_all
from agent.generation.quantities import is_figure
from agent.generation.superlatives import NO, Table, meets, one_table, rows_of_table, tables_among
from agent.rewrite import content_words
from agent.rows import Row
from agent.surface import looks_like_question
from retrieval.passage import Passage
from retrieval.tokens import words

MOST = 12  # rows said at once
Rows = Sequence[tuple[Row, Passage]]
_WHICH = re.compile(
    r"(?i)\W*(?:(?:and|so|ok|hi|please|und|also)\b[\s,]*)*(?:(?:at|on|in)\s+)?"
    r"(?:(?:which|what|welche[rsnm]?)\s+(?:of\s+)?(?:(?:the|our|your|der|den)\s+)?(?P<kind>[\w-]+)|(?P<who>who|wer)\b)"
)
_COUNTS = re.compile(
    r"(?i)\W*(?:(?:and|so|ok|hi|please|und|also)\b[\s,]*)*(?:how\s+many|wie\s*viele)\s+(?P<kind>(?:[\w-]+\s+){0,2}?[\w-]+)\s+"
    r"(?:are\s+there|do\s+(?:we|you)\s+(?:have|offer)|does\s+\w+\s+(?:have|offer)|have\s+we\s+got|gibt\s+es|haben\s+wir|habt\s+ihr)\b"
)
# What is compared, or held at another time: no cell tells it by its words.
_BEYOND = re.compile(
    r"(?i)\b(?:at\s+(?:least|most)|more|less|fewer|most|than|mindestens|höchstens|mehr|weniger|als|under|over|above|below|between|up\s+to|before|after|since"
    r"|except|but|other|besides|only|both|or|either|last|first|next|previous\w*|former\w*|used\s+to|did|was|were|will|if|unless|until|who(?:m|se)?|when|where|how"
    r"|unter|über|zwischen|bis|vor|nach|seit|außer|nur|sowohl|oder|letzte\w*|nächste\w*|früher|war|waren|falls|wenn|wann|wo|wie)\b"
)
_DENIES = re.compile(r"(?i)(?:no|not|none|without|\w+n['’]?t|kein\w*|nicht|ohne)")
DOES = re.compile(
    r"(?i)includ\w*|have|has|having|gets?|offers?|comes?|contains?|holds?|gives?|provides?|allows?|needs?|needed|requires?|required|takes?|works?|list|name|available"
    r"|enthält|enthalten|bietet|bieten|hat|haben|brauch\w*|benötig\w*|arbeitet|arbeiten|verfügbar\w*|beinhaltet|there"
)
_OPENS = re.compile(
    r"(?i)\W*(?:when|what\s+(?:time|hours)|what\s+are|is|are|wann|hat|haben|ist|sind|wie\s+lange|how\s+long)\b"
)
_HOURS = re.compile(r"(?i)open\w*|clos\w+|hours?|times?|geöffnet|offen|öffnungszeiten|öffnet|schließt|geschlossen")
_PERSON = re.compile(
    r"(?i)(?:full\s+)?name|who|wer|person|employee|colleague|contact|staff|member|mitarbeiter\w*|kolleg\w+"
)
_NUMBERS = {
    word: str(number)
    for number, both in enumerate(
        "zero/null one/ein two/zwei three/drei four/vier five/fünf six/sechs seven/sieben eight/acht nine/neun ten/zehn"
        " eleven/elf twelve/zwölf".split()
    )
    for word in both.split("/")
}
_YES = frozenset("yes ja ✓ ✔ ✅ true x included inklusive free".split())


@dataclass(frozen=True, slots=True)
class _Wish:
    """A condition: rows in one of whose columns `labels` the word stands; no word: a column that must not say no."""

    labels: tuple[str, ...]
    word: str
    denied: bool

    def met_by(self, row: Row) -> bool:
        if self.word:
            return any(_has(row.cells.get(label, ""), self.word) for label in self.labels) is not self.denied
        return all(row.cells.get(label, "-").strip().casefold() not in NO for label in self.labels) is not self.denied


def chosen(
    question: str, found: Sequence[Passage], whole: Callable[[str], Sequence[Passage]], say: Callable[[str], str]
) -> AskedOn | None:
    """The rows that meet what a question says of them, or how many there are; mostly None.

    found: by the search, best first. whole: all passages of a document, none where they are too many. say: our words.
    """
    counts = _COUNTS.match(question)
    asked = counts or _WHICH.match(question)
    is_elsewhere = bool(found) and looks_like_question(found[0].heading)  # a question that was answered once
    if asked is None or is_elsewhere or _BEYOND.search(question, asked.end()) or asked_of_table(question) is not None:
        return None
    rest = question[asked.end() :]
    told = dict[Table, AskedOn]()
    for table in tables_among(found):
        rows = rows_of_table(table, whole(table[0]))
        if rows and (wishes := _wishes(asked, rest, rows, table)) is not None:
            kept = [(row, passage) for row, passage in rows if all(wish.met_by(row) for wish in wishes)]
            if 0 < len(kept) <= MOST and (counts or wishes):
                told[table] = _counted(kept, say) if counts else _said(kept, wishes)
    return one_table(asked["kind"] or "", told)


def of_days(
    question: str, found: Sequence[Passage], whole: Callable[[str], Sequence[Passage]], _: Callable[[str], str]
) -> AskedOn | None:
    """The row of the day that a question names, of a table with a row for each: "when are we open on Mondays?"."""
    days, told = days_of(question), dict[Table, AskedOn]()
    if not days or not _OPENS.match(question) or _BEYOND.search(question, 8):
        return None
    for table in tables_among(found):
        rows = rows_of_table(table, whole(table[0])) or []
        there = words(" ".join([*table, *(label for row, _ in rows for label in row.cells)]))
        said = [word for word in content_words(question) if not days_of(word) and not _HOURS.fullmatch(word)]
        kept = [(row, passage) for row, passage in rows if days <= days_of(row.name)]
        if kept and all(days_of(row.name) for row, _ in rows) and all(meets(word, there) for word in said):
            labels = tuple(label for label in dict.fromkeys(label for row, _ in kept for label in row.cells))[1:]
            told[table] = _said(kept, [_Wish((label,), "", denied=False) for label in labels])
    return one_table(question, told)


def asks_for_rows(question: str, label: str) -> bool:
    """Whether a question asks which rows have a column, and not what stands in it: "which plan has a large locker?"."""
    asked = _WHICH.match(question)
    if asked is None or asked["who"]:
        return asked is not None
    return bool(content_words(asked["kind"])) and not meets(asked["kind"], words(label))


def _wishes(asked: re.Match[str], rest: str, rows: Rows, table: Table) -> list[_Wish] | None:
    """What a question says of the rows; None where a word of it tells nothing here."""
    source, heading, first = table
    around, kind = words(f"{source} {heading} {first}"), asked["kind"] or ""
    if not (_PERSON.fullmatch(first) if not kind else all(meets(each, around) for each in content_words(kind))):
        return None
    if kind and not has_all(f"{heading.rpartition(' > ')[2]} {first}", kind.split()[-1:], is_german=True):
        return None
    labels = [label for label in dict.fromkeys(label for row, _ in rows for label in row.cells) if label != first]
    topic = {word.casefold() for word in content_words(rest)}
    named, values, denied = dict[str, bool](), list[tuple[str, list[str], bool]](), False
    for said in WORD.findall(rest):
        word = _NUMBERS.get(said.casefold(), said.casefold())
        if _DENIES.fullmatch(word):
            denied = True
        elif word.isdigit() or (word in topic and not DOES.fullmatch(word)):
            met = [label for label in labels if meets(word, words(label))]
            having = [label for label in labels if any(_has(row.cells.get(label, ""), word) for row, _ in rows)]
            if met:
                named |= {label: denied or named.get(label, False) for label in met}
            elif having:
                values.append((word, having, denied))
            elif not meets(word, around):
                return None
            denied = denied and not (met or having)
    return None if denied else _settled(named, values, rows)


def _settled(named: dict[str, bool], values: Sequence[tuple[str, list[str], bool]], rows: Rows) -> list[_Wish] | None:
    """The conditions: each word in the column that is named beside it, and of a column alone that it says yes."""
    wishes, used = list[_Wish](), set[str]()
    for word, having, denied in values:
        here = [label for label in having if label in named]
        if len(here) != 1 and word.isdigit():  # of what the figure is, nothing tells
            return None
        denies = denied or any(named[label] for label in here)
        wishes.append(_Wish(tuple(here or having), word, denies))
        used.update(here)
    for label in named.keys() - used:
        cells = {row.cells.get(label, "-").strip().casefold() for row, _ in rows}
        if not cells & (NO | _YES):
            return None
        wishes.append(_Wish((label,), "", named[label]))
    return wishes


def _has(cell: str, word: str) -> bool:
    """Whether a word stands in a cell: a day also within "Monday to Friday"; a figure as the cell's own."""
    if word.isdigit():
        return is_figure(cell) and words(cell)[:1] == [word]
    if day := days_of(word):
        return day <= days_of(cell)
    return meets(word, words(cell))


def _counted(kept: Rows, say: Callable[[str], str]) -> AskedOn:
    passages, marks = _marked(kept)
    names = ", ".join(f"{row.name} {marks[passage.id]}" for row, passage in kept)
    return AskedOn(passages, say("table_count").format(count=len(kept), names=names))


def _said(kept: Rows, wishes: Sequence[_Wish]) -> AskedOn:
    passages, marks = _marked(kept)
    lines = list[str]()
    for row, passage in kept:
        of = dict.fromkeys(label for wish in wishes for label in wish.labels if label in row.cells)
        if len(of) > len(wishes):  # the word may stand in any of them
            of = dict.fromkeys(label for label in of if any(_has(row.cells[label], wish.word) for wish in wishes))
        cells = "; ".join(f"{label}: {row.cells[label]}" for label in of)
        lines.append(f"**{row.name}**{f' – {cells}' if cells else ''} {marks[passage.id]}")
    return AskedOn(passages, "\n".join(lines))


def _marked(kept: Rows) -> tuple[tuple[Passage, ...], dict[int, str]]:
    passages = tuple({passage.id: passage for _, passage in kept}.values())
    return passages, {each.id: f"[{number}]" for number, each in enumerate(passages, 1)}
