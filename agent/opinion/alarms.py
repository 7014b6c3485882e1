"""Surges of negative messages in what was heard of a channel, in all of it or in one topic of it, and what lasts.

An alarm is what the messages say now: where one of them is deleted, or its author forgotten, and the others make no
surge by themselves, it is none any more. A surge of fewer than HIDDEN people is no alarm: it would be one's own mood.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from agent.opinion.cusum import EVERY, WARM, Point, follow
from agent.opinion.mood import HIDDEN, Heard, behind
from agent.opinion.tables import opinion_alarms, opinions

LOOKED_AT = 3_000  # messages of a channel that an alarm is read from
OF_ALL = 0.8  # of the false alarms that are allowed: those of the whole channel; its topics share the others


@dataclass(frozen=True, slots=True)
class Surge:
    """rise: the messages of it, oldest first. expected: the usual share of negative ones. topics: what it is about.

    is_of_topic: it is one of the first of `topics` alone: the channel as a whole is as usual.
    """

    rise: tuple[Heard, ...]
    expected: float
    topics: tuple[str, ...]
    is_of_topic: bool = False


def surge(heard: Sequence[Heard], every: float = EVERY) -> Surge | None:
    """The surge that the last of these messages makes, if it does. heard: of one channel, oldest first. Pure.

    every: messages between two false alarms, at least, on average, those of all topics counted in.
    """
    if not heard:
        return None
    found = _of(heard, every / OF_ALL)
    if found is not None:
        expected, rise = found
        return Surge(tuple(rise), expected, tuple(behind(rise, heard[: len(heard) - len(rise)])))
    counted = Counter(name for each in heard for name in set(each.topics))
    often = {name for name, count in counted.items() if count > WARM}
    for name in (each for each in heard[-1].topics if each in often):
        about = [each for each in heard if name in each.topics]
        if (found := _of(about, every * len(often) / (1 - OF_ALL))) is not None:
            expected, rise = found
            return Surge(tuple(rise), expected, (name,), is_of_topic=True)
    return None


def drop_unfounded(connection: Connection, channel: str, first: datetime, last: datetime, every: float = EVERY) -> int:
    """Delete the alarms of a channel that what is still there does not make; how many.

    first, last: when what is gone was written. An alarm with LOOKED_AT messages after that is read from these alone, so
    it stays unread: after months there are many.
    """
    after = sa.select(opinions.c.at).where(opinions.c.channel == channel, opinions.c.at > last)
    beyond = connection.execute(after.order_by(opinions.c.at).offset(LOOKED_AT - 1).limit(1)).scalar()
    later = (opinion_alarms.c.channel == channel) & (opinion_alarms.c.at >= first)
    if beyond is not None:
        later &= opinion_alarms.c.at < beyond
    alarms = connection.execute(sa.select(opinion_alarms.c.key, opinion_alarms.c.at).where(later)).all()
    gone = [row.key for row in alarms if not _is_made(latest(connection, channel, row.at), row.key, every)]
    return connection.execute(opinion_alarms.delete().where(opinion_alarms.c.key.in_(gone))).rowcount if gone else 0


def _is_made(heard: Sequence[Heard], key: str, every: float) -> bool:
    place = next((place for place, each in enumerate(heard) if each.key == key), None)
    return place is not None and surge(heard[: place + 1], every) is not None


def latest(connection: Connection, channel: str, until: datetime | None = None) -> list[Heard]:
    """The latest messages of a channel, or those until then, oldest first, as many as an alarm is read from."""
    newest = opinions.c.at.desc(), opinions.c.id.desc()  # Telegram knows whole seconds only
    query = sa.select(opinions).where(opinions.c.channel == channel).order_by(*newest).limit(LOOKED_AT)
    query = query if until is None else query.where(opinions.c.at <= until)
    return [heard_of(row) for row in reversed(connection.execute(query).all())]


def heard_of(row: sa.Row[tuple[object, ...]]) -> Heard:
    return Heard(
        row.key,
        row.channel,
        row.thread,
        row.author or "",
        row.at,
        row.negative,
        row.positive,
        tuple(row.topics),
        row.text,
    )


def _of(heard: Sequence[Heard], every: float) -> tuple[float, Sequence[Heard]] | None:
    """The usual share of negative messages, and those of the rise that the last one completes."""
    state = follow([Point(each.at, each.negative, each.author) for each in heard], every)[-1]
    rise = heard[state.since :]
    if not state.is_alarm or len({each.author for each in rise}) < HIDDEN:
        return None
    return state.expected, rise
