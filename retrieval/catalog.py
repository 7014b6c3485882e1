"""What one process knows of the store between two changes: which passages there are, and who may read them.

A catalog never changes; `next_catalog` makes the following one from what the store says changed since, so a query after
one new document does not read a million rows.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy import Connection

from retrieval.passage import Ids, PassageSet
from retrieval.tables import documents, passages

_SETS = 1024  # sets of audiences whose numbers are remembered
_REMEMBERED = 128 * 2**20  # bytes of passage sets kept: one for every combination of audiences that asks


@dataclass(frozen=True, slots=True)
class Catalog:
    """Passages by ascending id with their contents, (n,) each; documents by ascending id with theirs, (m,) each.

    codes: each document's audience as a number. audiences: the number of an audience.
    """

    generation: int = -1
    ids: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    contents: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    document_ids: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    document_contents: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    codes: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    audiences: dict[str, int] = field(default_factory=dict)
    _visible: OrderedDict[frozenset[int], PassageSet | None] = field(default_factory=OrderedDict, repr=False)
    _held: dict[frozenset[str], frozenset[int]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def visible(self, audiences: frozenset[str]) -> PassageSet | None:
        """The passages that a holder of `audiences` may read; None when that is every passage."""
        held = self._held.get(audiences)
        if held is None:
            held = frozenset(code for each in audiences if (code := self.audiences.get(each)) is not None)
            if len(self._held) >= _SETS:
                self._held.clear()
            self._held[audiences] = held
        with self._lock:
            if held in self._visible:
                return self._visible[held]
            allowed = self._visible[held] = self._select(held)
            while len(self._visible) > 1 and sum(map(_size, self._visible.values())) > _REMEMBERED:
                self._visible.popitem(last=False)
            return allowed

    def _select(self, held: frozenset[int]) -> PassageSet | None:
        codes = _flags(np.array(sorted(held), np.int64), len(self.audiences))
        readable = _flags(self.document_contents[codes[self.codes]], self._top)
        mask = readable[self.contents]
        return None if mask.all() else PassageSet.of(self.ids[mask])

    @property
    def _top(self) -> int:
        return 1 + int(max(self.contents.max(initial=0), self.document_contents.max(initial=0)))


def _flags(numbers: Ids, size: int) -> NDArray[np.bool_]:
    flags = np.zeros(size, dtype=bool)
    flags[numbers] = True
    return flags


def _size(allowed: PassageSet | None) -> int:
    return 0 if allowed is None else allowed.ids.nbytes + allowed.bitmap.nbytes


def next_catalog(connection: Connection, generation: int, old: Catalog) -> Catalog:
    """The catalog at `generation`.

    Ids are never used again, so new rows and a count tell whether anything was deleted; only then all ids are read.
    """
    ids, contents = _passages_after(connection, int(old.ids[-1]) if len(old.ids) else -1)
    ids, contents = np.concatenate((old.ids, ids)), np.concatenate((old.contents, contents))
    if len(ids) != _count(connection, passages):
        ids, contents = _passages_after(connection, -1)
    changed = _documents_since(connection, old.generation, old.audiences)
    stays = ~np.isin(old.document_ids, changed[0])
    kept = (old.document_ids[stays], old.document_contents[stays], old.codes[stays])
    document_ids, document_contents, codes = (np.concatenate(pair) for pair in zip(kept, changed[:3], strict=True))
    audiences = changed[3]
    if len(document_ids) != _count(connection, documents):
        document_ids, document_contents, codes, audiences = _documents_since(connection, -1, {})
    return Catalog(generation, ids, contents, document_ids, document_contents, codes, audiences)


def _passages_after(connection: Connection, last: int) -> tuple[Ids, Ids]:
    query = sa.select(passages.c.id, passages.c.content).where(passages.c.id > last).order_by(passages.c.id)
    pairs = np.array(connection.execute(query).all(), dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0].copy(), pairs[:, 1].copy()


def _documents_since(
    connection: Connection, generation: int, audiences: dict[str, int]
) -> tuple[Ids, Ids, Ids, dict[str, int]]:
    table = documents.c
    query = sa.select(table.id, table.content, table.audience).where(table.generation > generation).order_by(table.id)
    known = dict(audiences)
    rows = [(row.id, row.content, known.setdefault(row.audience, len(known))) for row in connection.execute(query)]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return columns[:, 0].copy(), columns[:, 1].copy(), columns[:, 2].copy(), known


def _count(connection: Connection, table: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
