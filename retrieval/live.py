"""The indexes of one process, kept in step with the store, and their cache on disk.

Both indexes are derived: whatever they hold too much or too little of is found by comparing ids with the store, so a
stale cache is brought up to date and a corrupt one is built anew, from the vectors and texts that the store holds.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from sqlalchemy import Engine

from retrieval.catalog import Catalog, next_catalog
from retrieval.database import reading
from retrieval.errors import IndexCorrupt, StoreError
from retrieval.index import VectorIndex
from retrieval.passage import Ids
from retrieval.shelf import exclusive
from retrieval.store import Meta, digests_of, read_meta, texts_of, vectors_of
from retrieval.words import WordIndex

_PART = 10_000  # passages fetched and indexed at a time: bounds memory, and each read transaction stays short
_Index = TypeVar("_Index")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class State:
    """What a search works on. encoder: the id of the encoder that `vectors` are of; None without a vectors arm."""

    store: str = ""
    catalog: Catalog = field(default_factory=Catalog)
    words: WordIndex = field(default_factory=WordIndex)
    vectors: VectorIndex | None = None
    encoder: str | None = None

    def is_of(self, meta: Meta) -> bool:
        """Whether the store is still as it was when this state was made."""
        return (self.store, self.catalog.generation) == (meta.store, meta.generation)


class LiveIndexes:
    """Both indexes and the catalog. Any thread may search `state` while another refreshes it.

    dims: the dimension of each encoder at hand by its id; without the one that serves, words search alone. notice: is
    told one sentence when the cache could not be used or saved.
    """

    def __init__(
        self, engine: Engine, folder: Path, dims: Mapping[str, int], notice: Callable[[str], None] | None = None
    ) -> None:
        self.state = State()
        self._engine = engine
        self._folder = folder
        self._dims = dims
        self._notice = notice or logger.warning
        self._lock = threading.Lock()
        self._saved = ("", -1)  # store and generation of the cache on disk, as far as this process knows
        self._tidying: threading.Thread | None = None

    def refresh(self) -> State:
        """Bring catalog and indexes to the store's present generation, and return them. Raises StoreError."""
        with self._lock:
            state = self.state
            with reading(self._engine) as connection:
                meta = read_meta(connection)
                if state.is_of(meta):
                    return state
                same = meta.store == state.store
                catalog = next_catalog(connection, meta.generation, state.catalog if same else Catalog())
            if not same:
                state = self._load(meta)
            state = self._serve(replace(state, store=meta.store, catalog=catalog), meta)
            self._bring_words(state.words, catalog.ids)
            if state.vectors is not None:
                self._bring_vectors(state.vectors, catalog.ids, str(state.encoder))
            self.state = state
            return state

    def _serve(self, state: State, meta: Meta) -> State:
        """Have the index of the encoder that serves, empty when it was another's; none without that encoder."""
        if meta.encoder is None or meta.encoder not in self._dims:
            if meta.encoder is not None:
                self._notice("The store's vectors are of another encoder: words search alone until it is re-encoded.")
            return replace(state, vectors=None, encoder=None)
        if meta.encoder == state.encoder:
            return state
        return replace(state, vectors=VectorIndex(self._dims[meta.encoder]), encoder=meta.encoder)

    def _bring_words(self, index: WordIndex, wanted: Ids) -> None:
        missing, gone = _difference(wanted, _word_ids(index))
        if len(gone):
            index.remove(gone)
        for start in range(0, len(missing), _PART):
            with reading(self._engine) as connection:
                texts = texts_of(connection, missing[start : start + _PART].tolist())
            index.add(np.fromiter(texts, np.int64, len(texts)), list(texts.values()))

    def _bring_vectors(self, index: VectorIndex, wanted: Ids, encoder: str) -> None:
        missing, gone = _difference(wanted, index.ids)
        if len(gone):
            index.remove(gone)
        for start in range(0, len(missing), _PART):
            part = missing[start : start + _PART].tolist()
            with reading(self._engine) as connection:
                index.add(*vectors_of(connection, part, encoder, index.dim))
        if (len(missing) or len(gone)) and (self._tidying is None or not self._tidying.is_alive()):
            self._tidying = threading.Thread(target=index.compact, name="compact", daemon=True)
            self._tidying.start()

    def save(self) -> bool:
        """Write the cache, whole or not at all, unless it is as the store is; says whether it now is.

        A failure is a notice, not an error: without the cache the next start builds the indexes from the store.
        Raises StoreError when the store cannot be read.
        """
        self.refresh()
        with exclusive(self._folder) as locked:
            state = self.refresh()  # what another process removed while we waited must not be written again
            now = (state.store, state.catalog.generation)
            if now == self._saved:
                return True
            if not len(state.catalog.ids):
                return False
            if not locked:
                self._notice(
                    f"The index could not be saved, so the next start builds it anew. ({self._folder} cannot be locked)"
                )
                return False
            if state.vectors is not None:
                state.vectors.compact()
            try:
                facts = self._facts(state)
                state.words.save(self._folder / "words", facts)
                if state.vectors is not None:
                    state.vectors.save(self._folder / "vectors", facts | {"encoder": state.encoder})
            except (OSError, StoreError) as error:
                self._notice(f"The index could not be saved, so the next start builds it anew. ({error})")
                return False
            self._saved = now
            return True

    def close(self) -> None:
        """Wait for background work."""
        if self._tidying is not None:
            self._tidying.join()

    def is_behind(self) -> bool:
        """Whether the indexes were loaded and moved on since they were saved."""
        return self.state.store != "" and self._saved != (self.state.store, self.state.catalog.generation)

    def _facts(self, state: State) -> dict[str, object]:
        """What tells whether a cache is of this store.

        Passage ids are never used again, so if the cache's newest passage is there, unchanged, every id in the cache
        means what it meant. (A store restored from a backup and used since gives that id to another text.)
        """
        newest = int(state.catalog.ids[-1])
        with reading(self._engine) as connection:
            digest = digests_of(connection, [newest]).get(newest, b"")
        return {
            "store": state.store,
            "generation": state.catalog.generation,
            "count": len(state.catalog.ids),
            "newest": newest,
            "digest": digest.hex(),
        }

    def _load(self, meta: Meta) -> State:
        """What the cache holds of this store, else empty indexes."""
        with exclusive(self._folder):
            words = self._cached("words", _load_words, meta)
            vectors = self._cached("vectors", _load_vectors, meta) if meta.encoder in self._dims else None
        whole = words is not None and (vectors is not None or meta.encoder not in self._dims)
        if whole and {loaded.generation for loaded in (words, vectors) if loaded is not None} == {meta.generation}:
            self._saved = (meta.store, meta.generation)
        state = State(words=words.index if words is not None else WordIndex())
        if vectors is None or vectors.index.dim != self._dims.get(str(meta.encoder)):
            return state
        return replace(state, vectors=vectors.index, encoder=meta.encoder)

    def _cached(
        self, name: str, load: Callable[[Path], tuple[_Index, Mapping[str, object]]], meta: Meta
    ) -> "_Loaded[_Index] | None":
        try:
            if not (self._folder / name).exists():
                return None
            index, facts = load(self._folder / name)
            generation, newest = int(str(facts["generation"])), int(str(facts["newest"]))
        except (IndexCorrupt, OSError, KeyError, ValueError):
            self._notice("The saved index is damaged or of another version, so it is built again from the store.")
            return None
        with reading(self._engine) as connection:
            digest = digests_of(connection, [newest]).get(newest)
        if facts["store"] != meta.store or facts.get("encoder", meta.encoder) != meta.encoder:
            return None
        if digest is None or digest.hex() != facts["digest"] or generation > meta.generation:
            return None
        return _Loaded(index, generation)


@dataclass(frozen=True, slots=True)
class _Loaded(Generic[_Index]):
    index: _Index
    generation: int


def _load_words(folder: Path) -> tuple[WordIndex, Mapping[str, object]]:
    return WordIndex.load(folder)


def _load_vectors(folder: Path) -> tuple[VectorIndex, Mapping[str, object]]:
    index = VectorIndex.load(folder)
    return index, index.facts


def _word_ids(index: WordIndex) -> Ids:
    segments = index.snapshot.segments
    return np.concatenate([np.zeros(0, np.int64), *(segment.ids[segment.live] for segment in segments)])


def _difference(wanted: Ids, present: Ids) -> tuple[Ids, Ids]:
    """What is missing, and what is there too much."""
    return wanted[~np.isin(wanted, present)], present[~np.isin(present, wanted)]
