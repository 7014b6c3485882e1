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
from agent.opinion.alarms import Surge, drop_unfounded, heard_of, latest, surge
from agent.opinion.cusum import EVERY
from agent.opinion.mood import Heard
from agent.opinion.tables import opinion_alarms, opinion_watches, opinions
from retrieval.database import reading, writing

KEPT = timedelta(days=400)  # after which a message is counted no more
QUIET = timedelta(hours=12)  # after an alarm in a channel, before the next
EXCERPT = 200  # characters
BESIDE = 32  # messages that may be heard before one that was written earlier, in another thread


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
    """A surge of negative messages, and the message that completed it."""

    key: str
    surge: Surge

    @property
    def share(self) -> float:
        return sum(each.is_negative for each in self.surge.rise) / len(self.surge.rise)


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
            "channel": place.whole_channel.key,
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
        here = place.whole_channel.key
        with writing(self._engine) as connection:
            gone = connection.execute(opinion_watches.delete().where(opinion_watches.c.channel == here)).rowcount
            if forget:
                connection.execute(opinions.delete().where(opinions.c.channel == here))
                connection.execute(opinion_alarms.delete().where(opinion_alarms.c.channel == here))
        return bool(gone)

    def watched(self, place: Place) -> Watch | None:
        """How the channel of `place` is watched, if it is."""
        query = sa.select(opinion_watches).where(opinion_watches.c.channel == place.whole_channel.key)
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
        """Forget one message, and the alarms that were none without it; whether it was there."""
        with writing(self._engine) as connection:
            lock_memory(connection)
            here = sa.select(opinions.c.channel, opinions.c.at).where(opinions.c.key == key)
            row = connection.execute(here).first()
            if row is None:
                return False
            connection.execute(opinions.delete().where(opinions.c.key == key))
            drop_unfounded(connection, row.channel, row.at, row.at, self._every)
            return True

    def heard(self, place: Place, since: datetime, thread: str = "") -> list[Heard]:
        """What was heard in the channel of `place`, oldest first. thread: the key of one conversation in it."""
        query = sa.select(opinions).where(opinions.c.channel == place.whole_channel.key, opinions.c.at >= since)
        if thread:
            query = query.where(opinions.c.thread == thread)
        with reading(self._engine) as connection:
            return [heard_of(row) for row in connection.execute(query.order_by(opinions.c.at, opinions.c.id))]

    def alarm(self, place: Place, key: str) -> Alarm | None:
        """The alarm that the message `key` makes, if it does; the same one however often it is asked for.

        Or the one that a later message makes with it, where that was heard first: threads are read side by side. Within
        QUIET of an alarm, before and after it, there is no other in the channel.
        """
        here = place.whole_channel.key
        with reading(self._engine) as connection:
            heard = latest(connection, here)
        index = next((i for i, each in enumerate(heard) if each.key == key), len(heard))
        for i in range(index, min(index + BESIDE, len(heard))):
            found = surge(heard[: i + 1], self._every)
            if found is not None:
                return Alarm(heard[i].key, found) if self._kept(here, heard[i]) else None
        return None

    def _kept(self, channel: str, heard: Heard) -> bool:
        """Whether an alarm may be made now, or was made by this message before."""
        with writing(self._engine) as connection:
            others = (opinion_alarms.c.channel == channel) & (opinion_alarms.c.key != heard.key)
            near = others & (opinion_alarms.c.at > heard.at - QUIET) & (opinion_alarms.c.at < heard.at + QUIET)
            if connection.execute(sa.select(opinion_alarms.c.key).where(near)).first() is not None:
                return False
            insert_new(connection, opinion_alarms, {"key": heard.key, "channel": channel, "at": heard.at})
            return True

    def alarms(self, place: Place, since: datetime) -> list[datetime]:
        """When there were alarms in the channel."""
        query = sa.select(opinion_alarms.c.at).where(
            opinion_alarms.c.channel == place.whole_channel.key, opinion_alarms.c.at >= since
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
            return [heard_of(row) for row in connection.execute(query)]


def _watch(row: sa.Row[tuple[object, ...]]) -> Watch:
    place = Place(row.platform, row.tenant, row.name)
    told = replace(place, channel=row.told_channel, thread=row.told_thread)
    return Watch(place, row.since, row.account, told, row.language)
