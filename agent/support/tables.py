"""The tables of cases that people take up, of what was said and done in them, and of what administrators did."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table

from agent.memory_tables import CleanText, Moment
from retrieval.database import metadata

_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only INTEGER keys by itself
_PERSON = String(40)
OF_THREAD = "thread/"  # begins the origins of answers that people gave each other in a channel

cases = Table(
    "cases",
    metadata,
    Column("number", _NUMBER, primary_key=True),
    Column("origin", String(200), nullable=False, unique=True),  # the event that opened it: once, also after a crash
    Column("state", String(10), nullable=False),
    Column("reason", String(10), nullable=False),
    Column("asker", _PERSON, ForeignKey("persons.id", ondelete="SET NULL"), index=True),
    Column("asker_account", CleanText, nullable=False),
    Column("platform", CleanText, nullable=False),  # where it was asked
    Column("tenant", CleanText, nullable=False),
    Column("channel", CleanText, nullable=False),
    Column("thread", CleanText, nullable=False),
    Column("direct", Boolean, nullable=False),
    Column("language", String(20), nullable=False),  # the asker's
    Column("turn", String(40), nullable=False),  # the one that led to it
    Column("desk_platform", CleanText, nullable=False),  # where those are who take it up
    Column("desk_tenant", CleanText, nullable=False),
    Column("desk_channel", CleanText, nullable=False),
    Column("desk_thread", CleanText, nullable=False),
    Column("owner", _PERSON, ForeignKey("persons.id", ondelete="SET NULL"), index=True),
    Column("owner_account", CleanText, nullable=False),
    Column("rating", Integer),  # 1 good, -1 bad
    Column("opened", Moment, nullable=False),
    Column("closed", Moment),
    Index("ix_cases_channel", "channel", "state"),
    Index("ix_cases_desk_channel", "desk_channel", "state"),
)

# Everything that was said and done, in order. A key is an event's: what comes again after a crash is the same line.
case_lines = Table(
    "case_lines",
    metadata,
    Column("id", _NUMBER, primary_key=True),
    Column("number", _NUMBER, ForeignKey("cases.number", ondelete="CASCADE"), nullable=False, index=True),
    Column("key", String(200), nullable=False, unique=True),
    Column("kind", String(10), nullable=False),
    Column("author", _PERSON, ForeignKey("persons.id", ondelete="SET NULL"), index=True),
    Column("text", CleanText, nullable=False),
    Column("shown", String(200), nullable=False, index=True),  # how the queue names its message at the desk
    Column("at", Moment, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", _NUMBER, primary_key=True),
    Column("key", String(200), nullable=False, unique=True),
    Column("at", Moment, nullable=False, index=True),
    Column("actor", _PERSON, ForeignKey("persons.id", ondelete="SET NULL"), index=True),
    Column("account", CleanText, nullable=False),  # emptied when the person is forgotten
    Column("role", String(15), nullable=False),
    Column("verb", String(40), nullable=False),
    Column("object", CleanText, nullable=False),
    Column("outcome", String(10), nullable=False),  # done, refused
    Column("place", CleanText, nullable=False),
)

# Questions that the team has answered itself. Only approved ones answer.
curated = Table(
    "curated",
    metadata,
    Column("id", _NUMBER, primary_key=True),
    Column("origin", String(200), nullable=False, unique=True),  # the event that it comes of
    Column("tenant", String(200), nullable=False, index=True),
    Column("question", CleanText, nullable=False),  # one way to put it a line
    Column("answer", CleanText, nullable=False),
    Column("source", CleanText, nullable=False),
    Column("audience", String(401), nullable=False),
    Column("language", String(20), nullable=False),
    Column("state", String(10), nullable=False),  # proposed, approved, withdrawn
    Column("proposed_by", _PERSON, ForeignKey("persons.id", ondelete="SET NULL"), index=True),
    Column("asked_by", _PERSON, ForeignKey("persons.id", ondelete="SET NULL"), index=True),  # the question's words
    Column("decided_by", _PERSON, ForeignKey("persons.id", ondelete="SET NULL"), index=True),
    Column("proposed", Moment, nullable=False),
    Column("decided", Moment),
    Column("changed", Moment, nullable=False),
    sqlite_autoincrement=True,  # a button names an entry: its number is never another's
)
