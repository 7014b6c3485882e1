"""The truth behind every index: documents, their contents cut into passages, and the passages' vectors.

A content is what a document says, cut into passages; documents with the same content share it, and a reader reaches it
only through a document whose audience they hold. Every write transaction bumps `meta.generation`, so other processes
notice at their next query. Passage ids come from a counter and are never used again: an index that holds an id the
store lacks is stale, never wrong about which text the id meant.
"""

import hashlib
import itertools
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import sqlalchemy as sa
from sqlalchemy import Connection, Engine, LargeBinary, String

from retrieval.audience import EVERYONE
from retrieval.database import fetch, reading
from retrieval.document import Chunk
from retrieval.passage import Ids, Passage, Vectors
from retrieval.tables import contents, documents, meta, passages, vectors

Outcome = Literal["added", "updated", "unchanged", "duplicate"]
_MANY = 500  # values in one IN list
_FOR_ALL = f"/{EVERYONE}"
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Meta:
    """The store's one row of facts; `encoder` is the id of the encoder whose vectors serve, None in an empty store."""

    store: str
    generation: int
    encoder: str | None


@dataclass(frozen=True, slots=True)
class File:
    """The file behind a document, remembered to skip it next time. mtime: ns, None when too fresh to be trusted."""

    root: int
    size: int
    mtime: int | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A document to be stored. sha256: of the file or text it came from. reading: version of loader and splitter."""

    tenant: str
    source: str
    title: str
    audience: str
    sha256: str
    reading: str
    chunks: tuple[Chunk, ...]
    author: str | None = None
    file: File | None = None


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as the store knows it. added: seconds since 1970. passages: how many its content was cut into."""

    source: str
    title: str
    audience: str
    author: str | None
    sha256: str
    reading: str
    file: File | None
    added: int
    passages: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that may be read, as the store holds it now, with its place among its content's passages."""

    passage: Passage
    content: int
    ordinal: int


def digest(chunk: Chunk) -> bytes:
    """What makes two chunks the same to the encoder, 16 bytes."""
    return hashlib.sha256(chunk.encoded_text.encode("utf-8", "surrogatepass")).digest()[:16]


def content_key(chunks: Sequence[Chunk]) -> str:
    """Identity of a content. Headings and places count, so documents share only what each of them says itself."""
    hasher = hashlib.sha256()
    for chunk in chunks:
        hasher.update(repr((chunk.heading, chunk.text, chunk.page, chunk.line)).encode())
    return hasher.hexdigest()


def prepare(connection: Connection) -> None:
    """Give an empty store its row of facts. Several processes may do so at once."""
    connection.execute(
        sa.text(
            "INSERT INTO meta (id, store, generation, next_passage) VALUES (1, :store, 0, 0) ON CONFLICT DO NOTHING"
        ),
        {"store": secrets.token_hex(16)},
    )


def is_prepared(connection: Connection) -> bool:
    return connection.execute(sa.select(meta.c.id)).first() is not None


def lock(connection: Connection) -> None:
    """Let no other write transaction go on beside this one (on SQLite that is so anyway)."""
    prepare(connection)
    connection.execute(sa.select(meta.c.id).with_for_update()).one()


def read_meta(connection: Connection) -> Meta:
    row = connection.execute(sa.select(meta.c.store, meta.c.generation, meta.c.encoder)).one()
    return Meta(row.store, row.generation, row.encoder)


def bump(connection: Connection) -> int:
    """Begin a change: the next generation. First in every write transaction: on PostgreSQL its row lock orders them."""
    prepare(connection)
    changed = meta.update().values(generation=meta.c.generation + 1).returning(meta.c.generation)
    return int(connection.execute(changed).scalar_one())


_ADD_VECTOR = sa.text(
    "INSERT INTO vectors (passage, encoder, vector) SELECT id, :encoder, :vector FROM passages "
    "WHERE id = :id ON CONFLICT DO NOTHING"
).bindparams(sa.bindparam("vector", type_=LargeBinary), sa.bindparam("encoder", type_=String))


def put_vectors(connection: Connection, ids: Iterable[int], encoder: str, rows: Iterable[Vectors]) -> None:
    """Store one vector a passage; passages that have one, or are gone by now, are passed over."""
    values = [
        {"id": int(i), "encoder": encoder, "vector": row.astype("<f4").tobytes()}
        for i, row in zip(ids, rows, strict=True)
    ]
    if values:
        connection.execute(_ADD_VECTOR, values)


