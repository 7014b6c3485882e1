"""What was heard in watched channels, in the store: kept, taken back, added up. Alarms are read from it, not kept up.

Every figure is computed anew from the rows, so that a message that is deleted, or whose author is forgotten, leaves the
baseline, the charts and the next alarm alike.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Engine

from agent.erasure import lock_memory
from agent.memory_tables import insert_new, persons, put
from agent.message import Place
from agent.opinion.cusum import EVERY, Point, follow
from agent.opinion.mood import Heard, behind
from agent.opinion.tables import opinion_alarms, opinion_watches, opinions
from retrieval.database import reading, writing

KEPT = timedelta(days=400)  # after which a message is counted no more
LOOKED_AT = 3_000  # messages of a channel that an alarm is read from
QUIET = timedelta(hours=12)  # after an alarm in a channel, before the next
EXCERPT = 200  # characters


@dataclass(frozen=True, slots=True)
class Watch:
    """A channel that is watched. place: the channel. account: who ordered it. told: where reports and alarms go."""

    place: Place
    since: datetime
    account: str
    told: Place
    language: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """A surge of negative messages. rise: those of it, oldest first. expected: the usual share of negative ones.

    topics: what the negative ones are about, and those before were not.
    """

    key: str
    rise: tuple[Heard, ...]
    expected: float
    topics: tuple[str, ...]

    @property
    def share(self) -> float:
        return sum(each.is_negative for each in self.rise) / len(self.rise)


def key_of(message: str) -> str:
    """What a message is kept under: as long for every platform, and no address by itself.

    It is no secret, though: whoever knows the platform's message ids can try them.
    """
    return hashlib.sha256(f"opinion/{message}".encode()).hexdigest()


class Monitor:
    """Watched channels and what was heard. Thread-safe, and safe beside other processes. Raises StoreError."""

    def __init__(self, engine: Engine, every: float = EVERY) -> None:
        """every: messages between two false alarms, at least, on average."""
        self._engine = engine
        self._every = every

    def watch(self, place: Place, account: str, told: Place, language: str) -> bool:
        """Watch the channel of `place`, telling `told`; whether it was not watched before."""
        row = {
            "channel": _channel(place).key,
            "platform": place.platform,
            "tenant": place.tenant,
            "name": place.channel,
            "since": datetime.now(UTC),
            "account": account,
            "told_channel": told.channel,
            "told_thread": told.thread,
            "language": language,
        }
        known = sa.select(opinion_watches.c.channel).where(opinion_watches.c.channel == row["channel"])
        with writing(self._engine) as connection:
            is_new = connection.execute(known).first() is None
            put(connection, opinion_watches, row)
        return is_new

    def unwatch(self, place: Place, *, forget: bool = False) -> bool:
        """Watch it no more; whether it was watched. forget: nor keep what was heard there."""
        here = _channel(place).key
        with writing(self._engine) as connection:
            gone = connection.execute(opinion_watches.delete().where(opinion_watches.c.channel == here)).rowcount
            if forget:
                connection.execute(opinions.delete().where(opinions.c.channel == here))
                connection.execute(opinion_alarms.delete().where(opinion_alarms.c.channel == here))
        return bool(gone)

    def watched(self, place: Place) -> Watch | None:
        """How the channel of `place` is watched, if it is."""
        query = sa.select(opinion_watches).where(opinion_watches.c.channel == _channel(place).key)
        with reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _watch(row)

    def watches(self, tenant: str) -> list[Watch]:
        """All of them, the oldest first."""
        query = sa.select(opinion_watches).where(opinion_watches.c.tenant == tenant).order_by(opinion_watches.c.since)
        with reading(self._engine) as connection:
            return [_watch(row) for row in connection.execute(query)]

    def note(self, heard: Heard) -> bool:
        """Keep a message; whether it was new. One that was kept before takes what it says now (it was edited).

        Its words, and topics out of them, are for `heard` to leave out; those of somebody who took their consent back
        since are dropped here.
        """
        row = {
            "key": heard.key,
            "channel": heard.channel,
            "thread": heard.thread,
            "author": heard.author or None,
            "at": heard.at,
            "negative": heard.negative,
            "positive": heard.positive,
            "topics": list(heard.topics),
            "text": heard.text[:EXCERPT],
        }
        with writing(self._engine) as connection:
            lock_memory(connection)  # nobody is forgotten between these statements
            if heard.author:
                known = sa.select(persons.c.consent).where(persons.c.id == heard.author)
                agrees = connection.execute(known.with_for_update(read=True)).scalar_one_or_none()
                if agrees is None:  # forgotten since it was written
                    return False
                if not agrees and row["text"]:  # as `withhold` leaves it
                    row |= {"text": "", "topics": []}
            changed = {name: row[name] for name in ("negative", "positive", "topics", "text")}
            if connection.execute(opinions.update().where(opinions.c.key == heard.key).values(changed)).rowcount:
                return False
            return insert_new(connection, opinions, row)

    def take_back(self, key: str) -> bool:
        """Forget one message; whether it was there."""
        with writing(self._engine) as connection:
            return bool(connection.execute(opinions.delete().where(opinions.c.key == key)).rowcount)

    def heard(self, place: Place, since: datetime, thread: str = "") -> list[Heard]:
        """What was heard in the channel of `place`, oldest first. thread: the key of one conversation in it."""
        query = sa.select(opinions).where(opinions.c.channel == _channel(place).key, opinions.c.at >= since)
        if thread:
            query = query.where(opinions.c.thread == thread)
        with reading(self._engine) as connection:
            return [_heard(row) for row in connection.execute(query.order_by(opinions.c.at, opinions.c.id))]

    def alarm(self, place: Place, key: str) -> Alarm | None:
        """The alarm that the message `key` makes, if it does; the same one however often it is asked for.

        Within QUIET of an alarm there is no other in the channel.
        """
        here = _channel(place).key
        latest = opinions.c.at.desc(), opinions.c.id.desc()  # Telegram knows whole seconds only
        query = sa.select(opinions).where(opinions.c.channel == here).order_by(*latest).limit(LOOKED_AT)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        heard = [_heard(row) for row in reversed(rows)]
        index = next((i for i, each in enumerate(heard) if each.key == key), None)
        if index is None:
            return None
        heard = heard[: index + 1]
        state = follow([Point(each.at, each.negative, each.author) for each in heard], self._every)[-1]
        if not state.is_alarm:
            return None
        now = heard[-1].at
        with writing(self._engine) as connection:
            others = (opinion_alarms.c.channel == here) & (opinion_alarms.c.key != key)
            recent = others & (opinion_alarms.c.at > now - QUIET) & (opinion_alarms.c.at <= now)
            if connection.execute(sa.select(opinion_alarms.c.key).where(recent)).first() is not None:
                return None
            insert_new(connection, opinion_alarms, {"key": key, "channel": here, "at": now})
        rise, before = heard[state.since :], heard[: state.since]
        return Alarm(key, tuple(rise), state.expected, tuple(behind(rise, before)))

    def alarms(self, place: Place, since: datetime) -> list[datetime]:
        """When there were alarms in the channel."""
        query = sa.select(opinion_alarms.c.at).where(
            opinion_alarms.c.channel == _channel(place).key, opinion_alarms.c.at >= since
        )
        with reading(self._engine) as connection:
            return list(connection.execute(query.order_by(opinion_alarms.c.at)).scalars())

    def prune(self, now: datetime) -> int:
        """Drop what is older than KEPT; how much that was."""
        with writing(self._engine) as connection:
            connection.execute(opinion_alarms.delete().where(opinion_alarms.c.at < now - KEPT))
            return connection.execute(opinions.delete().where(opinions.c.at < now - KEPT)).rowcount

    def of(self, person: str) -> list[Heard]:
        """Everything that was heard of one person, oldest first."""
        query = sa.select(opinions).where(opinions.c.author == person).order_by(opinions.c.at, opinions.c.id)
        with reading(self._engine) as connection:
            return [_heard(row) for row in connection.execute(query)]


def _channel(place: Place) -> Place:
    return replace(place, thread="")


def _watch(row: sa.Row[tuple[object, ...]]) -> Watch:
    place = Place(row.platform, row.tenant, row.name)
    told = replace(place, channel=row.told_channel, thread=row.told_thread)
    return Watch(place, row.since, row.account, told, row.language)


def _heard(row: sa.Row[tuple[object, ...]]) -> Heard:
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
