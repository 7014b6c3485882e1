"""The knowledge base's tables (`retrieval.store` says how they hang together)."""

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from retrieval.database import metadata

_BigId = BigInteger().with_variant(Integer, "sqlite")  # SQLite's rowid answers to INTEGER only

roots = Table(
    "roots",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("path", Text, nullable=False),  # absolute: what was ingested, a folder or a file
    Column("label", Text, nullable=False),  # leads the sources of its documents
    Column("audience", String(401), nullable=False),  # what a later ingest of it uses when none is named
    sa.UniqueConstraint("tenant", "path"),
    sa.UniqueConstraint("tenant", "label"),
    sqlite_autoincrement=True,
)
contents = Table(
    "contents",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("key", String(64), nullable=False, unique=True),  # SHA-256 over its passages
    sqlite_autoincrement=True,
)
documents = Table(
    "documents",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("source", Text, nullable=False),
    Column("content", _BigId, ForeignKey("contents.id"), nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("audience", String(401), nullable=False),
    Column("author", String(200), index=True),  # the person whose words it holds, for /forget
    Column("root", _BigId, ForeignKey("roots.id"), index=True),
    Column("sha256", String(64), nullable=False),  # of the file as it was read
    Column("reading", String(100), nullable=False),  # version of loader and splitter
    Column("size", BigInteger),
    Column("mtime", BigInteger),  # nanoseconds; NULL when too fresh to be trusted
    Column("added", BigInteger, nullable=False),  # seconds since 1970
    Column("generation", BigInteger, nullable=False, index=True),  # of its last change
    sa.UniqueConstraint("tenant", "source"),
    sqlite_autoincrement=True,
)
passages = Table(
    "passages",
    metadata,
    Column("id", _BigId, primary_key=True, autoincrement=False),
    Column("content", _BigId, ForeignKey("contents.id", ondelete="CASCADE"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("heading", Text, nullable=False),
    Column("page", Integer),
    Column("line", Integer),
    Column("digest", LargeBinary(16), nullable=False, index=True),  # of the encoded text: equal texts share vectors
    sa.UniqueConstraint("content", "ordinal"),
)
vectors = Table(
    "vectors",
    metadata,
    Column("passage", _BigId, ForeignKey("passages.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("encoder", String(300), primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # float32, little-endian
)
meta = Table(
    "meta",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("store", String(32), nullable=False),  # random: tells this store's index cache from another's
    Column("generation", BigInteger, nullable=False),
    Column("next_passage", BigInteger, nullable=False),
    Column("encoder", String(300)),  # the encoder whose vectors serve; NULL while there are no passages
)
watched = Table(
    "watched",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("address", Text, nullable=False),  # a web address, or the absolute path of a folder or file
    Column("url", Text, nullable=False),  # where a page was found, after redirects
    Column("etag", Text, nullable=False),
    Column("modified", Text, nullable=False),  # as the server wrote it
    Column("looked", BigInteger, nullable=False),  # seconds since 1970
    Column("changed", BigInteger, nullable=False),
    Column("problem", Text, nullable=False),  # why it could not be read at the last look
    Column("is_ours", Boolean, nullable=False),  # its documents came with it, and go with it
    Column(
        "before", Text, nullable=False, server_default=""
    ),  # what it held before looks that nobody was told of, JSON
    sa.UniqueConstraint("tenant", "address"),
)
Index("ix_documents_audience_content", documents.c.audience, documents.c.content)
