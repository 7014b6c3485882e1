"""What is asked of a table's cells by the names of their row and column: "how many users does Business include?". Pure.

The readers take a row for a sentence and seldom believe it. Where a question names a column and a row, and every other
word of it is the table's too, the cell is what was asked for; where it names only the column and what the rows are
("what do the plans cost?"), all rows are, of which one would be a third of the answer.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.generation.adjectives import CONDITION, asked_of_table
from agent.generation.asked_on import AskedOn
from agent.generation.chosen import asks_for_rows
from agent.generation.superlatives import Table, meets, one_table, rows_of_table, tables_among
from agent.rewrite import content_words
from agent.rows import is_asked, is_kind, rows_named
from agent.surface import looks_like_question
from retrieval.passage import Passage
from retrieval.tokens import words

MOST = 12  # cells said at once
# What a row does with its cells: it asks for no more.
_HAS = re.compile(
    r"(?i)includ\w*|have|has|having|gets?|offers?|comes?|contains?|holds?|gives?|provides?|allows?|costs?|prices?|priced"
    r"|pays?|takes?|lasts?|weighs?|much|many|long|big|large|heavy|amount|number|available|enthält|enthalten|bietet|bieten"
    r"|kostet|kosten|umfasst|dauert|dauern|wiegt|wiegen|viele?|hoch|teuer|lange?|verfügbar\w*|inklusive|beinhaltet"
)
_PERIOD = re.compile(
    r"(?i)(?:hour|day|week|month|year|night|stunde|tag|woche|monat|jahr|nacht)[ens]*|annually|monthly|yearly"
)
_ASKS = re.compile(
    r"(?i)\W*(?:(?:and|so|ok|hi|please|und|also)\b[\s,]*)*(?:how|what|which|does|do|is|are|wie|was|welche\w*|hat|haben|ist"
    r"|sind|gibt|bietet|enthält)\b"
)
_COSTS = re.compile(r"(?i)\b(?:costs?|price|priced|kostet|kosten|teuer)\b")
_MONEY = re.compile(r"(?i)[€$£¥]|\b(?:eur|usd|gbp|chf|euros?|dollars?|pounds?|francs?|franken|free|gratis|kostenlos)\b")
_MORE = re.compile(  # what held at another time, a second question
    r"(?i)\b(?:last|next|previous\w*|former\w*|used\s+to|did|were|will|letzte\w*|nächste\w*|früher|war|waren"
    r"|(?:and|und)\s+(?:how|what|which|who|when|where|wie|was|wer|wann|wo))\b"
)


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell between the names of its row and its column."""

    of: str  # what it is said of: a plan, a cabin
    label: str
    text: str
    passage: Passage


def told(
    question: str, found: Sequence[Passage], whole: Callable[[str], Sequence[Passage]], say: Callable[[str], str]
) -> AskedOn | None:
    """The cells that a question asks for by their names; mostly None, also where two tables would tell.

    found: by the search, best first. whole: all passages of a document, none where they are too many. say: our words.
    """
    is_elsewhere = bool(found) and looks_like_question(found[0].heading)  # a question that was answered once
    if is_elsewhere or not _ASKS.match(question) or asked_of_table(question) is not None:
        return None
    if CONDITION.search(question) or _MORE.search(question):
        return None
    cells = {
        table: each
        for table in tables_among(found)
        if (each := _of_table(question, table, whole(table[0]))) is not None
    }
    chosen = one_table(question, cells)
    return None if chosen is None else _said(chosen[0], say, is_unsure=chosen[1])


def _of_table(question: str, table: Table, passages: Sequence[Passage]) -> tuple[list[_Cell], bool] | None:
    """The cells, and whether a while is asked for that is not the column's: what is per month, for a year."""
    rows = rows_of_table(table, passages)
    if not rows or max(Counter(row.name for row, _ in rows).values()) > 1:  # two rows of one name may be of two years
        return None
    by_row = [_Cell(row.name, label, cell, each) for row, each in rows for label, cell in list(row.cells.items())[1:]]
    by_column = [_Cell(each.label, each.of, each.text, each.passage) for each in by_row]
    around = words(f"{table[0]} {table[1]} {table[2]}")
    ways = [by_row] if table[2] else [by_column, by_row]  # what stands above no column is mostly a table on its side
    return next((told for cells in ways if (told := _chosen(question, cells, around)) is not None), None)


def _chosen(question: str, cells: Sequence[_Cell], around: Sequence[str]) -> tuple[list[_Cell], bool] | None:
    named = rows_named(question, {each.of for each in cells})
    rest = question
    for name in named:
        rest = rest.replace(name, " ")
    asked = _asked(rest, cells)
    if asked is None or (asks_for_rows(question, asked) and not named):
        return None
    there = [each for each in cells if each.label == asked]
    kept = [each for each in there if not named or each.of in named]
    strange, has_kind = list[str](), bool(named)
    for word in content_words(question):
        if meets(word, words(" ".join([asked, *named]))) or _HAS.fullmatch(word):
            continue
        if meets(word, around):
            has_kind = True
        elif not (named and any(meets(word, words(each.text)) for each in there)):
            strange.append(word)
    if not has_kind or not all(map(_PERIOD.fullmatch, strange)) or not 0 < len(kept) <= MOST:
        return None
    return (kept, bool(strange)) if named or len(kept) > 1 else None


def _asked(question: str, cells: Sequence[_Cell]) -> str | None:
    """The one label that a question asks for: by its words, else by the kind of figure that its cells are."""
    labels = list(dict.fromkeys(each.label for each in cells))
    said = [word for word in content_words(question) if not _PERIOD.fullmatch(word)]
    by_words = [label for label in labels if any(meets(word, words(label)) for word in said)]
    by_kind = [
        label
        for label in labels
        if is_asked(label, question) and any(c.isdigit() for each in cells if each.label == label for c in each.text)
    ]
    if _COSTS.search(question) and by_words:  # what a guest costs is no number of guests
        is_price = {each.label for each in cells if is_kind(each.label, "price") or _MONEY.search(each.text)}
        by_words = [label for label in by_words if label in is_price]
    found = by_words or by_kind
    return found[0] if len(found) == 1 else None


def _said(cells: Sequence[_Cell], say: Callable[[str], str], *, is_unsure: bool) -> AskedOn:
    passages = list({each.passage.id: each.passage for each in cells}.values())
    marks = {each.id: f"[{number}]" for number, each in enumerate(passages, 1)}
    lines = [f"**{each.of}** – {each.label}: {each.text} {marks[each.passage.id]}" for each in cells]
    quoted = "\n".join(lines)
    return AskedOn(tuple(passages), f"{say('unsure')}\n\n{quoted}" if is_unsure else quoted)