def set_encoder(connection: Connection, encoder: str, *, only_if_none: bool = False) -> None:
    """Name the encoder whose vectors serve."""
    changed = meta.update().values(encoder=encoder)
    connection.execute(changed.where(meta.c.encoder.is_(None)) if only_if_none else changed)


def delete_documents(connection: Connection, condition: sa.ColumnElement[bool]) -> tuple[str, ...]:
    """Delete the documents that meet `condition` and every content nobody else shares; the sources deleted, sorted."""
    gone = connection.execute(
        documents.delete().where(condition).returning(documents.c.source, documents.c.content)
    ).all()
    drop_orphans(connection, [row.content for row in gone])
    return tuple(sorted(row.source for row in gone))


def delete_sources(connection: Connection, tenant: str, sources: Sequence[str]) -> tuple[str, ...]:
    """As `delete_documents`, of a tenant's documents by name."""
    gone: list[str] = []
    for part in parts(sources):
        gone += delete_documents(connection, (documents.c.tenant == tenant) & documents.c.source.in_(part))
    return tuple(sorted(gone))


def put_files(connection: Connection, tenant: str, files: Mapping[str, File]) -> None:
    """Update what is remembered of the files behind documents."""
    here = (documents.c.tenant == tenant) & (documents.c.source == sa.bindparam("named"))
    rows = [{"named": source, "s": file.size, "m": file.mtime} for source, file in files.items()]
    connection.execute(documents.update().where(here).values(size=sa.bindparam("s"), mtime=sa.bindparam("m")), rows)


def drop_orphans(connection: Connection, candidates: Sequence[int]) -> None:
    """Delete those of the contents that no document has any more, with their passages and vectors."""
    for part in parts(candidates):
        held = sa.exists().where(documents.c.content == contents.c.id)
        connection.execute(contents.delete().where(contents.c.id.in_(part), ~held))


def vectors_by_digest(connection: Connection, digests: Sequence[bytes], encoder: str) -> dict[bytes, Vectors]:
    """The vectors that equal texts already have, by digest."""
    found: dict[bytes, Vectors] = {}
    for part in parts(digests):
        query = (
            sa.select(passages.c.digest, vectors.c.vector)
            .join(vectors, (vectors.c.passage == passages.c.id) & (vectors.c.encoder == encoder))
            .where(passages.c.digest.in_(part))
        )
        found |= {bytes(row.digest): np.frombuffer(row.vector, "<f4") for row in connection.execute(query)}
    return found


def vectors_of(connection: Connection, ids: Sequence[int], encoder: str, dim: int) -> tuple[Ids, Vectors]:
    """Ids and vectors, (n,) and (n, dim), of those passages that have one."""
    found: list[int] = []
    blobs: list[bytes] = []
    for part in parts(ids):
        query = sa.select(vectors.c.passage, vectors.c.vector).where(
            vectors.c.passage.in_(part), vectors.c.encoder == encoder
        )
        for row in connection.execute(query):
            found.append(row.passage)
            blobs.append(row.vector)
    matrix = np.frombuffer(b"".join(blobs), "<f4").reshape(len(blobs), dim).astype(np.float32, copy=False)
    return np.array(found, dtype=np.int64), matrix


def texts_of(connection: Connection, ids: Sequence[int]) -> dict[int, str]:
    """The text each passage is encoded and indexed by: its heading path, then its text."""
    found: dict[int, str] = {}
    for part in parts(ids):
        query = sa.select(passages.c.id, passages.c.heading, passages.c.text).where(passages.c.id.in_(part))
        found |= {
            row.id: f"{row.heading}\n{row.text}" if row.heading else row.text for row in connection.execute(query)
        }
    return found


def digests_of(connection: Connection, ids: Sequence[int]) -> dict[int, bytes]:
    """The digests of those passages that are there."""
    query = sa.select(passages.c.id, passages.c.digest).where(passages.c.id.in_(ids))
    return {row.id: bytes(row.digest) for row in connection.execute(query)}


def unencoded(connection: Connection, encoder: str, after: int, limit: int) -> list[int]:
    """Up to `limit` passages above id `after` without a vector of `encoder`, lowest id first."""
    missing = sa.select(passages.c.id).where(passages.c.id > after, ~_has_vector(encoder))
    return list(connection.execute(missing.order_by(passages.c.id).limit(limit)).scalars())


def count_unencoded(connection: Connection, encoder: str) -> int:
    counted = sa.select(sa.func.count()).select_from(passages).where(~_has_vector(encoder))
    return int(connection.execute(counted).scalar_one())


def _has_vector(encoder: str) -> sa.Exists:
    return sa.exists().where(vectors.c.passage == passages.c.id, vectors.c.encoder == encoder)


