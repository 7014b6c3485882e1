"""Documents into the store: each whole or not at all, many of them together in few statements.

With thousands of small documents a statement each would take a tenth of the time that encoding them does.
"""

import time
from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from retrieval.document import Chunk
from retrieval.passage import Vectors
from retrieval.store import Entry, Outcome, content_key, digest, drop_orphans, parts
from retrieval.tables import contents, documents, meta, passages, vectors

# Built once: composing statements would cost as much as running them.
_FIND_DOCUMENT = sa.select(documents).where(
    documents.c.tenant == sa.bindparam("tenant"), documents.c.source == sa.bindparam("source")
)
_FIND_CONTENT = sa.select(contents.c.id).where(contents.c.key == sa.bindparam("key"))
_ADD_CONTENTS = contents.insert().returning(contents.c.id, contents.c.key)
_TAKE_IDS = (
    meta.update()
    .values(next_passage=meta.c.next_passage + sa.bindparam("count", type_=sa.BigInteger))
    .returning(meta.c.next_passage)
)


def put_all(
    connection: Connection, generation: int, entries: Sequence[Entry], encoder: str, encoded: Mapping[bytes, Vectors]
) -> list[Outcome]:
    """As `put`, each in turn; those that share nothing with another, nor with the store, go in together."""
    keys = [content_key(entry.chunks) for entry in entries]
    places = [(entry.tenant, entry.source) for entry in entries]
    taken_keys = _present(connection, sa.select(contents.c.key), contents.c.key, keys)
    taken_places = _present(
        connection,
        sa.select(documents.c.tenant, documents.c.source),
        documents.c.source,
        [source for _, source in places],
    )
    fresh: dict[str, Entry] = {}
    for entry, key, place in zip(entries, keys, places, strict=True):
        if key not in taken_keys and place not in taken_places:
            fresh[key] = entry
        taken_keys.add(key)
        taken_places.add(place)
    ids = _put_contents(connection, {key: entry.chunks for key, entry in fresh.items()}, encoder, encoded)
    rows = [_facts(entry, ids[key], generation) | _identity(entry) for key, entry in fresh.items()]
    if rows:
        connection.execute(documents.insert(), rows)
    return [
        "added" if fresh.get(key) is entry else put(connection, generation, entry, encoder, encoded)
        for entry, key in zip(entries, keys, strict=True)
    ]


def put(
    connection: Connection, generation: int, entry: Entry, encoder: str, encoded: Mapping[bytes, Vectors]
) -> Outcome:
    """Insert or update one document. `encoded`: a row for every chunk digest the store may not have yet."""
    old = connection.execute(_FIND_DOCUMENT, {"tenant": entry.tenant, "source": entry.source}).one_or_none()
    key = content_key(entry.chunks)
    known = connection.execute(_FIND_CONTENT, {"key": key}).scalar_one_or_none()
    shared = known is not None
    content = int(known) if known is not None else _put_contents(connection, {key: entry.chunks}, encoder, encoded)[key]
    facts = _facts(entry, content, generation)
    if old is None:
        connection.execute(documents.insert(), facts | _identity(entry))
        return "duplicate" if shared else "added"
    connection.execute(documents.update().where(documents.c.id == old.id).values(facts))
    if old.content != content:
        drop_orphans(connection, [old.content])
        return "duplicate" if shared else "updated"
    same = (old.audience, old.author, old.title) == (entry.audience, entry.author, entry.title)
    return "unchanged" if same else "updated"


def _present(
    connection: Connection, query: sa.Select[tuple[str, ...]], column: sa.Column[str], values: Iterable[str]
) -> set[object]:
    """The rows of `query` whose `column` is one of `values`; single columns come as plain values."""
    found: set[object] = set()
    for part in parts(list(dict.fromkeys(values))):
        found |= {row[0] if len(row) == 1 else tuple(row) for row in connection.execute(query.where(column.in_(part)))}
    return found


def _put_contents(
    connection: Connection, new: Mapping[str, Sequence[Chunk]], encoder: str, encoded: Mapping[bytes, Vectors]
) -> dict[str, int]:
    """Store contents, which are not there yet, by their keys; their ids."""
    if not new:
        return {}
    added = connection.execute(_ADD_CONTENTS, [{"key": key} for key in new])
    ids = {row.key: int(row.id) for row in added}
    chunks = [(ids[key], i, chunk, digest(chunk)) for key, each in new.items() for i, chunk in enumerate(each)]
    if not chunks:
        return ids
    first = int(connection.execute(_TAKE_IDS, {"count": len(chunks)}).scalar_one()) - len(chunks)
    connection.execute(
        passages.insert(),
        [
            {
                "id": passage,
                "content": content,
                "ordinal": ordinal,
                "text": chunk.text,
                "heading": " > ".join(chunk.heading),
                "page": chunk.page,
                "line": chunk.line,
                "digest": mark,
            }
            for passage, (content, ordinal, chunk, mark) in enumerate(chunks, first)
        ],
    )
    connection.execute(
        vectors.insert(),
        [
            {"passage": passage, "encoder": encoder, "vector": encoded[mark].astype("<f4").tobytes()}
            for passage, (_, _, _, mark) in enumerate(chunks, first)
        ],
    )
    return ids


def _identity(entry: Entry) -> dict[str, object]:
    return {"tenant": entry.tenant, "source": entry.source, "added": int(time.time())}


def _facts(entry: Entry, content: int, generation: int) -> dict[str, object]:
    return {
        "content": content,
        "title": entry.title,
        "audience": entry.audience,
        "author": entry.author,
        "sha256": entry.sha256,
        "reading": entry.reading,
        "root": entry.file.root if entry.file else None,
        "size": entry.file.size if entry.file else None,
        "mtime": entry.file.mtime if entry.file else None,
        "generation": generation,
    }
