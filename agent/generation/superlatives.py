"""What is asked of a whole table: "which room is the cheapest?", "T1 or T2: which is lighter?". Pure.

The answer is worked out where the column is plainly numeric and nothing else is asked: a condition that cannot be
checked ("under 50 g", "in Berlin", "with breakfast"), a second wish, a total among the rows or a second table that
would answer too leave the question to the reader. What is worked out wrongly is said as surely as what is right.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from agent.generation.adjectives import Asked, asked_of_table
from agent.generation.asked_on import AskedOn
from agent.generation.facts import denied
from agent.generation.quantities import Column, column, is_figure
from agent.rewrite import content_words
from agent.rows import Row, is_kind, rows_named, rows_of
from retrieval.passage import Passage
from retrieval.tokens import words

LEAST = 4  # letters that forms of one word share at least: ship, shipping
_VERBS = re.compile(r"(?i)lasts?|weighs?|costs?|offers?|holds?|wiegt|kostet|dauert|hält|bietet")
_YES_OR_NO = re.compile(r"(?i)\W*(?:is|are|ist|sind)\b(?!\s+there\b)")
_THAN = re.compile(r"(?i)\b(?:than|als)\b")
_OF_KIND = re.compile(
    r"(?i)\b(?:which|what|welche[rsnm]?)\s+(?:of\s+)?(?:(?:the|our|your|der|den)\s+)?(?P<kind>[\w-]+)"
)
_SPEED = re.compile(r"(?i)speed|km/h|/h\b|m/s|[kmg]bit|[kmg]bps|geschwindigkeit|tempo")
_TAKES = re.compile(r"(?i)duration|\b(?:delivery|transit|travel)?\s?time\b|takes|dauer|\w*zeit\b|lieferung")
_WAY = re.compile(
    r"(?i)distance|length|reach|range|\bway|route|\((?:k|c|m)?m\)|länge|distanz|strecke|entfernung|reichweite"
)
# Figures of the same unit that are another thing: the heaviest is not what carries most.
_OTHERWISE = {
    "price": re.compile(
        r"(?i)deposit|discount|sav(?:e|ing)|revenue|turnover|budget|salar|\bwage|income|profit|margin|\bfine|refund"
        r"|bonus|limit|kaution|rabatt|ersparnis|umsatz|gehalt|lohn|einkommen|gewinn"
    ),
    "weight": re.compile(r"(?i)load|capacity|max|per\b|pro\b|last\b|nutz|trag|zulad|inhalt|content"),
    "time": re.compile(
        r"(?i)height|width|depth|altitude|elevation|ascent|descent|climb|diameter|\bage\b|warranty|guarantee|delivery"
        r"|notice|höhe|breite|tiefe|durchmesser|anstieg|abstieg|garantie|liefer|frist"
    ),
}
_SUMS = re.compile(
    r"(?i)\W*(?:(?:grand|sub)[\s-]?)?(?:total|sum|average|mean)s?\b|\W*\w*(?:summe|gesamt|durchschnitt|mittelwert)\b"
)
NO = frozenset("no none nein keine ✗ ✘ ❌ false - – — n/a".split())
_YEAR = re.compile(r"(?:19|20)\d\d")
T = TypeVar("T")
Table = tuple[str, str, str]  # its document, its heading, and what stands above its first column


def worked_out(
    question: str,
    found: Sequence[Passage],
    whole: Callable[[str], Sequence[Passage]],
    say: Callable[[str], str],
) -> AskedOn | None:
    """The row that a question asks for among all of a table; mostly None, also where two tables would tell.

    found: by the search, best first. whole: all passages of a document, none where they are too many. say: our words.
    """
    asked = asked_of_table(question)
    if asked is None:
        return None
    told = {
        table: each
        for table in tables_among(found)
        if (each := _of_table(asked, table, whole(table[0]), say)) is not None
    }
    return one_table(asked.rest, told)


def tables_among(found: Sequence[Passage]) -> list[Table]:
    """The tables of which rows were found, each once."""
    tables = (
        (passage.source, passage.heading, next(iter(row.cells))) for passage in found for row in rows_of(passage)[:1]
    )
    return list(dict.fromkeys(tables))


def one_table(question: str, told: Mapping[Table, T]) -> T | None:
    """What the one table says, or of several the one whose rows are what the question names; else None."""
    named = {table for table in told if any(meets(word, words(table[2])) for word in content_words(question))}
    meant = named if len(told) > 1 else told.keys()
    return told[next(iter(meant))] if len(meant) == 1 else None


def _of_table(asked: Asked, table: Table, passages: Sequence[Passage], say: Callable[[str], str]) -> AskedOn | None:
    source, heading, _ = table
    rows = rows_of_table(table, passages)
    if rows is None:
        return None
    named = rows_named(asked.rest, {row.name for row, _ in rows})
    than = _THAN.search(asked.rest)
    if asked.is_comparing and (len(named) < 2 or (than and not rows_named(asked.rest[: than.start()], named))):
        return None  # "which is cheaper than A and B?" asks for a third
    chosen = _column(asked, [row for row, _ in rows])
    if chosen is None:
        return None
    label, measured = chosen
    if asked.kind == "speed" and not _is_speed(label, measured):  # the fastest takes the least time
        asked = replace(asked, highest=not asked.highest)
    meant = _meant(asked.rest, [row for row, _ in rows], f"{source} {heading}", named, label)
    if meant is None:
        return None
    kept, shared = meant
    rows = [rows[place] for place in kept]
    read = column([row.cells.get(label, "") for row, _ in rows])
    if read is None or (len(named) > 1 and len(rows) > len(named)):  # two rows of one name may be of two years
        return None
    return _told(asked, rows, label, read, shared, is_few=len(named) > 1, say=say)


def rows_of_table(table: Table, passages: Sequence[Passage]) -> list[tuple[Row, Passage]] | None:
    """The rows of a table, each once; None where it has no header, rows that lack their first cell, or totals."""
    _, heading, first = table
    here = [(row, each) for each in passages if each.heading == heading for row in rows_of(each)]
    rows = {row.text: (row, each) for row, each in here if next(iter(row.cells)) == first}  # pieces may overlap
    labels = {label for row, _ in rows.values() for label in row.cells}
    if any(is_figure(label) and not _YEAR.fullmatch(label) for label in labels):
        return None
    if any(first in row.cells or next(iter(row.cells)) in labels for row, _ in here if next(iter(row.cells)) != first):
        return None
    if any(_SUMS.match(row.name) or any(map(_SUMS.fullmatch, row.cells.values())) for row, _ in rows.values()):
        return None
    return list(rows.values())


def _column(asked: Asked, rows: Sequence[Row]) -> tuple[str, Column] | None:
    """The one numeric column that is asked for: by its own words, else by the kind of figure; None where two may be."""
    labels = list(dict.fromkeys(label for row in rows for label in list(row.cells)[1:]))
    read = {label: column([row.cells.get(label, "") for row in rows]) for label in labels}
    said = words(" ".join(content_words(asked.rest)))
    met = {label: sum(meets(word, words(label)) for word in said) for label in labels}
    numeric = {
        label: each
        for label, each in read.items()
        if each is not None and (not asked.kind or _is_of(asked.kind, label, each, is_named=met[label] > 0))
    }
    most = max((met[label] for label in numeric), default=0)
    best = [label for label in numeric if met[label] == most]
    return (best[0], numeric[best[0]]) if len(best) == 1 and (asked.kind or most) else None


def _is_of(kind: str, label: str, read: Column, *, is_named: bool) -> bool:
    """Whether a column tells what an adjective asks for. is_named: by the question, in words of its label."""
    if not is_named and kind in _OTHERWISE and _OTHERWISE[kind].search(label):
        return False
    match kind:
        case "price":
            return read.kind == "money" or is_kind(label, kind)
        case "time":  # "long" is a while, and a way
            return read.kind in ("time", "months", "length") or is_kind(label, kind) or _WAY.search(label) is not None
        case "speed":
            is_while = read.kind == "time" or is_kind(label, "time")
            return _is_speed(label, read) or (is_while and (is_named or _TAKES.search(label) is not None))
        case "size":
            return is_kind(label, kind) or read.kind in ("m²", "m2", "sqm", "qm")
        case _:
            return read.kind == kind or is_kind(label, kind)


def _is_speed(label: str, read: Column) -> bool:
    return read.kind != "time" and _SPEED.search(f"{label} {read.kind}") is not None  # "0-100 km/h" is a while


def _meant(
    rest: str, rows: Sequence[Row], around: str, named: Sequence[str], chosen: str
) -> tuple[list[int], list[str]] | None:
    """The places of the rows that a question is about, and the words that tell them from the others.

    None where a word of it is not the table's, or may be a condition that is not checked here. Of the kind of thing
    another word will do ("which country is the cheapest to ship to?", over "Destination"), if one of its own is there.
    """
    first = next(iter(rows[0].cells))
    labels = dict.fromkeys(label for row in rows for label in row.cells)
    context = words(f"{around} {' '.join(labels)}")
    kind = found["kind"].casefold() if (found := _OF_KIND.search(rest)) else ""
    names = words(" ".join(named))
    kept = [place for place, row in enumerate(rows) if len(named) < 2 or row.name in named]
    shared, met, strange = list[str](), bool(named), False
    for word in content_words(rest):
        if _VERBS.fullmatch(word) or meets(word, words(chosen)):
            continue
        if word.isdigit() and word not in names:  # of which column, its cell does not tell
            return None
        if (len(named) > 1 or _YES_OR_NO.match(rest)) and meets(word, names):
            continue
        having = [place for place in kept if meets(word, words(" ".join(rows[place].cells.values())))]
        is_around = meets(word, context)
        is_denied = any(meets(word, _denied(rows[place])) for place in having) or _lacks(word, first, rows)
        if meets(word, words(first)) or (not is_denied and (len(having) == len(kept) or (is_around and not having))):
            met = True
        elif not having and not is_around and word.casefold() == kind:
            strange = True
        elif is_denied or is_around or not having:
            return None
        else:
            kept, shared = having, [*shared, word]
    return None if strange and (shared or not met) else (kept, shared)


def _denied(row: Row) -> list[str]:
    """What a row's cells say it has not: "no dogs"."""
    return [word for cell in row.cells.values() for word in denied(cell)]


