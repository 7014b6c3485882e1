"""What is asked of a whole table: "which room is the cheapest?", "T1 or T2: which is lighter?". Pure.

The answer is worked out where the column is plainly numeric and nothing else is asked: a condition that cannot be
checked ("under 50 g", "in Berlin") leaves the question to the reader.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agent.generation.asked_on import AskedOn
from agent.generation.quantities import Column, column
from agent.rewrite import content_words
from agent.rows import Row, is_kind, rows_named, rows_of
from retrieval.passage import Passage
from retrieval.tokens import words

LEAST = 4  # letters that forms of one word share at least: ship, shipping
_ADJECTIVES: tuple[tuple[str, bool, str, str], ...] = (  # kind of column, whether the highest; superlative, comparative
    ("price", False, r"cheapest|(?:most\s+)?(?:inexpensive|affordable)|(?:billig|günstig|preiswert)st\w*",
     r"cheaper|(?:billig|günstig|preiswert)er\w*"),
    ("price", False, r"(?:least|am\s+wenigsten)\s+(?:expensive|costly|teuer\w*)", r"less\s+(?:expensive|costly)"),
    ("price", True, r"(?:most\s+(?:expensive|costly)|dearest|priciest)|teuerst\w*",
     r"more\s+expensive|dearer|teurer\w*"),
    ("price", True, r"costs?\s+(?:the\s+)?most|kostet\s+am\s+meisten", r"costs?\s+more|kostet\s+mehr"),
    ("price", False, r"costs?\s+(?:the\s+)?least|kostet\s+am\s+wenigsten", r"costs?\s+less|kostet\s+weniger"),
    ("weight", True, r"weighs?\s+(?:the\s+)?most|wiegt\s+am\s+meisten", r"weighs?\s+more|wiegt\s+mehr"),
    ("weight", False, r"weighs?\s+(?:the\s+)?least|wiegt\s+am\s+wenigsten", r"weighs?\s+less|wiegt\s+weniger"),
    ("weight", False, r"lightest|leichtest\w*", r"lighter|leichter\w*"),
    ("weight", True, r"heaviest|schwerst\w*", r"heavier|schwerer\w*"),
    ("time", True, r"longest|längst\w*", r"longer|länger\w*"),
    ("time", False, r"shortest|kürzest\w*", r"shorter|kürzer\w*"),
    ("speed", True, r"fastest|quickest|schnellst\w*", r"faster|quicker|schneller\w*"),
    ("speed", False, r"slowest|langsamst\w*", r"slower|langsamer\w*"),
    ("size", True, r"largest|biggest|größt\w*", r"larger|bigger|größer\w*"),
    ("size", False, r"smallest|kleinst\w*", r"smaller|kleiner\w*"),
    ("", True, r"most|highest|greatest|meisten|höchst\w*", r"more|higher|greater|mehr|höher\w*"),
    ("", False, r"fewest|least|lowest|wenigsten|niedrigst\w*|geringst\w*", r"fewer|less|lower|weniger|niedriger\w*"),
)  # fmt: skip
_ASKED = tuple(
    (kind, highest, re.compile(rf"\b(?:{most})\b", re.IGNORECASE), re.compile(rf"\b(?:{more})\b", re.IGNORECASE))
    for kind, highest, most, more in _ADJECTIVES
)
_QUESTION = re.compile(
    r"(?i)\b(?:what|which|who|where|is|are|welche[rsnm]?|was|wer|wo|ist|sind|show|name|nenne?|zeige?)\b|[?]"
)
# What no column can be held against, or no superlative: "at least 5", "most of", "under 50 g", "no longer".
_CONDITION = re.compile(
    r"(?i)\b(?:at\s+(?:least|most)|most\s+of|(?:no|any)\s+(?:longer|more)|as\s+long|mindestens|höchstens|nicht\s+(?:mehr|länger)"
    r"|under|over|above|below|between|without|except|not|but|other\s+than|second|third|unter|über|zwischen|ohne|außer|nicht|zweit\w*|dritt\w*"
    r"|average|total|sum|durchschnitt\w*|summe)\b"
)
_VERBS = re.compile(r"(?i)lasts?|weighs?|costs?|offers?|holds?|wiegt|kostet|dauert|hält|bietet")
_YES_OR_NO = re.compile(r"(?i)\W*(?:is|are|ist|sind)\b")
_SPEED = re.compile(r"(?i)speed|/h\b|/s\b|bit|geschwindigkeit|tempo")


@dataclass(frozen=True, slots=True)
class Asked:
    """kind: of the column that an adjective names, "" where the question does. is_comparing: "cheaper", of two."""

    kind: str
    highest: bool
    is_comparing: bool
    rest: str  # the question without the adjective


def asked_of_table(question: str) -> Asked | None:
    """The last superlative or comparative of a question that names no condition; mostly None."""
    if not _QUESTION.search(question) or _CONDITION.search(question):
        return None
    found, rest = list[tuple[int, Asked]](), question
    for kind, highest, *shapes in _ASKED:
        for shape, is_comparing in zip(shapes, (False, True), strict=True):
            found += [(place.start(), Asked(kind, highest, is_comparing, "")) for place in shape.finditer(rest)]
            rest = shape.sub(lambda place: " " * len(place[0]), rest)  # of "most expensive" no "most" is left
    return replace(max(found, key=lambda each: each[0])[1], rest=rest) if found else None


def worked_out(
    question: str,
    found: Sequence[Passage],
    whole: Callable[[str], Sequence[Passage]],
    say: Callable[[str], str],
) -> AskedOn | None:
    """The row that a question asks for among all of a table; mostly None.

    found: by the search, best first. whole: all passages of a document, none where they are too many. say: our words.
    """
    asked = asked_of_table(question)
    if asked is None:
        return None
    tried: set[tuple[str, str, str]] = set()
    for passage in found:
        for row in rows_of(passage)[:1]:
            table = passage.source, passage.heading, next(iter(row.cells))
            if table not in tried:
                tried.add(table)
                if (told := _of_table(asked, table, whole(passage.source), say)) is not None:
                    return told
    return None


def _of_table(
    asked: Asked, table: tuple[str, str, str], passages: Sequence[Passage], say: Callable[[str], str]
) -> AskedOn | None:
    source, heading, label = table
    here = [each for each in passages if each.heading == heading]
    rows = [(row, each) for each in here for row in rows_of(each) if next(iter(row.cells)) == label]
    rows = list({row.text: (row, each) for row, each in rows}.values())  # pieces of a document may overlap
    named = rows_named(asked.rest, {row.name for row, _ in rows})
    if asked.is_comparing and len(named) < 2:
        return None
    chosen = _column(asked, [row for row, _ in rows])
    if chosen is None:
        return None
    if asked.kind == "speed" and not _is_speed(chosen):  # the fastest takes the least time
        asked = replace(asked, highest=not asked.highest)
    kept, shared = _meant(asked.rest, [row for row, _ in rows], f"{source} {heading}", named, chosen)
    rows = [rows[place] for place in kept]
    read = column([row.cells.get(chosen, "") for row, _ in rows])
    if read is None or len(rows) < 2:
        return None
    return _told(asked, rows, chosen, read, shared, is_few=len(named) > 1, say=say)


def _column(asked: Asked, rows: Sequence[Row]) -> str | None:
    """The one numeric column that is asked for: by its own words, else by the kind of figure; None where two may be."""
    labels = list(dict.fromkeys(label for row in rows for label in list(row.cells)[1:]))
    read = {label: column([row.cells.get(label, "") for row in rows]) for label in labels}
    numeric = {label: each for label, each in read.items() if each is not None}
    if asked.kind:
        numeric = {label: each for label, each in numeric.items() if _is_of(asked.kind, label, each)}
    said = words(" ".join(content_words(asked.rest)))
    met = {label: sum(_meets(word, words(label)) for word in said) for label in numeric}
    best = [label for label in numeric if met[label] == max(met.values())]
    return best[0] if len(best) == 1 and (asked.kind or met[best[0]]) else None


def _is_of(kind: str, label: str, read: Column) -> bool:
    match kind:
        case "price":
            return read.kind == "money" or is_kind(label, kind)
        case "time":  # "long" is a while, and a way
            return read.kind in ("time", "months", "length") or is_kind(label, kind)
        case "speed":
            return _is_speed(f"{label} {read.kind}") or read.kind in ("time", "months") or is_kind(label, "time")
        case "size":
            return is_kind(label, kind) or read.kind in ("m²", "m2", "sqm", "qm")
        case _:
            return read.kind == kind or is_kind(label, kind)


def _is_speed(label: str) -> bool:
    return _SPEED.search(label) is not None


def _meant(
    rest: str, rows: Sequence[Row], around: str, named: Sequence[str], chosen: str
) -> tuple[list[int], list[str]]:
    """The places of the rows that a question is about, and the words that tell them from the others.

    None where the table lacks a word of it: of its first one, the kind of thing, another will do ("which country is the
    cheapest to ship to?", over "Destination").
    """
    if len(named) > 1:
        return [place for place, row in enumerate(rows) if row.name in named], []
    context = words(f"{around} {' '.join(label for row in rows for label in row.cells)}")
    kept, shared, met = list(range(len(rows))), list[str](), 0
    said = [word for word in content_words(rest) if not _VERBS.fullmatch(word)]
    said = [word for word in said if not _meets(word, words(chosen))]
    if any(word.isdigit() for word in said):  # of which column, its cell does not tell
        return [], []
    for place, word in enumerate(said):
        having = [at for at in kept if _meets(word, words(" ".join(rows[at].cells.values())))]
        is_around = _meets(word, context)
        if having and len(having) < len(kept) and not is_around and not _YES_OR_NO.match(rest):
            kept, shared = having, [*shared, word]
        elif not having and not is_around:
            if place or any(letter.isdigit() for letter in word):
                return [], []
            continue
        met += 1
    return (kept, shared) if met or not said else ([], [])


def _meets(word: str, others: Sequence[str]) -> bool:
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

    asked_for = content_words(asked.rest)

    def shown(place: int) -> str:
        row, passage = rows[place]
        others = [each for each in list(row.cells)[1:] if any(_meets(word, words(each)) for word in asked_for)]
        cells = [f"{each}: {row.cells[each]}" for each in dict.fromkeys([*others, label])]
        return f"**{row.name}** – {'; '.join(cells)} {marks[passage.id]}"

    end = say("table_same" if not behind else "table_highest" if asked.highest else "table_lowest")
    among = f"{len(rows)} ({', '.join(f'“{word}”' for word in shared)})" if shared else str(len(rows))
    lines = ["\n".join(map(shown, best)), end.format(label=label, count=among)]
    if is_few and behind:
        lines.append("\n".join(map(shown, behind)))
    if lacking := [rows[place][0].name for place, value in enumerate(read.values) if value is None]:
        lines.append(say("table_lacks").format(names=", ".join(lacking)))
    return AskedOn(tuple(passages), "\n\n".join(lines))
