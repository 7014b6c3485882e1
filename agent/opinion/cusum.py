"""An alarm on a sudden surge of negative messages, with a bound on how often it is false. Pure.

Page's cumulative sum (1954) of the log-likelihood ratio "the odds of a negative message are TIMES as high as usual"
against "as usual". A message counts by the probability that it is negative, so that a doubtful one weighs little: its
ratio is the mean of both cases' ratios, whose expectation is 1 as long as the mean probability is the expected one, and
below 1 where it is lower. By Lorden (1971) such a sum passes log(N) at most once in N messages on average, whatever
the distribution, so the limit is stated in messages between two false alarms and not fitted to any data. What is
usual is learned from what came before the sum last stood at zero, and taken one standard error too high.
"""

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

EVERY = 5_000  # messages between two false alarms, at least, on average
TIMES = 4.0  # as high as usual: 15% of messages are negative, and then 41%
WARM = 30  # messages before any alarm: what is usual has to be known
KNOWN, USUAL = 20.0, 0.15  # what is believed before: as of so many messages, so many of them negative
MEMORY = 400.0  # messages that what is usual is learned from
SUDDEN = timedelta(days=3)  # a rise that took longer is a change of climate: charts show it, no alarm does
LOOK = 20  # messages back in which the same person's count less and less


@dataclass(frozen=True, slots=True)
class Point:
    """One message. negative: how likely it is negative, 0..1. who: tells its author from others; empty: nobody's."""

    at: datetime
    negative: float
    who: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """After one message. level: of the sum; at `limit` it is an alarm, and begins anew. expected: the usual share.

    since: the index of the first message of the rise at hand; the message's own where there is none.
    """

    level: float
    expected: float
    since: int
    is_alarm: bool


def follow(points: Sequence[Point], every: float = EVERY, times: float = TIMES) -> list[State]:
    """The states after each of `points`, oldest first. every, times: as EVERY and TIMES."""
    limit = math.log(every)
    usual = _Usual()
    recent: deque[str] = deque()
    said: Counter[str] = Counter()
    level, pending = 0.0, list[int]()
    states: list[State] = []
    for i, point in enumerate(points):
        expected = usual.cautious
        if i < WARM:
            usual.learn(point.negative)
            states.append(State(0.0, expected, i, is_alarm=False))
            continue
        if pending and point.at - points[pending[0]].at > SUDDEN:
            level = 0.0
        ratio = math.log(_ratio(point.negative, expected, times))
        level = max(0.0, level + ratio / (1 + said[point.who] * bool(point.who)))
        pending.append(i)
        states.append(State(level, expected, pending[0], is_alarm=level >= limit))
        if level == 0.0 or level >= limit or len(pending) > MEMORY / 2:
            for each in pending:
                usual.learn(points[each].negative)
            pending, level = [], 0.0 if level >= limit else level
        recent.append(point.who)
        said[point.who] += 1
        if len(recent) > LOOK:
            said[recent.popleft()] -= 1
    return states


def _ratio(negative: float, expected: float, times: float) -> float:
    feared = times * expected / (1 - expected + times * expected)
    return negative * feared / expected + (1 - negative) * (1 - feared) / (1 - expected)


class _Usual:
    """The share of negative messages so far, older ones fading."""

    def __init__(self) -> None:
        self._sum, self._count = KNOWN * USUAL, KNOWN

    def learn(self, negative: float) -> None:
        kept = 1 - 1 / MEMORY
        self._sum, self._count = self._sum * kept + negative, self._count * kept + 1

    @property
    def cautious(self) -> float:
        """One standard error above, within what a ratio can be formed of."""
        share = self._sum / self._count
        return min(0.8, max(0.02, share + math.sqrt(share * (1 - share) / self._count)))
