"""How varied and how shared a session is, in figures. Pure.

Sameness is the known price of a machine's help in groups, so it is measured while the session runs. Diversity: mean
pairwise distance, and the Vendi score (Friedman & Dieng 2023): the number of truly different ideas that would be as
varied as these. Vectors are unit rows, so distances are 1 - cosine, from 0 (the same) to 1 (nothing in common).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.ideation.board import Board, Idea
from retrieval.passage import Vectors

MOST = 600  # ideas from which the Vendi score is taken; of more, an even sample


@dataclass(frozen=True, slots=True)
class Figures:
    """A session in figures. distance: mean pairwise, 0 to 1. vendi: 1 to the number of ideas.

    novelty: mean distance of an idea to what is nearest of past sessions and documents; None without those. coverage:
    share of the design space's cells with an idea; None without dimensions. shares: of open ideas by person, whose
    authors share an idea. machine: the machine's part. gini: of people's contributions, 0 where all gave alike.
    """

    ideas: int
    distance: float
    vendi: float
    novelty: float | None
    coverage: float | None
    shares: dict[str, float]
    machine: float
    gini: float


def figures(
    board: Board,
    ideas: Sequence[Idea],
    vectors: Vectors,
    cells: dict[tuple[str, ...], int],
    known: Vectors | None = None,
) -> Figures:
    """The figures of a board's ideas. vectors: of them, (n, dim). known: of past ideas and documents, (m, dim)."""
    covered = sum(map(bool, cells.values())) / len(cells) if cells else None
    novel = float(novelty(vectors, known).mean()) if known is not None and len(known) and len(ideas) else None
    people, machine = shares(ideas)
    present = [each.person for each in board.session.members]
    given = [people.get(each, 0.0) for each in dict.fromkeys([*present, *people])]
    return Figures(len(ideas), mean_distance(vectors), vendi(vectors), novel, covered, people, machine, gini(given))


def mean_distance(vectors: Vectors) -> float:
    """The mean over all pairs of different rows; 0 for fewer than two. Takes no pairwise matrix."""
    count = len(vectors)
    if count < 2:
        return 0.0
    total = vectors.sum(axis=0, dtype=np.float64)
    return float(1 - (total @ total - count) / (count * (count - 1)))


def vendi(vectors: Vectors) -> float:
    """The exponential of the entropy of the eigenvalues of the similarity matrix over n; 0 for none."""
    count = len(vectors)
    if count == 0:
        return 0.0
    if count > MOST:
        vectors = vectors[np.linspace(0, count - 1, MOST).astype(int)]
    rows = vectors.astype(np.float64)
    gram = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows  # the same eigenvalues, but for zeros
    values = np.linalg.eigvalsh(gram / len(rows))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def novelty(vectors: Vectors, known: Vectors) -> Vectors:
    """Each row's distance to the nearest of `known`, (n,)."""
    result: Vectors = 1 - (vectors @ known.T).max(axis=1)
    return result


def shares(ideas: Sequence[Idea]) -> tuple[dict[str, float], float]:
    """Which part of the ideas is whose, and which is the machine's; together 1, or nothing without ideas."""
    parts: dict[str, float] = {}
    machine = 0.0
    for each in ideas:
        own = each.share if each.authors else 1.0
        machine += own
        for author in each.authors:
            parts[author] = parts.get(author, 0.0) + (1 - own) / len(each.authors)
    count = len(ideas) or 1
    order = sorted(parts.items(), key=lambda each: -each[1])
    return {person: part / count for person, part in order}, machine / count


def gini(given: Sequence[float]) -> float:
    """How unequally something is spread: 0 where all have the same, towards 1 where one has all."""
    amounts = np.sort(np.asarray(given, dtype=np.float64))
    if not len(amounts) or amounts.sum() == 0:
        return 0.0
    ranks = np.arange(1, len(amounts) + 1)
    return float(2 * (ranks * amounts).sum() / (len(amounts) * amounts.sum()) - (len(amounts) + 1) / len(amounts))
