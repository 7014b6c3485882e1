"""The tables of the opinion monitor: which channels are watched, what was heard in them, and the alarms."""

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, String, Table

from agent.memory_tables import CleanText, Json, Moment
from retrieval.database import metadata

_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only INTEGER keys by itself

opinion_watches = Table(
    "opinion_watches",
    metadata,
    Column("channel", CleanText, primary_key=True),  # the key of its Place, without a thread
    Column("platform", CleanText, nullable=False),
    Column("tenant", CleanText, nullable=False),
    Column("name", CleanText, nullable=False),  # the channel's id
    Column("since", Moment, nullable=False),
    Column("account", CleanText, nullable=False),  # who ordered it, and is told
    Column("told_channel", CleanText, nullable=False),  # where reports and alarms go
    Column("told_thread", CleanText, nullable=False),
    Column("language", String(20), nullable=False),
)
opinions = Table(
    "opinions",
    metadata,
    Column("id", _NUMBER, primary_key=True),
    Column("key", String(64), nullable=False, unique=True),  # SHA-256 of the message's name
    Column("channel", CleanText, nullable=False),
    Column("thread", CleanText, nullable=False),
    Column("author", String(40), ForeignKey("persons.id", ondelete="CASCADE"), index=True),
    Column("at", Moment, nullable=False),
    Column("negative", Float(53), nullable=False),
    Column("positive", Float(53), nullable=False),
    Column("topics", Json, nullable=False),
    Column("text", CleanText, nullable=False),  # empty where its author did not agree
    Index("ix_opinions_channel", "channel", "at"),
)
opinion_alarms = Table(
    "opinion_alarms",
    metadata,
    Column("key", String(64), primary_key=True),  # of the message that made it
    Column("channel", CleanText, nullable=False),
    Column("at", Moment, nullable=False),
)
