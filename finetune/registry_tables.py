"""The registry's three tables: versions, their files in pieces, and the aliases that say which of them serves."""

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from agent.memory_tables import CleanText, Json, Moment
from retrieval.database import metadata

versions = Table(
    "versions",
    metadata,
    Column("name", String(64), primary_key=True),  # family-number; never given twice, also after a removal
    Column("family", String(48), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String(10), nullable=False),  # adapter, heads
    Column("method", String(20), nullable=False),
    Column("base", Text, nullable=False),  # fingerprint of the base model; of heads: the encoder's id
    Column("template", String(64), nullable=False),  # fingerprint of the chat template
    Column("files", Json, nullable=False),  # name -> {"sha256", "size"}
    Column("scores", Json, nullable=False),
    Column("persons", Json, nullable=False),  # ids of those whose words it learned from
    Column("documents", Json, nullable=False),  # sources
    Column("audiences", Json, nullable=False),  # who may read all that it learned from: all of them are needed
    Column("flagged", CleanText, nullable=False),  # why it should be trained anew; empty: nothing
    Column("machine", CleanText, nullable=False),  # where its files lie when they are too large for the store
    Column("job", String(64), nullable=False),
    Column("made", Moment, nullable=False),
    Column("removed", Moment),  # its files are gone; the row stays, for turns name it
    Index("uq_versions_family_number", "family", "number", unique=True),
)
pieces = Table(  # content-addressed: two versions that share a file share its pieces
    "version_pieces",
    metadata,
    Column("sha256", String(64), primary_key=True),  # of the whole file
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("kept", Moment, nullable=False),
)
aliases = Table(
    "version_aliases",
    metadata,
    Column("kind", String(10), primary_key=True),
    Column("alias", String(10), primary_key=True),  # live, previous, candidate
    Column("version", String(64), ForeignKey("versions.name"), nullable=False),
    Column("share", Float, nullable=False),  # of conversations that a candidate answers
    Column("channels", Json, nullable=False),  # and those where it answers all
    Column("since", Moment, nullable=False),
)
