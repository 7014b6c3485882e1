"""What may interest a person of past ideas and documents, and why: from what they wrote, voted on and pressed. Pure.

A model says how much liking one thing speaks for another (EASE, Steck 2019), fitted in `finetune.recommender`; likeness
of texts is part of it, so a new idea and a new person are served too. Every recommendation names what it is due to.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agent.ideation.board import Board
from retrieval.passage import Vectors

How = Literal["wrote", "voted", "pressed", "remarked"]
WEIGHTS: dict[How, float] = {"wrote": 1.0, "voted": 1.0, "remarked": 0.6, "pressed": 0.4}
_REASONS: dict[How, str] = {
    "wrote": "you wrote “{text}”",
    "voted": "you voted for “{text}”",
    "remarked": "you remarked on “{text}”",
    "pressed": "you looked at “{text}”",
}


@dataclass(frozen=True, slots=True)
class Item:
    """Something that can be recommended. id: `session/number` of an idea, or a document's source."""

    id: str
    text: str
    authors: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Interest:
    person: str
    item: str
    how: How


@dataclass(frozen=True, slots=True)
class Model:
    """speaks: how much row's item speaks for column's, (n, n), nothing for itself. ids: of the items, in order."""

    ids: tuple[str, ...]
    speaks: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """because, how: the item it is due to, and what the person did with it. reason: that in words."""

    item: Item
    score: float
    because: Item
    how: How
    reason: str


def item_id(session: str, idea: str) -> str:
    return f"{session}/{idea}"


def items_of(boards: Sequence[Board]) -> tuple[Item, ...]:
    """The ideas that stand on boards and may be seen by all."""
    return tuple(
        Item(item_id(board.session.id, each.id), each.text, frozenset(each.authors))
        for board in boards
        for each in board.open
        if not board.is_hidden(each)
    )


def interests_of(boards: Sequence[Board]) -> tuple[Interest, ...]:
    """Who has shown an interest in what, the strongest sign of each once."""
    found: dict[tuple[str, str], How] = {}

    def note(person: str, board: Board, idea: str, how: How) -> None:
        key = (person, item_id(board.session.id, idea))
        if person and (key not in found or WEIGHTS[how] > WEIGHTS[found[key]]):
            found[key] = how

    for board in boards:
        for each in board.open:
            for author in each.authors:
                note(author, board, each.id, "wrote")
        for vote in board.votes:
            if not vote.criterion or vote.value >= 4:
                note(vote.person, board, vote.idea, "voted")
        for remark in board.remarks:
            note(remark.author, board, remark.idea, "remarked")
        for person, idea in board.presses:
            note(person, board, idea, "pressed")
    return tuple(Interest(person, item, how) for (person, item), how in found.items())


def recommend(
    model: Model,
    items: Mapping[str, Item],
    interests: Sequence[Interest],
    person: str,
    *,
    leave_out: Collection[str] = (),
    count: int = 5,
) -> tuple[Recommendation, ...]:
    """What `person` may like best and does not know, best first; nothing where nothing speaks for anything.

    leave_out: ids that are not to be recommended, such as those of the session that runs.
    """
    mine = {each.item: each.how for each in interests if each.person == person}
    at = {each: i for i, each in enumerate(model.ids)}
    liked = [(at[item], how) for item, how in mine.items() if item in at]
    if not liked:
        return ()
    weights = np.array([WEIGHTS[how] for _, how in liked], np.float32)
    parts = model.speaks[[i for i, _ in liked]] * weights[:, None]
    scores = parts.sum(axis=0)
    found: list[Recommendation] = []
    for i in np.argsort(-scores, kind="stable").tolist():
        item = items.get(model.ids[i])
        if scores[i] <= 0 or len(found) == count:
            break
        if item is None or item.id in mine or item.id in leave_out or person in item.authors:
            continue
        best, how = liked[int(parts[:, i].argmax())]
        because = items.get(model.ids[best], item)
        reason = _REASONS[how].format(text=_short(because.text))
        found.append(Recommendation(item, float(scores[i]), because, how, reason))
    return tuple(found)


def related(text_vector: NDArray[np.float32], ids: Sequence[str], vectors: Vectors, count: int = 5) -> list[str]:
    """For a person of whom nothing is known: the items nearest to what the session is about."""
    order = np.argsort(-(vectors @ text_vector), kind="stable")[:count]
    return [ids[i] for i in order.tolist()]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:60].rsplit(' ', 1)[0]} …"
