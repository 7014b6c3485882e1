"""The documents in the store, without an encoder: listed, removed, and given to other readers.

A search in any process follows at its next query.
"""

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy import Engine

from retrieval import store
from retrieval.audience import audience_of, check_tenant, everyone
from retrieval.database import reading, writing
from retrieval.roots import Root, enclosing, label_for, list_roots, put_root, rootless_sources
from retrieval.store import File, StoredDocument
from retrieval.tables import documents

_LOCK_SECONDS = 60.0  # how long one process waits for another's saving


@contextmanager
def exclusive(folder: Path) -> Iterator[bool]:
    """Hold the index cache in `folder` against other processes.

    False when another kept it for too long, or where nothing can be locked: a disk that is full or may only be read.
    """
    lock = FileLock(folder / "lock", timeout=_LOCK_SECONDS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError:  # a Timeout is one too
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def scrub(folder: Path) -> None:
    """Delete the index cache in `folder`; it is built again from the store."""
    with exclusive(folder):
        for path in folder.glob("*/"):  # retired and half-written folders of a crash too; none where none can be
            shutil.rmtree(path, ignore_errors=True)


class Shelf:
    """Documents by tenant and source. Any thread, and any number of processes, may use one store at a time."""

    def __init__(
        self, engine: Engine, folder: Path, withdrawing: Callable[[str, Sequence[str]], None] | None = None
    ) -> None:
        """folder: of the index cache.

        withdrawing: told a tenant and the sources that are about to be deleted, or given to fewer readers, for whoever
        learned from them; what it raises stops that.
        """
        self._engine = engine
        self._folder = folder
        self._withdrawing = withdrawing or (lambda _tenant, _sources: None)

    def remove(self, tenant: str, source: str) -> bool:
        """Delete one document; whether it was there. Raises StoreError."""
        return bool(self.remove_all(tenant, [source]))

    def remove_all(self, tenant: str, sources: Sequence[str]) -> tuple[str, ...]:
        """Delete these documents together; those that were there. Raises StoreError."""
        if not sources:
            return ()
        self._withdrawing(check_tenant(tenant), sources)
        with writing(self._engine) as connection:
            store.bump(connection)
            return store.delete_sources(connection, check_tenant(tenant), sources)

    def remove_author(self, person: str, under: str = "") -> tuple[str, ...]:
        """Delete every document made of a person's words, and the index cache, which holds words; their sources.

        under: how the sources begin, where only some are meant. Whoever has the indexes in memory saves them anew when
        it closes. Raises StoreError.
        """
        with writing(self._engine) as connection:
            store.bump(connection)
            theirs = (documents.c.author == person) & documents.c.source.startswith(under, autoescape=True)
            gone = store.delete_documents(connection, theirs)
        if gone:
            scrub(self._folder)
        return gone

    def set_audience(self, tenant: str, source: str, audience: str) -> bool:
        """Let another audience of the same tenant read a document, from the next query on; whether it was there.

        Raises SettingsError, StoreError.
        """
        whole = audience_of(tenant, audience)
        here = (documents.c.tenant == check_tenant(tenant)) & (documents.c.source == source)
        before = self.document(tenant, source) if whole != everyone(tenant) else None
        if before is not None and before.audience != whole:
            self._withdrawing(check_tenant(tenant), [source])
        with writing(self._engine) as connection:
            changed = {"audience": whole, "generation": store.bump(connection)}
            return bool(connection.execute(documents.update().where(here).values(changed)).rowcount)

    def documents(self, tenant: str) -> tuple[StoredDocument, ...]:
        """A tenant's documents, by source. Raises StoreError."""
        with reading(self._engine) as connection:
            return store.list_documents(connection, check_tenant(tenant))

    def count(self, tenant: str) -> int:
        """How many documents a tenant has. Raises StoreError."""
        counted = sa.select(sa.func.count()).where(documents.c.tenant == check_tenant(tenant))
        with reading(self._engine) as connection:
            return int(connection.execute(counted).scalar_one())

    def document(self, tenant: str, source: str) -> StoredDocument | None:
        """One of them, without reading the others. Raises StoreError."""
        with reading(self._engine) as connection:
            return next(iter(store.list_documents(connection, check_tenant(tenant), source)), None)

    def sources(self, tenant: str, audiences: Collection[str], most: int | None = None, but: str = "") -> list[str]:
        """The names, in order, of a tenant's documents that a holder of `audiences` may read: the first `most` of them.

        but: how those begin that are left out. Raises StoreError.
        """
        with reading(self._engine) as connection:
            return store.list_sources(connection, check_tenant(tenant), audiences, most, but)

    def passages(self, tenant: str, source: str, most: int) -> list[int]:
        """The ids of a document's first passages, in order. Raises StoreError."""
        with reading(self._engine) as connection:
            return store.first_passages(connection, check_tenant(tenant), source, most)

    def openings(self, tenant: str, sources: Collection[str]) -> dict[str, str]:
        """How these documents begin: their first passages, by source. Raises StoreError."""
        with reading(self._engine) as connection:
            return store.openings(connection, check_tenant(tenant), sources)

    def roots(self, tenant: str) -> list[Root]:
        """The folders and files that were ingested for a tenant. Raises StoreError."""
        with reading(self._engine) as connection:
            return list_roots(connection, check_tenant(tenant))

    def put_root(self, tenant: str, path: str, audience: str | None) -> None:
        """Remember a folder or file as ingested, with the audience of what it brings.

        None leaves a known path, or one inside a known folder, to the audience it has; another is for everyone.
        Raises StoreError.
        """
        with writing(self._engine) as connection:
            store.lock(connection)
            roots = list_roots(connection, tenant)
            outer = enclosing(path, roots)
            if outer is not None and audience in (None, outer.audience):
                return
            taken = rootless_sources(connection, tenant)
            put_root(connection, tenant, path, label_for(path, roots, taken), audience or everyone(tenant))

    def remember_files(self, tenant: str, files: Mapping[str, File]) -> None:
        """Note the present size and time of documents' files that say what they said. Raises StoreError."""
        if files:
            with writing(self._engine) as connection:
                store.put_files(connection, tenant, files)
