"""Rows of a table, as they are kept: `Label: cell; Label: cell`. Which comes first, and how one is said. Pure.

Each row of a file is a passage of its own that repeats the header's words, so rows lie close together in meaning:
"which plan includes phone support?" was nearest to the plan whose support is "e-mail and chat". What tells rows apart
is in their cells, and there a word counts as it stands. Which cell of a row a question is about, its labels tell.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from agent.generation.forms import has_all
from agent.rewrite import content_words
from retrieval.passage import Passage
from retrieval.tokens import words

LONGEST = 60  # characters of a label
_LABEL = re.compile(r"(?:^|; )([^:;\n]{1,60}): ")
_MARKS = re.compile(r"(?<!\])(?<!\] )(?:\s?\[\d+\])++$")  # a run is tried once, from its beginning
_ASKING = re.compile(
    r"(?i)(?:full\s+|first\s+|last\s+)?name|who|what|when|where|wer|was|wann|wo|vorname|nachname|title|titel"
)
_KINDS = {
    "price": (r"how much|cost|price|pay|kostet|kosten|teuer|preis", r"price|cost|fee|rate|charge|preis|kosten|gebühr"),
    "weight": (r"weigh|heavy|wiegt|schwer", r"weight|mass|gewicht|\(k?g\)"),
    "time": (
        r"how long|how many days|wie lange|dauert",
        r"\b(?:duration|time|life|length|range|hours?|minutes?|days?|weeks?|months?|years?)\b|dauer|zeit|länge|reichweite|stunden|minuten|tage|wochen|\((?:h|min)\)",
    ),
    "size": (r"how (?:big|large)|wie groß", r"\bsize|area|capacity|größe|fläche|\bm[2²]"),
}
_ASKS = {
    kind: (re.compile(rf"(?i)\b(?:{asks})"), re.compile(rf"(?i){label}")) for kind, (asks, label) in _KINDS.items()
}


@dataclass(frozen=True, slots=True)
class Row:
    """cells: by label, in order."""

    text: str
    cells: dict[str, str]

    @property
    def name(self) -> str:
        """What the row is about: its first cell."""
        return next(iter(self.cells.values()))


def row_of(text: str) -> Row | None:
    """The row that a line is; mostly None. Where nothing stands above the first column, its label is empty."""
    labels = list(_LABEL.finditer(text))
    if len(labels) < 2 or "\n" in text or labels[0].start() > LONGEST:
        return None
    bare = {"": text[: labels[0].start()].strip()} if labels[0].start() else {}
    if bare and text.endswith((".", "!", "?")):  # prose: "Closed on Monday; from Tuesday: 9 to 5; Sunday: 10 to 4."
        return None
    ends = [label.start() for label in labels[1:]] + [len(text)]
    cells = {label[1]: text[label.end() : end].strip() for label, end in zip(labels, ends, strict=True)}
    return Row(text, bare | cells)


def rows_of(passage: Passage) -> list[Row]:
    """The rows of a table that stand in a passage."""
    return [row for line in passage.text.split("\n") if (row := row_of(line.strip())) is not None]


def spoken_rows(text: str, question: str) -> str:
    """A reply with its rows as people say them: what each is about, and then its columns, what was asked for first.

    "Model: L2; Weight: 34 g; Price: 49 EUR [1]" is "Model L2 – Price: 49 EUR; Weight: 34 g [1]".
    """
    return "\n".join(_spoken(line, question) for line in text.split("\n"))


def _spoken(line: str, question: str) -> str:
    marks = _MARKS.search(line)
    row = row_of(line[: marks.start()] if marks else line)
    if row is None or row.text.endswith((".", "!", "?")):  # prose: "Monday: 9 to 5; Tuesday: 10 to 4; Sunday: closed."
        return line
    about, *labels = row.cells
    is_told = row.name.casefold().startswith(about.casefold()) or _ASKING.fullmatch(about)
    opening = row.name if is_told else f"{about} {row.name}"
    first = [label for label in labels if is_asked(label, question)]
    shown = [*first, *(label for label in labels if label not in first)]
    return f"{opening} – {'; '.join(f'{label}: {row.cells[label]}' for label in shown)}{marks[0] if marks else ''}"


def is_asked(label: str, question: str) -> bool:
    """Whether a question asks for a column: by a word of its label, or "how much?" for a price."""
    if any(has_all(label, [word], is_german=True) for word in content_words(question)):
        return True
    return any(asks.search(question) and shape.search(label) for asks, shape in _ASKS.values())


def is_kind(label: str, kind: str) -> bool:
    """Whether a label names a kind of figure: a `price`, `weight`, `time` or `size`."""
    return _ASKS[kind][1].search(label) is not None


def rows_named(question: str, names: Collection[str]) -> list[str]:
    """Those of some rows' names that a question says, in its order: of "T2 Pro" and "T2" the longer where it can be.

    A name that is a common word must be written as it stands: "can I book it?" says nothing of the row "IT".
    """
    rest, found = question, dict[int, str]()
    near = question.lower()
    for name in sorted((each for each in names if each.lower() in near), key=len, reverse=True):
        case = re.IGNORECASE if content_words(name.lower()) else re.NOFLAG
        shape = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", case)
        if (place := shape.search(rest)) is not None:
            found[place.start()] = name
            rest = shape.sub(lambda met: "\0" * len(met[0]), rest)
    return [found[place] for place in sorted(found)]


def told_apart(question: str, passages: Sequence[Passage]) -> list[Passage]:
    """The passages, with the rows of one table ordered among their own places by what only they have of the question.

    Scores stay with the places: how likely the table answers is not known better by it.
    """
    asked = frozenset(words(" ".join(content_words(question))))
    found = list(passages)
    for places in _tables(passages):
        cells = [_cells(passages[place]) for place in places]
        common = frozenset.intersection(*cells)
        ranked = sorted(range(len(places)), key=lambda i: -len(asked & (cells[i] - common)))
        for place, i in zip(places, ranked, strict=True):
            taken, here = passages[places[i]], passages[place]
            found[place] = replace(taken, score=here.score, similarity=here.similarity)
    return found


def is_of_another_column(question: str, row: str, at: int) -> bool:
    """Whether the question names another column of the row than the one whose cell stands at this place.

    "What does it cost in high season?" names of "low season" one word, and the same and one more of "high season". A
    cell whose own words are in the question tells which row is meant, so its column is not asked for. False where the
    text is no row.
    """
    labels = list(_LABEL.finditer(row))
    if len(labels) < 2 or at < labels[0].end():
        return False
    asked = frozenset(words(" ".join(content_words(question))))
    ends = [label.start() for label in labels[1:]] + [len(row)]
    here, others = frozenset[str](), []
    for label, end in zip(labels, ends, strict=True):
        named = asked & frozenset(words(label[1]))
        if label.end() <= at < end:
            here = named
        elif not asked & frozenset(words(row[label.end() : end])):
            others.append(named)
    return any(here < named for named in others)


def _tables(passages: Sequence[Passage]) -> list[list[int]]:
    """The places of the rows of each table of which several were found."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, passage in enumerate(passages):
        labels = tuple(_LABEL.findall(passage.text))
        if len(labels) > 1 and "\n" not in passage.text:
            groups.setdefault((passage.source, passage.heading, labels[0]), []).append(place)
    return [places for places in groups.values() if len(places) > 1]


def _cells(passage: Passage) -> frozenset[str]:
    """The words of a row without its labels."""
    return frozenset(words(_LABEL.sub(" ", passage.text)))
