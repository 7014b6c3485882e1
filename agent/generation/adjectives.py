"""Superlatives and comparatives of a question: "which is the cheapest?", "T1 or T2: which is lighter?". Pure."""

import re
from dataclasses import dataclass, replace

from agent.rewrite import content_words
from agent.rows import row_of

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
CONDITION = re.compile(
    r"(?i)\b(?:at\s+(?:least|most)|most\s+of|(?:do|does|are|is|can|have|has)\s+most|any\s+(?:longer|more)|as\s+long"
    r"|mindestens|höchstens|under|over|above|below|between|without|except|no|none|not|\w+n['’]t|but|other\s+than|second|third"
    r"|only|besides|apart\s+from|instead|excluding|rest|remaining|next|each|every|if|unless"
    r"|unter|über|zwischen|ohne|außer|nicht|kein\w*|zweit\w*|dritt\w*|nur|neben|statt|anstatt|übrig\w*|jede\w*|falls|wenn"
    r"|average|total|sum|durchschnitt\w*|summe)\b"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """kind: of the column that an adjective names, "" where the question does. is_comparing: "cheaper", of two."""

    kind: str
    highest: bool
    is_comparing: bool
    rest: str  # the question without the adjective


def asked_of_table(question: str) -> Asked | None:
    """The one superlative or comparative of a question that names no condition; mostly None."""
    if not _QUESTION.search(question) or CONDITION.search(question):
        return None
    found, rest = set[Asked](), question
    for kind, highest, *shapes in _ASKED:
        for shape, is_comparing in zip(shapes, (False, True), strict=True):
            if shape.search(rest) is not None:
                found.add(Asked(kind, highest, is_comparing, ""))
                rest = shape.sub(lambda place: " " * len(place[0]), rest)  # of "most expensive" no "most" is left
    return replace(found.pop(), rest=rest) if len(found) == 1 else None


def names_nothing(question: str) -> bool:
    """Whether a question is a superlative alone: "and which is the cheapest?"."""
    asked = asked_of_table(question)
    return asked is not None and not asked.is_comparing and not content_words(asked.rest)


def picks_one(question: str, sentence: str) -> bool:
    """Whether a sentence is a row of a table, of which it says nothing that it is the cheapest or longest asked for."""
    row, shapes = row_of(sentence), [most for _, _, most, _ in _ASKED if most.search(question)]
    return row is not None and bool(shapes) and not any(shape.search(" ".join(row.cells.values())) for shape in shapes)
