"""What becomes of a person's part in what was heard in watched channels: forgotten, withheld, merged, moved."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from agent.message import Place
from agent.opinion.alarms import drop_unfounded
from agent.opinion.tables import opinion_alarms, opinion_watches, opinions
from retrieval.database import writing


def erase(connection: Connection, person: str, accounts: Sequence[str]) -> int:
    """Delete what was heard of a person, alarms that were none without it, and watches they ordered; how many messages.

    Call inside a write transaction that holds memory's lock exclusively, before the person is deleted.
    """
    ordered = opinion_watches.c.account.in_(list(accounts))
    connection.execute(opinion_watches.delete().where(ordered))  # its reports went to them
    span = sa.func.min(opinions.c.at), sa.func.max(opinions.c.at)
    spoke = sa.select(opinions.c.channel, *span).where(opinions.c.author == person)
    channels = connection.execute(spoke.group_by(opinions.c.channel)).all()
    gone = connection.execute(opinions.delete().where(opinions.c.author == person)).rowcount
    for channel, first, last in channels:
        drop_unfounded(connection, channel, first, last)
    return gone


def withhold(engine: Engine, person: str) -> int:
    """Drop the words of somebody who takes their consent back: their messages are counted from then on; how many."""
    written = (opinions.c.author == person) & (opinions.c.text != "")
    with writing(engine) as connection:
        return connection.execute(opinions.update().where(written).values(text="", topics=[])).rowcount


def merge(connection: Connection, gone: str, into: str) -> None:
    """What was the person `gone`'s is the person `into`'s. Needs memory's lock, exclusively."""
    connection.execute(opinions.update().where(opinions.c.author == gone).values(author=into))


def move(connection: Connection, old: Place, new: Place) -> None:
    """The channel of `old` goes on as the channel of `new`."""
    before, after = old.whole_channel.key, new.whole_channel.key
    known = sa.select(opinion_watches.c.channel).where(opinion_watches.c.channel == after)
    if connection.execute(known).first() is None:
        named = {"channel": after, "platform": new.platform, "tenant": new.tenant, "name": new.channel}
        connection.execute(opinion_watches.update().where(opinion_watches.c.channel == before).values(named))
    connection.execute(opinion_watches.delete().where(opinion_watches.c.channel == before))
    threads = sa.literal(after) + sa.func.substr(opinions.c.thread, len(before) + 1)
    connection.execute(opinions.update().where(opinions.c.channel == before).values(channel=after, thread=threads))
    connection.execute(opinion_alarms.update().where(opinion_alarms.c.channel == before).values(channel=after))
    told = (opinion_watches.c.platform == old.platform) & (opinion_watches.c.tenant == old.tenant)
    told &= opinion_watches.c.told_channel == old.channel
    connection.execute(opinion_watches.update().where(told).values(told_channel=new.channel))
