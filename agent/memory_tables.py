"""Memory's tables, and how a Turn becomes a row and a Turn again. Text survives both databases unchanged.

Exceptions: a NUL (PostgreSQL takes none) and a lone surrogate (no UTF-8) are stored as U+FFFD. An understanding's
embedding is not stored: `compose` does not read it, the encoder makes it again from the message, and vectors give away
the text they were made from.
"""

import json
import re
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypedDict

import numpy as np
import sqlalchemy as sa
from sqlalchemy import Boolean, Column, Connection, Dialect, Float, ForeignKey, Index, Integer, String, Table, Text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeDecorator

from agent.message import (
    Claim,
    Decision,
    History,
    Intent,
    Line,
    Message,
    Move,
    Person,
    Place,
    Reply,
    Sentiment,
    Source,
    Turn,
    Understanding,
)
from retrieval.database import metadata
from retrieval.passage import Passage
from retrieval.prepared import Prepared

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_NOTHING = np.empty(0, dtype=np.float32)
_ID = String(40)


def storable(text: str) -> str:
    """`text` as it will be read back."""
    return _UNSTORABLE.sub("\ufffd", text)


class CleanText(TypeDecorator[str]):
    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        return None if value is None else storable(value)


class Json(TypeDecorator[object]):
    """JSON as readable text: no escapes for other alphabets, so that a search of the file finds a person's words."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> str:  # noqa: ARG002 - SQLAlchemy's signature
        return storable(json.dumps(value, ensure_ascii=False, default=float))  # numpy's float32 is no float

    def process_result_value(self, value: str | None, dialect: Dialect) -> object:  # noqa: ARG002 - as above
        return None if value is None else json.loads(value)


class Moment(TypeDecorator[datetime]):
    """An aware datetime, in UTC: SQLite has no time zones."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


