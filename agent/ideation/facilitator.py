"""When the facilitator speaks up unasked, and why: pure rules over the board and the last lines.

A rule has to hold for a while before it speaks (persistence), all of them share a pause and a number an hour (cool-down
and cap), and each nudge carries its reason in figures, which is what is logged. The mood of single lines is uncertain,
so several lines of more than one person are needed. Nobody is named before others as too loud.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from agent.ideation.acts import Kind, Phase
from agent.ideation.board import Board, Idea
from agent.ideation.measures import gini
from retrieval.passage import Vectors

Vector = NDArray[np.float32]


class Rule(StrEnum):
    """In the order in which they speak where several hold."""

    HEATED = "heated"
    OFF_TOPIC = "off_topic"
    UNEQUAL = "unequal"
    REPETITION = "repetition"
    STAGNATION = "stagnation"


@dataclass(frozen=True, slots=True)
class Heard:
    """A line that was written in one of the session's places. negative: the probability that its tone is negative.

    vector: its embedding, (dim,), where there is one.
    """

    person: str
    at: datetime
    negative: float = 0.0
    vector: Vector | None = None


@dataclass(frozen=True, slots=True)
class Nudge:
    """reason: what was seen, in figures."""

    rule: Rule
    reason: str


@dataclass(frozen=True, slots=True)
class Limits:
    """pause: between any two nudges; again: between two of one rule; cap: in an hour. quiet: until a group has stalled.

    window: lines that count, of the last `recent`. negative: from which a line's tone counts as negative. away: the
    cosine under which a line has to do neither with the topic nor with any idea. near: the cosine of a repetition.
    most: one person's share of the contributions that is too much; uneven: the Gini coefficient.
    """

    pause: timedelta = timedelta(minutes=4)
    again: timedelta = timedelta(minutes=12)
    cap: int = 5
    quiet: timedelta = timedelta(minutes=3)
    recent: timedelta = timedelta(minutes=10)
    window: int = 6
    negative: float = 0.6
    away: float = 0.12
    near: float = 0.8
    most: float = 0.5
    uneven: float = 0.5
    enough: int = 8  # contributions before shares mean anything


_LIMITS = Limits()
_PHASES = (Phase.COLLECT, Phase.DISCUSS, Phase.MERGE, Phase.ENRICH)


def watch(
    board: Board,
    heard: Sequence[Heard],
    now: datetime,
    *,
    topic: Vector | None = None,
    vectors: Vectors | None = None,
    limits: Limits = _LIMITS,
) -> Nudge | None:
    """The nudge that is due, or None. heard: lines of the session's places, in order. vectors: of `board.open`."""
    session = board.session
    if session.is_closed or not session.rules.nudges or session.phase not in _PHASES or _rests(board, now, limits):
        return None
    lately = [each for each in heard if each.at > now - limits.recent][-limits.window :]
    found = (
        _heated(board, lately, limits),
        _off_topic(lately, topic, vectors, limits),
        _unequal(board, limits),
        _repetition(board, vectors, limits),
        _stagnation(board, heard, now, limits),
    )
    return next((each for each in found if each is not None and not _said_lately(board, each.rule, now, limits)), None)


def is_stalled(board: Board, now: datetime, limits: Limits = _LIMITS) -> bool:
    """Whether ideas stopped coming while they are wanted: then the machine may offer one, if the rules say so."""
    since = _last_given(board)
    is_wanted = board.session.phase is Phase.COLLECT
    return is_wanted and since is not None and now - since >= limits.quiet


def _rests(board: Board, now: datetime, limits: Limits) -> bool:
    last = [each.at for each in board.nudges if each.at > now - timedelta(hours=1)]
    return bool(last) and (len(last) >= limits.cap or now - last[-1] < limits.pause)


def _said_lately(board: Board, rule: Rule, now: datetime, limits: Limits) -> bool:
    return any(each.rule == rule and now - each.at < limits.again for each in board.nudges)


