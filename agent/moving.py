"""A channel that goes on under another id takes along what is known of it: conversations, rule, followed threads."""

from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy import Engine

from agent.erasure import lock_memory
from agent.ideation import persons as ideation
from agent.memory_tables import buttons, channel_rules, followed_threads, insert_new, places, summaries, turns
from agent.message import Place
from agent.opinion import persons as opinion
from agent.support import persons as support
from retrieval.database import writing


def move(engine: Engine, old: Place, new: Place) -> None:
    """All of the channel of `old`, with its threads, becomes the channel of `new`. Doing it again changes nothing.

    Where both had a rule, or a conversation with a summary, the newer channel keeps its own. Raises StoreError.
    """
    with writing(engine) as connection:
        lock_memory(connection, exclusive=True)
        here = (places.c.platform == old.platform) & (places.c.tenant == old.tenant) & (places.c.channel == old.channel)
        for row in connection.execute(sa.select(places).where(here)).all():
            target = replace(new, thread=row.thread)
            named = {"platform": new.platform, "tenant": new.tenant, "channel": new.channel, "thread": row.thread}
            insert_new(connection, places, named | {"key": target.key})
            connection.execute(turns.update().where(turns.c.place == row.key).values(place=target.key))
            has_own = sa.select(summaries.c.place).where(summaries.c.place == target.key)
            if connection.execute(has_own).first() is None:
                connection.execute(summaries.update().where(summaries.c.place == row.key).values(place=target.key))
            connection.execute(summaries.delete().where(summaries.c.place == row.key))
            connection.execute(places.delete().where(places.c.key == row.key))
        support.move(connection, old, new)
        ideation.move(connection, old, new)
        opinion.move(connection, old, new)
        before, after = replace(old, thread="").key, replace(new, thread="").key
        rule = sa.select(channel_rules.c.rule).where(channel_rules.c.channel == before)
        if (known := connection.execute(rule).scalar_one_or_none()) is not None:
            insert_new(connection, channel_rules, {"channel": after, "rule": known})
            connection.execute(channel_rules.delete().where(channel_rules.c.channel == before))
        follows = sa.func.substr(followed_threads.c.place, 1, len(before)) == before
        for row in connection.execute(sa.select(followed_threads).where(follows)).all():
            insert_new(connection, followed_threads, {"place": after + row.place[len(before) :], "since": row.since})
        connection.execute(followed_threads.delete().where(follows))
        shown = (buttons.c.platform == old.platform) & (buttons.c.tenant == old.tenant)
        pressable = buttons.update().where(shown & (buttons.c.channel == old.channel))
        connection.execute(pressable.values(channel=new.channel))
