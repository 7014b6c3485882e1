"""When Atelier speaks up in a channel: its rule, the threads it follows, and whether a message is for it."""

from datetime import UTC, datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy import Engine

from agent.events import Post
from agent.memory_tables import channel_rules, followed_threads, insert_new, put
from agent.message import Place
from retrieval.database import reading, writing


class Rule(StrEnum):
    """A channel's rule. Whoever writes to Atelier directly, or calls it by name, is answered under every rule."""

    MENTION = "mention"  # only who calls it
    THREAD = "thread"  # who calls it, and then everything in the thread of that answer
    ALWAYS = "always"  # every message
    OFF = "off"  # as `mention`; and nothing unprompted either


class ChannelRules:
    """Rules and followed threads in the store. Thread-safe, and safe beside other processes. Raises StoreError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def rule(self, place: Place) -> Rule:
        """The rule of the channel that `place` is in; THREAD unless one was set."""
        query = sa.select(channel_rules.c.rule).where(channel_rules.c.channel == place.whole_channel.key)
        with reading(self._engine) as connection:
            return Rule(connection.execute(query).scalar_one_or_none() or Rule.THREAD)

    def set_rule(self, place: Place, rule: Rule) -> None:
        """Set the rule of the channel that `place` is in, for all its threads."""
        with writing(self._engine) as connection:
            put(connection, channel_rules, {"channel": place.whole_channel.key, "rule": rule.value})

    def follow(self, place: Place) -> None:
        """Follow this thread from now on. A place without a thread is not followed: that is the rule ALWAYS."""
        if place.thread and not self.is_followed(place):  # a look takes no write lock; most answers are not the first
            with writing(self._engine) as connection:
                insert_new(connection, followed_threads, {"place": place.key, "since": datetime.now(UTC)})

    def leave(self, place: Place) -> None:
        """Follow no thread of its channel any more, or of its tenant where it names no channel. The rule stays."""
        key = place.whole_channel.key
        beginning = key if place.channel else key.removesuffix("/")
        here = sa.func.substr(followed_threads.c.place, 1, len(beginning)) == beginning
        with writing(self._engine) as connection:
            connection.execute(followed_threads.delete().where(here))

    def is_followed(self, place: Place) -> bool:
        query = sa.select(followed_threads.c.place).where(followed_threads.c.place == place.key)
        with reading(self._engine) as connection:
            return connection.execute(query).first() is not None


def is_addressed(post: Post, rule: Rule, *, followed: bool) -> tuple[bool, str]:
    """Whether `post` is for Atelier, and why, in one sentence. followed: `ChannelRules.is_followed` of its place."""
    if post.direct:
        return True, "Nobody but Atelier reads along here."
    if post.called:
        return True, "Atelier was called."
    if rule is Rule.ALWAYS:
        return True, "In this channel Atelier answers every message."
    if rule is Rule.THREAD and followed:
        return True, "Atelier follows this thread."
    if rule is Rule.THREAD:
        return False, "Atelier was not called, and it does not follow this thread."
    if rule is Rule.OFF:
        return False, "In this channel Atelier is off until it is called."
    return False, "In this channel Atelier answers only when it is called."
