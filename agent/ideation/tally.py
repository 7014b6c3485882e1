"""The result of a vote, with how sure it is: another group of voters like this one might have decided otherwise. Pure.

Dots and criteria: percentiles over resampled voters (Efron 1979). Pairs: strengths of a Bradley–Terry model (1952) with
a normal prior, which keeps ideas that won or lost everything finite; their spread is the larger of the curvature's and
the resampled voters'.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.ideation.acts import Ballot
from agent.ideation.board import Board, Vote

RESAMPLES = 400
REFITS = 100  # of the pairs' model, which takes longer
COVERED = 0.9
EQUAL = 1e-9  # of scores
_SIGMA = 1.35  # normal quantile of 0.9 is 1.645; the prior's own spread in log odds is this
_NORMAL = 1.645

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Standing:
    """One idea's result. score: dots, the mean of the criteria (1 to 5), or the chance to win against an average idea.

    low, high: where the score lies in 90% of groups of voters like this one. first: how often it leads in them.
    voters: how many voted on it.
    """

    idea: str
    score: float
    low: float
    high: float
    first: float
    voters: int


def tally(board: Board, seed: int = 0) -> tuple[Standing, ...]:
    """The open ideas, best first; those that nobody voted on too. Empty before anybody voted."""
    ideas = [each.id for each in board.open]
    if not board.votes or not ideas:
        return ()
    people = sorted({each.person for each in board.votes})
    chance = np.random.default_rng(seed)
    if board.session.rules.ballot is Ballot.PAIRS:
        score, low, high, first = _pairs(board.votes, ideas, people, chance)
    else:
        score, low, high, first = _resampled(_ballots(board, ideas, people), chance, board.session.rules.ballot)
    voters = [len({each.person for each in board.votes if idea in (each.idea, each.other)}) for idea in ideas]
    found = [
        Standing(idea, float(score[i]), float(low[i]), float(high[i]), float(first[i]), voters[i])
        for i, idea in enumerate(ideas)
    ]
    return tuple(sorted(found, key=lambda each: (-each.score, -each.voters, int(each.idea))))


def is_close(standings: Sequence[Standing]) -> bool:
    """Whether the first place could well have gone to another idea."""
    return len(standings) > 1 and standings[0].first < COVERED


def is_tied(standings: Sequence[Standing]) -> bool:
    """Whether two ideas or more share the first place."""
    return len(standings) > 1 and abs(standings[0].score - standings[1].score) < EQUAL


def next_pair(board: Board, person: str) -> tuple[str, str] | None:
    """Two ideas for a person to compare: pairs that nobody compared first, of ideas that were compared least.

    None when they have compared all.
    """
    ideas = [each.id for each in board.open]
    counted = dict.fromkeys(ideas, 0)
    asked: dict[frozenset[str], int] = {}
    mine = set()
    for vote in board.votes:
        pair = frozenset((vote.idea, vote.other))
        asked[pair] = asked.get(pair, 0) + 1
        counted[vote.idea] += 1
        counted[vote.other] += 1
        if vote.person == person:
            mine.add(pair)
    left = [(a, b) for i, a in enumerate(ideas) for b in ideas[i + 1 :] if frozenset((a, b)) not in mine]
    turn = sum(map(ord, person))  # people begin at different pairs
    order = {idea: (i + turn) % len(ideas) for i, idea in enumerate(ideas)}
    return min(
        left,
        key=lambda pair: (asked.get(frozenset(pair), 0), counted[pair[0]] + counted[pair[1]], *map(order.get, pair)),
        default=None,
    )


def _ballots(board: Board, ideas: Sequence[str], people: Sequence[str]) -> Array:
    """What each person gave each idea, (people, ideas); NaN where a person scored it on no criterion."""
    at, seat = {idea: i for i, idea in enumerate(ideas)}, {person: i for i, person in enumerate(people)}
    if board.session.rules.ballot is Ballot.DOTS:
        dots = np.zeros((len(people), len(ideas)))
        for vote in board.votes:
            dots[seat[vote.person], at[vote.idea]] += vote.value
        return dots
    weights = {each.name: each.weight for each in board.session.rules.criteria}
    total, weight = np.zeros((len(people), len(ideas))), np.zeros((len(people), len(ideas)))
    for vote in board.votes:
        if vote.criterion in weights and vote.idea in at:
            total[seat[vote.person], at[vote.idea]] += weights[vote.criterion] * vote.value
            weight[seat[vote.person], at[vote.idea]] += weights[vote.criterion]
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)


def _resampled(ballots: Array, chance: np.random.Generator, ballot: Ballot) -> tuple[Array, Array, Array, Array]:
    def summed(drawn: Array) -> Array:
        """(..., ideas) of ballots (..., people, ideas)."""
        known = ~np.isnan(drawn)
        total: Array = np.where(known, drawn, 0).sum(axis=-2)
        return total if ballot is Ballot.DOTS else total / np.maximum(known.sum(axis=-2), 1)

    people = len(ballots)
    again = summed(ballots[chance.integers(people, size=(RESAMPLES, people))])
    edge = 100 * (1 - COVERED) / 2
    low, high = np.percentile(again, [edge, 100 - edge], axis=0)
    return summed(ballots), low, high, _leads(again)


def _pairs(
    votes: Sequence[Vote], ideas: Sequence[str], people: Sequence[str], chance: np.random.Generator
) -> tuple[Array, Array, Array, Array]:
    at, seat = {idea: i for i, idea in enumerate(ideas)}, {person: i for i, person in enumerate(people)}
    wins = np.zeros((len(people), len(ideas), len(ideas)))
    for vote in votes:
        wins[seat[vote.person], at[vote.idea], at[vote.other]] += 1
    strength, spread = bradley_terry(wins.sum(axis=0))
    if len(people) > 1:
        drawn = chance.integers(len(people), size=(REFITS, len(people)))
        again = np.array([bradley_terry(wins[each].sum(axis=0))[0] for each in drawn])
        spread = np.maximum(spread, again.std(axis=0))
    leads = _leads(strength + spread * chance.standard_normal((RESAMPLES, len(ideas))))
    low, high = strength - _NORMAL * spread, strength + _NORMAL * spread
    return _chance_of(strength), _chance_of(low), _chance_of(high), leads


def bradley_terry(wins: Array, steps: int = 30) -> tuple[Array, Array]:
    """Strengths in log odds with mean 0, and their standard deviations. wins: (n, n), how often row beat column.

    The mode under a normal prior, by Newton's method, and the curvature there.
    """
    count = len(wins)
    games = wins + wins.T
    strength = np.zeros(count)
    curvature = np.eye(count)
    for _ in range(steps):
        chance = _chance_of(strength[:, None] - strength[None, :])
        slope = (wins - games * chance).sum(axis=1) - strength / _SIGMA**2
        weight = games * chance * (1 - chance)
        curvature = np.diag(weight.sum(axis=1) + 1 / _SIGMA**2) - weight
        step = np.linalg.solve(curvature, slope)
        strength = strength + step
        if np.abs(step).max() < 1e-8:
            break
    centred = np.eye(count) - 1 / count  # only differences between ideas mean anything
    return strength - strength.mean(), np.sqrt(np.diag(centred @ np.linalg.inv(curvature) @ centred))


def _chance_of(strength: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-strength))
    return result


def _leads(drawn: Array) -> Array:
    """How often each idea leads, a shared lead being shared. drawn: (resamples, ideas)."""
    top = drawn >= drawn.max(axis=1, keepdims=True) - 1e-12
    result: Array = (top / top.sum(axis=1, keepdims=True)).mean(axis=0)
    return result
