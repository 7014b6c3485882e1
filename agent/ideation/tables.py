"""The tables of ideation sessions: the acts, which are the truth, and two that find them."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table

from agent.memory_tables import CleanText, Json, Moment
from retrieval.database import metadata

sessions = Table(
    "ideation_sessions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", CleanText, nullable=False),
    Column("code", String(12), nullable=False),  # by which another place joins
    Column("opened", Moment, nullable=False),
    Column("events", Integer, nullable=False),  # given out so far: numbers are never used again
    Column("ideas", Integer, nullable=False),
    Column("erased", Integer, nullable=False),  # how often acts were changed by forgetting or linking people
    Column("is_open", Boolean, nullable=False, index=True),
    Index("uq_ideation_sessions_code", "code", unique=True),
)
session_places = Table(
    "ideation_places",
    metadata,
    Column("place", CleanText, primary_key=True),  # a Place's key: one open session each
    Column("session", String(40), ForeignKey("ideation_sessions.id", ondelete="CASCADE"), nullable=False, index=True),
)
events = Table(
    "ideation_events",
    metadata,
    Column("session", String(40), ForeignKey("ideation_sessions.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("key", String(64), nullable=False),  # a digest
    Column("kind", String(20), nullable=False),
    Column("person", String(40), nullable=False, index=True),  # empty: the machine or a timer
    Column("subject", String(40), nullable=False, index=True),  # whom it is about
    Column("at", Moment, nullable=False),
    Column("body", Json, nullable=False),
    Index("uq_ideation_events_session_key", "session", "key", unique=True),
)