def _lacks(word: str, first: str, rows: Sequence[Row]) -> bool:
    """Whether a word names a column that some rows say no to, or nothing: "with breakfast", which not all have."""
    labels = {label for row in rows for label in row.cells if label != first and meets(word, words(label))}
    return any(row.cells.get(label, "-").strip().casefold() in NO for label in labels for row in rows)


def meets(word: str, others: Sequence[str]) -> bool:
    """Whether a word is among others, in any form that begins alike."""
    plain = next(iter(words(word)), word)
    return any(plain == other or _is_form(plain, other) for other in others)


def _is_form(one: str, two: str) -> bool:
    least = max(LEAST, min(len(one), len(two)) - 1)
    return one[:least] == two[:least] and len(one) >= least <= len(two)


def _told(
    asked: Asked,
    rows: Sequence[tuple[Row, Passage]],
    label: str,
    read: Column,
    shared: Sequence[str],
    *,
    is_few: bool,
    say: Callable[[str], str],
) -> AskedOn:
    """The words: the row with its figure, and of a few that were named the others beside it."""
    order = [place for place, value in enumerate(read.values) if value is not None]
    order.sort(key=lambda place: (read.values[place] or 0.0) * (-1 if asked.highest else 1))
    best = [place for place in order if read.values[place] == read.values[order[0]]]
    behind = [place for place in order if place not in best]
    told = [*best, *behind] if is_few else best
    passages = list({rows[place][1].id: rows[place][1] for place in told}.values())
    marks = {each.id: f"[{number}]" for number, each in enumerate(passages, 1)}
    kind = words(next(iter(rows[0][0].cells)))
    asked_for = [word for word in content_words(asked.rest) if not meets(word, kind)]
    names = Counter(row.name for row, _ in rows)

    def shown(place: int) -> str:
        row, passage = rows[place]
        others = [  # of several rows with one name, the other cells tell which it is
            each
            for each in list(row.cells)[1:]
            if names[row.name] > 1 or any(meets(word, words(each)) for word in asked_for)
        ]
        cells = [f"{each}: {row.cells[each]}" for each in dict.fromkeys([*others, label])]
        return f"**{row.name}** – {'; '.join(cells)} {marks[passage.id]}"

    end = say("table_same" if not behind else "table_highest" if asked.highest else "table_lowest")
    among = f"{len(order)} ({', '.join(f'“{word}”' for word in shared)})" if shared else str(len(order))
    lines = ["\n".join(map(shown, best)), end.format(label=label, count=among)]
    if is_few and behind:
        lines.append("\n".join(map(shown, behind)))
    if lacking := [rows[place][0].name for place, value in enumerate(read.values) if value is None]:
        lines.append(say("table_lacks").format(names=", ".join(lacking)))
    return AskedOn(tuple(passages), "\n\n".join(lines))
