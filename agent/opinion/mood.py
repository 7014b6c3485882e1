"""What is read out of many messages: shares with their bounds, how they go over time, what is liked and what not. Pure.

The bounds are Wilson's (1927), at 95%: with five messages they say how little is known.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

SURE = 1.96
HIDDEN = 3  # persons below whom nothing is shown: what one person feels is no mood of a team
DAY = timedelta(days=1)
CALM = 0.15  # of the mood, -1..1: a smaller change is none
SHORT = 6  # messages below which a conversation has no trend


@dataclass(frozen=True, slots=True)
class Heard:
    """One message of a watched channel.

    key: tells it from others. channel, thread: keys of Places. author: a person's id, or
    empty. negative, positive: how likely, 0..1. text: an excerpt, where its author agreed; else empty.
    """

    key: str
    channel: str
    thread: str
    author: str
    at: datetime
    negative: float
    positive: float
    topics: tuple[str, ...] = ()
    text: str = ""

    @property
    def mood(self) -> float:
        """-1..1."""
        return self.positive - self.negative

    @property
    def is_negative(self) -> bool:
        return self.negative >= max(self.positive, 1 - self.negative - self.positive)

    @property
    def is_positive(self) -> bool:
        return not self.is_negative and self.positive >= 1 - self.negative - self.positive


@dataclass(frozen=True, slots=True)
class Shares:
    """Counts, and the share of negative messages with its bounds, 0..1. persons: how many wrote."""

    negative: int
    neutral: int
    positive: int
    persons: int

    @property
    def count(self) -> int:
        return self.negative + self.neutral + self.positive

    @property
    def is_hidden(self) -> bool:
        """Whether there is something, of too few people to be shown."""
        return self.count > 0 and self.persons < HIDDEN

    @property
    def share(self) -> float:
        return self.negative / self.count if self.count else 0.0

    @property
    def bounds(self) -> tuple[float, float]:
        return wilson(self.negative, self.count)


def shares(heard: Iterable[Heard]) -> Shares:
    all_of = list(heard)
    negative, positive = sum(each.is_negative for each in all_of), sum(each.is_positive for each in all_of)
    persons = len({each.author for each in all_of if each.author})
    return Shares(negative, len(all_of) - negative - positive, positive, persons)


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The bounds of a share at 95%; 0 and 1 where nothing was counted."""
    if not count:
        return 0.0, 1.0
    share, square = hits / count, SURE**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    reach = SURE * math.sqrt(share * (1 - share) / count + square / (4 * count**2)) / (1 + square / count)
    return max(0.0, middle - reach), min(1.0, middle + reach)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time and what was heard in it."""

    begins: datetime
    shares: Shares


def open_days(heard: Sequence[Heard]) -> tuple[list[Heard], int]:
    """The messages of the days (UTC) on which at least HIDDEN persons wrote, and how many other days there were.

    Whatever is shown is counted from these alone, be it by day, by week or in sum, so that no difference between two
    figures is the mood of one or two people.
    """
    days: dict[date, list[Heard]] = defaultdict(list)
    for each in heard:
        days[each.at.astimezone(UTC).date()].append(each)
    open_ones = {day for day, of in days.items() if not shares(of).is_hidden}
    return [each for each in heard if each.at.astimezone(UTC).date() in open_ones], len(days) - len(open_ones)


def midnight(now: datetime) -> datetime:
    """The end of the day (UTC): where stretches of time end, however late it is."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + DAY


def over_time(heard: Sequence[Heard], until: datetime, length: timedelta, count: int) -> list[Span]:
    """The last `count` stretches of `length` up to `until`, oldest first, empty ones too."""
    begins = until - count * length
    bins: list[list[Heard]] = [[] for _ in range(count)]
    for each in heard:
        if begins <= each.at < until:
            bins[int((each.at - begins) / length)].append(each)
    return [Span(begins + i * length, shares(each)) for i, each in enumerate(bins)]


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    shares: Shares


def topics(heard: Iterable[Heard], most: int) -> list[Topic]:
    """What is spoken of by at least HIDDEN persons, the most spoken of first."""
    found: dict[str, list[Heard]] = defaultdict(list)
    for each in heard:
        for name in each.topics:
            found[name].append(each)
    counted = [Topic(name, shares(of)) for name, of in found.items()]
    open_ones = [each for each in counted if not each.shares.is_hidden]
    return sorted(open_ones, key=lambda each: (-each.shares.count, each.name))[:most]


def behind(rise: Sequence[Heard], before: Sequence[Heard], most: int = 3) -> list[str]:
    """The topics that the negative messages of a rise are about, and were not so much before; the clearest first.

    Only what at least HIDDEN persons speak of. By the log-odds of a topic among them against all messages before,
    shrunk by one message on each side.
    """
    bad = [each for each in rise if each.is_negative]

    def count(of: Sequence[Heard], name: str) -> int:
        return sum(name in each.topics for each in of)

    scored = []
    for name in {topic for each in bad for topic in each.topics}:
        here, there = count(bad, name), count(before, name)
        speakers = {each.author for each in bad if name in each.topics}
        if here >= 2 and len(speakers) >= HIDDEN:
            lift = math.log((here + 1) / (len(bad) - here + 1)) - math.log((there + 1) / (len(before) - there + 1))
            scored.append((lift * math.sqrt(here), name))
    return [name for score, name in sorted(scored, reverse=True) if score > 0][:most]


@dataclass(frozen=True, slots=True)
class Trend:
    """How the mood of a conversation went. change: of the later half against the earlier, -2..2, with its error."""

    change: float
    error: float

    @property
    def is_falling(self) -> bool:
        return self.change < -max(CALM, SURE * self.error)

    @property
    def is_rising(self) -> bool:
        return self.change > max(CALM, SURE * self.error)


def trend(moods: Sequence[float]) -> Trend | None:
    """Of messages in order; None below SHORT of them."""
    if len(moods) < SHORT:
        return None
    half = len(moods) // 2
    early, late = moods[:half], moods[half:]
    means = [math.fsum(part) / len(part) for part in (early, late)]
    error = math.sqrt(sum(_spread(part, mean) / len(part) for part, mean in zip((early, late), means, strict=True)))
    return Trend(means[1] - means[0], error)


def _spread(values: Sequence[float], mean: float) -> float:
    return math.fsum((each - mean) ** 2 for each in values) / max(1, len(values) - 1)
