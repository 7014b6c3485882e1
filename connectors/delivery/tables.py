"""The queue's two tables. Times are seconds since 1970. Texts are emptied once they are delivered: only keys stay."""

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text, text

from retrieval.database import metadata

_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only INTEGER keys by itself
OPEN = text("state IN ('new', 'claimed')")

inbox = Table(
    "inbox",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("platform", String(20), nullable=False),
    Column("tenant", Text, nullable=False),
    Column("key", String(64), nullable=False),  # a digest
    Column("conversation", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("received", Float, nullable=False),
    Column("state", String(8), nullable=False),  # new, claimed, done, dead
    Column("is_excess", Boolean, nullable=False),  # came when the queue was full: only a refusal is owed
    Column("due", Float, nullable=False),  # not before
    Column("lease", Float, nullable=False),  # claimed until
    Column("fence", Integer, nullable=False),  # raised by each claim: an older claim's commits fail
    Column("attempts", Integer, nullable=False),  # that failed
    Column("handle", Text, nullable=False),  # of the message opened for the answer
    Column("is_stopped", Boolean, nullable=False),  # the person wants no more of it
    Column("error", Text, nullable=False),  # the last failure's kind; nobody's words
    Index("uq_inbox_event", "platform", "tenant", "key", unique=True),
    Index("ix_inbox_open", "conversation", "id", sqlite_where=OPEN, postgresql_where=OPEN),
    Index("ix_inbox_lane", "is_excess", "id", "due", sqlite_where=OPEN, postgresql_where=OPEN),
    Index("ix_inbox_due", "due", sqlite_where=OPEN, postgresql_where=OPEN),
    Index("ix_inbox_received", "received"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("inbox", _ID, ForeignKey("inbox.id", ondelete="CASCADE"), nullable=False),
    Column("part", Integer, nullable=False),
    Column("body", Text, nullable=False),  # an Outgoing as JSON
    Column("state", String(8), nullable=False),  # ready, sending, sent, dead
    Column("since", Float, nullable=False),  # when it was marked `sending`
    Column("handle", Text, nullable=False),
    Column("message", String(64), nullable=False),  # a digest of the platform's id, once sent
    Index("ix_outbox_inbox_part", "inbox", "part"),
    Index("ix_outbox_message", "message"),
)
