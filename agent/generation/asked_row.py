"""Whether a row of a table has what is asked of it: "what is Ann's birthday?" where no column tells birthdays. Pure.

A row names Ann, so it lies near every question about her. It answers where each word of the question is its own: in its
cells, above its columns or over the table; a figure is asked for by what stands above it.
"""

import re

from agent.generation.chosen import DOES
from agent.generation.forms import days_of, has_all
from agent.generation.superlatives import meets
from agent.german import language_of
from agent.rewrite import content_words
from agent.rows import row_of
from retrieval.passage import Passage
from retrieval.tokens import words

_LONGEST = 60  # characters of a cell: what is longer is prose, which says things in other words
_GRAMMAR = re.compile(
    r"(?i)much|many|long|number|amount|tell|know|details?|information|info|kind|sort|type|cost\w*|price\w*|pay|happen\w*|teuer|kostet|kosten|hoch|viele?|lange?|zahl|art"
    r"|open\w*|closed?|closes|start\w*|beg[iu]n\w*|ends?|lasts?|geöffnet|offen|öffnet|schließt|beginnt|endet"
)
_MANY = re.compile(r"(?i)\b(?:how\s+many|wie\s*viele)\s+(?P<what>[\w-]+)")
_MEASURES = {  # what must stand above a column for "how old?"
    "old|alt": "age\\b|born|birth|built|alter|geb|baujahr",
    "heavy|schwer": "weight|mass|kg|gewicht",
    "tall|high": "height|high|höhe",
    "deep|tief": "depth|deep|draught|tief",
    "fast|schnell": "speed|fast|time|tempo|geschwindigkeit|zeit|dauer",
    "big|large|groß": "size|area|capacity|length|width|seats|people|m²|größe|fläche|plätze",
}
_HOW = tuple(
    (re.compile(rf"(?i)\b(?:how|wie)\s+(?:{how})\b"), re.compile(rf"(?i){label}")) for how, label in _MEASURES.items()
)
_MAIL = re.compile(r"(?i)\be?-?mail(?:[\s-]*(?:address|adress)\w*)?")


def lacks_asked(question: str, passage: Passage, text: str) -> bool:
    """Whether rows of a table do not have what a question names; False for a text that is none.

    text: one row of the passage, or the whole of it.
    """
    rows = [row for line in text.split("\n") if (row := row_of(line.strip())) is not None]
    if not rows or any(len(cell) > _LONGEST for row in rows for cell in row.cells.values()):
        return False
    labels = [label for row in rows for label in row.cells]
    if (many := _MANY.search(question)) and not any(meets(many["what"], words(label)) for label in labels):
        return True
    if any(how.search(question) and not any(map(shape.search, labels)) for how, shape in _HOW):
        return True
    days = days_of(question)
    if days and not any(days & days_of(cell) for row in rows for cell in row.cells.values()):
        return True
    around = _MAIL.sub("mail", f"{passage.source} {passage.heading} {text}")
    there, is_german = words(around), language_of(question) == "de"
    asked = [word for word in content_words(_MAIL.sub("mail", question)) if not days_of(word)]
    own = [word for word in asked if not (DOES.fullmatch(word) or _GRAMMAR.fullmatch(word) or _is_how(word))]
    return not all(meets(word, there) or has_all(around, [word], is_german=is_german) for word in own)


def _is_how(word: str) -> bool:
    return any(how.search(f"how {word}") for how, _ in _HOW)
