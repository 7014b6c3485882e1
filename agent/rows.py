"""Rows of a table that the search found: the one that has the question's words comes before those that lack them. Pure.

Each row is a passage of its own that repeats the header's words, so rows lie close together in meaning: "which plan
includes phone support?" was nearest to the plan whose support is "e-mail and chat". What tells rows apart is in their
cells, and there a word counts as it stands. Which cell of a row a question is about, its labels tell.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from agent.rewrite import content_words
from retrieval.passage import Passage
from retrieval.tokens import words

_LABEL = re.compile(r"(?:^|; )([^:;\n]{1,60}): ")


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