def delete_other_vectors(connection: Connection, encoder: str, limit: int) -> int:
    """Delete vectors of other encoders, of up to `limit` passages; how many went."""
    others = sa.select(vectors.c.passage).where(vectors.c.encoder != encoder).limit(limit)
    chosen = list(connection.execute(others).scalars())
    for part in parts(chosen):
        connection.execute(vectors.delete().where(vectors.c.passage.in_(part), vectors.c.encoder != encoder))
    return len(chosen)


def list_documents(connection: Connection, tenant: str, source: str | None = None) -> tuple[StoredDocument, ...]:
    """A tenant's documents by source, or the one of that name alone."""
    counted = sa.select(sa.func.count()).where(passages.c.content == documents.c.content).scalar_subquery()
    query = sa.select(documents, counted.label("passages")).where(documents.c.tenant == tenant)
    if source is not None:
        query = query.where(documents.c.source == source)
    return tuple(
        StoredDocument(
            row.source,
            row.title,
            row.audience,
            row.author,
            row.sha256,
            row.reading,
            None if row.root is None else File(row.root, row.size, row.mtime),
            row.added,
            row.passages,
        )
        for row in connection.execute(query.order_by(documents.c.source))
    )


def list_sources(
    connection: Connection, tenant: str, audiences: Collection[str], most: int | None, but: str
) -> list[str]:
    """As `Shelf.sources`: in the order of their index, one after the other, and no passage is counted."""
    query = sa.select(documents.c.source, documents.c.audience).where(documents.c.tenant == tenant)
    if but:
        query = query.where(~documents.c.source.startswith(but, autoescape=True))
    ordered = query.order_by(documents.c.source).execution_options(yield_per=_MANY)
    with connection.execute(ordered) as rows:
        return list(itertools.islice((source for source, audience in rows if audience in audiences), most))


def openings(connection: Connection, tenant: str, sources: Collection[str]) -> dict[str, str]:
    """The first passage of each of a tenant's documents of these names, by source."""
    query = (
        sa.select(documents.c.source, passages.c.text)
        .join(passages, passages.c.content == documents.c.content)
        .where(documents.c.tenant == tenant, documents.c.source.in_(sources), passages.c.ordinal == 0)
    )
    return {row.source: row.text for row in connection.execute(query)}


def first_passages(connection: Connection, tenant: str, source: str, most: int) -> list[int]:
    """The ids of the first passages of a tenant's document, in order."""
    query = (
        sa.select(passages.c.id)
        .join(documents, passages.c.content == documents.c.content)
        .where(documents.c.tenant == tenant, documents.c.source == source)
        .order_by(passages.c.ordinal)
        .limit(most)
    )
    return list(connection.execute(query).scalars())


def _readable(count: int) -> sa.Select[Any]:
    return (
        sa.select(
            sa.select(meta.c.generation).scalar_subquery(),
            *(passages.c[name] for name in ("id", "content", "ordinal", "text", "heading", "page", "line")),
            documents.c.id,
            documents.c.source,
            documents.c.audience,
        )
        .join(documents, documents.c.content == passages.c.content)
        .where(passages.c.id.in_([sa.bindparam(f"v{i}", type_=sa.BigInteger) for i in range(count)]))
    )


def readable(engine: Engine, ids: Sequence[int], audiences: frozenset[str]) -> tuple[list[Hit], int]:
    """Those of `ids` that the store lets a holder of `audiences` read, in the order given; and its generation.

    One query, as every search makes it. A content of several documents is cited by one its reader may see, one that
    everyone may see before others. Passages have score 0 here. Raises StoreError.
    """
    found: dict[int, tuple[tuple[bool, int], Hit]] = {}
    rows = fetch(engine, _readable, ids) if ids else []
    for _, passage, content, ordinal, text, heading, page, line, document, source, audience in rows:
        # Checked here, not in SQL: an asker may hold hundreds of audiences, and binding them costs more than the rows.
        if audience not in audiences:
            continue
        rank = (not audience.endswith(_FOR_ALL), document)
        if passage not in found or rank < found[passage][0]:
            hit = Passage(passage, text, source, heading, page, line, audience, 0.0)
            found[passage] = rank, Hit(hit, content, ordinal)
    if rows:
        return [found[each][1] for each in ids if each in found], int(rows[0][0])
    with reading(engine) as connection:  # none is there: a generation read later than that can only be newer
        return [], read_meta(connection).generation


def parts(values: Sequence[_Value]) -> Iterable[Sequence[_Value]]:
    return (values[start : start + _MANY] for start in range(0, len(values), _MANY))