persons = Table(
    "persons",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("consent", Boolean, nullable=False),
    Column("administrator", Boolean, nullable=False),
    Column("met", Moment, nullable=False),
    Column("consent_asked", Moment),  # when they were asked, which happens once
)
accounts = Table(
    "accounts",
    metadata,
    Column("account", CleanText, primary_key=True),  # platform:tenant:user
    Column("person", _ID, ForeignKey("persons.id", ondelete="CASCADE"), nullable=False, index=True),
)
places = Table(
    "places",
    metadata,
    Column("key", CleanText, primary_key=True),
    Column("platform", CleanText, nullable=False),
    Column("tenant", CleanText, nullable=False),
    Column("channel", CleanText, nullable=False),
    Column("thread", CleanText, nullable=False),
)
turns = Table(
    "turns",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("place", CleanText, ForeignKey("places.key"), nullable=False),
    Column("author", _ID, ForeignKey("persons.id"), nullable=False, index=True),
    Column("message", CleanText, nullable=False),  # the platform's id of it
    Column("text", CleanText, nullable=False),
    Column("sent", Moment, nullable=False),
    Column("audiences", Json, nullable=False),  # what the author could read then
    Column("readers", Json, nullable=False),
    Column("persona", CleanText, nullable=False),
    Column("history", Json, nullable=False),
    Column("intent", String(40), nullable=False),
    Column("confidence", Float(53), nullable=False),
    Column("sentiment", String(40), nullable=False),
    Column("sentiment_confidence", Float(53), nullable=False),
    Column("reasons", Json, nullable=False),
    Column("move", String(40), nullable=False),
    Column("move_reason", CleanText, nullable=False),
    Column("passages", Json, nullable=False),
    Column("reply", CleanText, nullable=False),
    Column("sources", Json, nullable=False),
    Column("generator", CleanText, nullable=False),
    Column("notice", CleanText, nullable=False),
    Column("adapter", CleanText),
    Column("claims", Json, nullable=False, server_default="[]"),
    Column("kept", Moment, nullable=False),
    Index(None, "place", "id"),
    Index(None, "message", unique=True),  # a worker that crashed answers a message again: one turn each
)
summaries = Table(
    "summaries",
    metadata,
    Column("place", CleanText, ForeignKey("places.key"), primary_key=True),
    Column("through", _ID, nullable=False),  # the last turn folded in
    Column("text", CleanText, nullable=False),
)
feedback = Table(
    "feedback",
    metadata,
    Column("turn", _ID, ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
    Column("person", _ID, ForeignKey("persons.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("rating", Integer, nullable=False),  # 1 good, -1 bad
    Column("comment", CleanText, nullable=False),
    Column("given", Moment, nullable=False),
)
labels = Table(  # what a message is about, as an administrator said: learned from while its author agrees
    "labels",
    metadata,
    Column("turn", _ID, ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
    Column("label", CleanText),  # empty: none of the team's intents; null: it was skipped
    Column("at", Moment, nullable=False),
)
erasures = Table(  # when somebody was forgotten, not who: a turn begun before may still carry their words
    "erasures",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("at", Moment, nullable=False),
)

link_codes = Table(  # one a person: the latest; kept when used, to say so
    "link_codes",
    metadata,
    Column("person", _ID, ForeignKey("persons.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of the code
    Column("expires", Moment, nullable=False),
    Column("used", Boolean, nullable=False),
)
joinings = Table(  # persons who became one, until what was learned from the one is known to be the other's
    "joinings",
    metadata,
    Column("gone", _ID, primary_key=True),
    Column("kept", _ID, ForeignKey("persons.id", ondelete="CASCADE"), nullable=False, index=True),
)
wrong_codes = Table(  # how often an account guessed since it last was quiet for an hour
    "wrong_codes",
    metadata,
    Column("account", CleanText, primary_key=True),
    Column("tries", Integer, nullable=False),
    Column("last", Moment, nullable=False, index=True),
)
channel_rules = Table(
    "channel_rules",
    metadata,
    Column("channel", CleanText, primary_key=True),  # the key of its Place, without a thread
    Column("rule", String(20), nullable=False),
)
followed_threads = Table(
    "followed_threads",
    metadata,
    Column("place", CleanText, primary_key=True),
    Column("since", Moment, nullable=False),
)
buttons = Table(
    "buttons",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("kind", CleanText, nullable=False),
    Column("value", CleanText, nullable=False),
    Column("platform", CleanText, nullable=False),
    Column("tenant", CleanText, nullable=False),
    Column("channel", CleanText, nullable=False),
    Column("thread", CleanText, nullable=False),
    Column("expires", Moment, nullable=False, index=True),
)


def insert_new(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Insert a row, unless one with its key (primary or unique) is there; whether it was inserted."""
    return bool(_insert(connection.dialect.name, table, tuple(row), changes=False).run(connection, row))


def put(connection: Connection, table: Table, *rows: dict[str, Any]) -> None:
    """Insert rows of the same columns, or give those with their primary keys these values."""
    for row in rows:
        _insert(connection.dialect.name, table, tuple(row), changes=True).change(connection, row)


@lru_cache(maxsize=64)
def _insert(dialect: str, table: Table, columns: tuple[str, ...], *, changes: bool) -> Prepared:
    """changes: a row with the same primary key takes these columns over; else it stays, and nothing comes back."""
    insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(table)
    if not changes:  # psycopg counts no rows here
        return Prepared(insert.on_conflict_do_nothing().returning(*table.primary_key), columns)
    key = [column.name for column in table.primary_key]
    taken = {name: insert.excluded[name] for name in columns if name not in key}
    return Prepared(insert.on_conflict_do_update(index_elements=key, set_=taken), columns)


class StoredLine(TypedDict):
    role: str
    text: str


class StoredHistory(TypedDict):
    summary: str
    lines: list[StoredLine]


def history_value(history: History) -> StoredHistory:
    return {
        "summary": history.summary,
        "lines": [{"role": line.role, "text": line.text} for line in history.lines],
    }


def history_of(value: StoredHistory) -> History:
    lines = tuple(Line("user" if line["role"] == "user" else "assistant", line["text"]) for line in value["lines"])
    return History(value["summary"], lines)


def turn_row(turn: Turn, now: datetime) -> dict[str, object]:
    """Column to value, for an insert into `turns`."""
    message, understanding = turn.message, turn.understanding
    return {
        "id": turn.id,
        "place": message.place.key,
        "author": message.author.id,
        "message": message.id,
        "text": message.text,
        "sent": message.sent,
        "audiences": sorted(message.author.audiences),
        "readers": sorted(message.readers),
        "persona": turn.persona,
        "history": history_value(turn.history),
        "intent": understanding.intent.value,
        "confidence": float(understanding.confidence),
        "sentiment": understanding.sentiment.value,
        "sentiment_confidence": float(understanding.sentiment_confidence),
        "reasons": list(understanding.reasons),
        "move": turn.decision.move.value,
        "move_reason": turn.decision.reason,
        "passages": [asdict(passage) for passage in turn.passages],
        "reply": turn.reply.text,
        "sources": [asdict(source) for source in turn.reply.sources],
        "generator": turn.reply.generator,
        "notice": turn.reply.notice,
        "adapter": turn.adapter,
        "claims": [asdict(claim) for claim in turn.reply.claims],
        "kept": now,
    }


def turn_of(row: sa.Row[*tuple[Any, ...]], author: Person) -> Turn:
    """The Turn that `turn_row` wrote, of a row of `turns` joined with `places`. `author`: as they are known today."""
    understanding = Understanding(
        _NOTHING,
        Intent(row.intent),
        row.confidence,
        Sentiment(row.sentiment),
        row.sentiment_confidence,
        tuple(row.reasons),
    )
    return Turn(
        id=row.id,
        persona=row.persona,
        history=history_of(row.history),
        message=Message(
            row.message,
            Place(row.platform, row.tenant, row.channel, row.thread),
            replace(author, audiences=frozenset(row.audiences)),
            row.text,
            row.sent,
            frozenset(row.readers),
        ),
        understanding=understanding,
        decision=Decision(Move(row.move), row.move_reason),
        passages=tuple(Passage(**passage) for passage in row.passages),
        reply=Reply(
            row.reply,
            tuple(Source(**source) for source in row.sources),
            row.generator,
            row.notice,
            tuple(Claim(**claim) for claim in row.claims),
        ),
        adapter=row.adapter,
    )
