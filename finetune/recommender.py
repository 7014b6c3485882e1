"""Fits what liking one idea or document says about another, from who wrote, voted on and pressed what.

EASE (Steck 2019, "Embarrassingly Shallow Autoencoders"): one ridge regression of all items on all others, in closed
form. Texts take part as people do: each item counts as a reader of the items its text is nearest to, so that items
nobody has touched yet are connected too (the cold start), and what people do outweighs it as they do more.
"""

from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from agent.ideation.board import Board
from agent.ideation.recommend import (
    WEIGHTS,
    Interest,
    Item,
    Model,
    Recommendation,
    interests_of,
    items_of,
    recommend,
)
from retrieval.passage import Vectors

RIDGE = 30.0  # of the regression; like TEXT, chosen on simulated people that the benchmark does not use
TEXT = 0.4  # how much the reader that an item's text stands for counts beside a person
NEIGHBOURS = 10
MOST = 4000  # items; the newest of more: the regression inverts a matrix of that size

Array = NDArray[np.float64]


def fit(items: Sequence[Item], interests: Sequence[Interest], vectors: Vectors) -> Model:
    """The model of items and what people did with them. vectors: of the items' texts, (n, dim), unit rows."""
    kept = list(items)[-MOST:]
    at = {each.id: i for i, each in enumerate(kept)}
    people = {each: i for i, each in enumerate(dict.fromkeys(each.person for each in interests))}
    touched = np.zeros((len(people), len(kept)))
    for each in interests:
        if each.item in at:
            touched[people[each.person], at[each.item]] = WEIGHTS[each.how]
    speaks = regressed(touched, vectors[len(items) - len(kept) :])
    return Model(tuple(at), speaks.astype(np.float32))


def recommended(
    boards: Sequence[Board],
    person: str,
    vectors_of: Callable[[Sequence[str]], Vectors],
    *,
    leave_out: Collection[str] = (),
    count: int = 5,
) -> tuple[Recommendation, ...]:
    """What a person may like of the ideas on these boards, best first, by a model fitted to them now.

    boards: only such as the person may read. leave_out: ids of sessions whose ideas are not to be recommended.
    """
    items, interests = items_of(boards), interests_of(boards)
    model = fit(items, interests, vectors_of([each.text for each in items]))
    left = {each.id for each in items if each.id.rpartition("/")[0] in leave_out}
    return recommend(model, {each.id: each for each in items}, interests, person, leave_out=left, count=count)


def regressed(touched: Array, vectors: Vectors, *, ridge: float = RIDGE, text: float = TEXT) -> Array:
    """(n, n): how much each row's item speaks for each column's. touched: (people, n). vectors: (n, dim)."""
    count = touched.shape[1]
    if count == 0:
        return np.zeros((0, 0))
    readers = text * _readers(vectors)
    gram = touched.T @ touched + readers.T @ readers
    inverse = np.linalg.inv(gram + ridge * np.eye(count))
    speaks: Array = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(speaks, 0)
    return speaks


def _readers(vectors: Vectors) -> Array:
    """(n, n): each row a reader of the item itself and of its nearest ones, as much as they are alike."""
    likeness = np.maximum(vectors @ vectors.T, 0).astype(np.float64)
    np.fill_diagonal(likeness, 1)
    if len(likeness) > NEIGHBOURS:
        least = np.partition(likeness, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS]
        likeness[likeness < least[:, None]] = 0
    readers: Array = likeness
    return readers