def _heated(board: Board, lately: Sequence[Heard], limits: Limits) -> Nudge | None:
    """Half of the last lines are negative, by at least two people. Cautions are asked for under the black hat."""
    last = board.ideas[-1] if board.ideas else None
    now = board.session
    if (
        last is not None
        and last.kind in (Kind.CAUTION, Kind.BAD_IDEA)
        and (last.run, last.stage) == (now.run, now.stage)
    ):
        return None
    sharp = [each for each in lately if each.negative >= limits.negative]
    if len(sharp) < max(3, len(lately) / 2) or len({each.person for each in sharp}) < 2:
        return None
    reason = f"{len(sharp)} of the last {len(lately)} lines read negative, of {len({e.person for e in sharp})} people."
    return Nudge(Rule.HEATED, reason)


def _off_topic(lately: Sequence[Heard], topic: Vector | None, vectors: Vectors | None, limits: Limits) -> Nudge | None:
    seen = [each.vector for each in lately if each.vector is not None]
    if topic is None or len(seen) < 4:
        return None
    anchors = topic[None, :] if vectors is None or not len(vectors) else np.vstack([topic[None, :], vectors])
    is_away = [float((anchors @ vector).max()) < limits.away for vector in seen]
    if sum(is_away) < max(4, len(seen) * 2 / 3) or not is_away[-1]:
        return None
    reason = f"{sum(is_away)} of the last {len(seen)} lines have to do neither with the topic nor with an idea."
    return Nudge(Rule.OFF_TOPIC, reason)


def _unequal(board: Board, limits: Limits) -> Nudge | None:
    """One person gives more than half, or few give nearly all; now, and already two contributions ago."""
    people = [each.person for each in board.session.members]
    if len(people) < 3:
        return None
    given = [each.authors for each in board.ideas if each.authors and each.state != "withdrawn"]
    given += [(each.author,) for each in board.remarks if each.author]
    for part in (given, given[:-2]):
        counted = Counter(author for authors in part for author in authors)
        total = sum(counted.values())
        top = max(counted.values(), default=0)
        if total < limits.enough or (
            top / total < limits.most and gini([counted[each] for each in people]) < limits.uneven
        ):
            return None
    counted = Counter(author for authors in given for author in authors)
    quiet = [each for each in people if counted[each] * len(people) * 2 < sum(counted.values())]
    if not quiet:
        return None
    top, total = max(counted.values()), sum(counted.values())
    spread = gini([counted[each] for each in people])
    reason = (
        f"One person gave {top} of {total} contributions (Gini {spread:.2f}), {len(quiet)} of {len(people)} little."
    )
    return Nudge(Rule.UNEQUAL, reason)


def _repetition(board: Board, vectors: Vectors | None, limits: Limits) -> Nudge | None:
    """Half of the last ideas are near an earlier one."""
    ideas = board.open
    if board.session.phase is not Phase.COLLECT or vectors is None or len(ideas) != len(vectors):
        return None
    if len(ideas) < limits.enough:
        return None
    likeness = vectors @ vectors.T
    last = range(len(ideas) - limits.window, len(ideas))
    repeats = [i for i in last if i and likeness[i, :i].max() >= limits.near]
    if len(repeats) < limits.window / 2:
        return None
    reason = f"{len(repeats)} of the last {limits.window} ideas are near an earlier one (cosine from {limits.near})."
    return Nudge(Rule.REPETITION, reason)


def _stagnation(board: Board, heard: Sequence[Heard], now: datetime, limits: Limits) -> Nudge | None:
    """No idea for a while; people who are talking are thinking, and a phase that is about to end needs no push."""
    ends = board.session.stage_ends or board.session.ends
    if not is_stalled(board, now, limits) or (ends is not None and ends - now < timedelta(minutes=1)):
        return None
    if any(now - each.at < limits.quiet / 2 for each in heard):
        return None
    since = _last_given(board)
    assert since is not None, "a stalled board has been waiting since some moment"
    minutes = (now - since).total_seconds() / 60
    reason = f"No contribution for {minutes:.0f} minutes while ideas are collected ({len(board.open)} on the board)."
    return Nudge(Rule.STAGNATION, reason)


def _last_given(board: Board) -> datetime | None:
    """When something was last given or begun, so that it can be said how long nothing came."""
    ideas: Sequence[Idea] = board.ideas
    moments = [each.made for each in ideas[-1:]] + [each.at for each in board.sparks[-1:]]
    moments += [each for each in (board.session.phase_began, board.session.stage_began) if each is not None]
    return max(moments, default=None)
