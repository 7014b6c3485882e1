"""The knowledge base: documents go in with an audience, and a question brings back what its asker may read.

The store is the truth. A search ranks by the indexes in memory, then asks the store in one query which of the best
passages are still there and readable, so an index that is stale, or lies, can make a result worse but never leak.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from math import isnan
from pathlib import Path
from threading import Event

import numpy as np
from sqlalchemy import Engine

from retrieval import store
from retrieval.audience import check_audience, check_audiences, tenant_of
from retrieval.database import reading, writing
from retrieval.deposit import put_all
from retrieval.document import Document
from retrieval.encoder import Encoder
from retrieval.errors import UnreadableFile
from retrieval.fusion import NOTHING, Fused, Hits, Worded, fuse, learned
from retrieval.index import VectorIndex
from retrieval.language import spoken
from retrieval.live import LiveIndexes, State
from retrieval.passage import Passage, PassageSet, Vectors
from retrieval.search import ARM, select
from retrieval.shelf import Shelf
from retrieval.split import split
from retrieval.store import Entry, File, Hit, Outcome

READING = "2"  # raise it when loading or cutting changes what a file gives: unchanged files are then read again
BATCH = 256  # chunks collected over documents before they are encoded and committed together
_WIDEST = 3_000  # candidates of each arm at most, however many are unreadable or repeat each other
_SPARE = 2  # times k: passages fetched, as some are dropped or joined
_REFRESHES = 3  # in one search, while others keep writing; what it returns is checked all the same
_BESIDE = 20_000  # readable passages: from here both arms run side by side, below a thread costs more than it gains
_THREADS = 8  # searches that two threads share


def serving_encoder(engine: Engine) -> str | None:
    """The id of the encoder whose vectors serve in this store; None while it holds nothing. Raises StoreError."""
    with reading(engine) as connection:
        if store.is_prepared(connection):
            return store.read_meta(connection).encoder
    with writing(engine) as connection:
        store.prepare(connection)
    return None


class KnowledgeBase:
    """Documents, and search over them. Any thread, and any number of processes, may use one store at a time."""

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        encoder: Encoder,
        *,
        previous: Encoder | None = None,
        notice: Callable[[str], None] | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        """Open it. Indexes are loaded at the first search. Raises StoreError.

        folder: for the index cache. previous: the encoder used before this one; it serves until `reencode` has
        finished, and without it words search alone for that time. notice: told one sentence about a cache that could
        not be used; by default it is logged. shelf: over the same store and folder, where others listen to it.
        """
        self.shelf = shelf or Shelf(engine, folder)
        self._engine = engine
        self._encoder = encoder
        self._encoders = {each.id: each for each in (encoder, previous) if each is not None}
        self._live = LiveIndexes(engine, folder, {each.id: each.dim for each in self._encoders.values()}, notice)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="vectors")
        self._changed = False  # by this process, since it last saved the index cache
        serving_encoder(engine)

    # Documents

    def add(
        self,
        source: str,
        document: Document,
        *,
        content_hash: str,
        audience: str,
        author: str | None = None,
    ) -> Outcome:
        """Store one document under `source`, which is its name within the audience's tenant.

        content_hash: SHA-256 of what it was read from. author: the id of the person whose words it holds. Says
        `duplicate` when another document says the same and its passages are shared. Raises SettingsError for an
        impossible audience, UnreadableFile for a document without text, StoreError.
        """
        entry = self.entry(source, document, content_hash=content_hash, audience=audience, author=author)
        return next(iter(self.add_all([entry])))[1]

    def entry(
        self,
        source: str,
        document: Document,
        *,
        content_hash: str,
        audience: str,
        author: str | None = None,
        file: File | None = None,
    ) -> Entry:
        """A document cut into chunks, for `add_all`. Raises as `add`."""
        whole = check_audience(audience)
        chunks = tuple(split(document, self._encoder.count_tokens))
        if not chunks:
            raise UnreadableFile(f"{source} holds no text.")
        return Entry(tenant_of(whole), source, document.title, whole, content_hash, READING, chunks, author, file)

    def add_all(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, Outcome]]:
        """Store documents as they come, some together in a transaction, each whole or not at all; yields each outcome.

        Ending the iteration early keeps what was yielded. Raises StoreError.
        """
        stopped = Event()
        with ThreadPoolExecutor(1, thread_name_prefix="encode") as encoding:
            pending: deque[tuple[list[Entry], Future[dict[bytes, Vectors]]]] = deque()
            try:
                for batch in _batches(entries):
                    pending.append((batch, encoding.submit(self._encode, batch, stopped)))
                    if len(pending) > 1:  # while this one is encoded, the last is stored and the next is read
                        yield from self._commit(*pending.popleft())
                while pending:
                    yield from self._commit(*pending.popleft())
            finally:
                stopped.set()

    def _commit(
        self, entries: Sequence[Entry], encoding: "Future[dict[bytes, Vectors]]"
    ) -> list[tuple[Entry, Outcome]]:
        encoded = encoding.result()
        with writing(self._engine) as connection:
            generation = store.bump(connection)
            store.set_encoder(connection, self._encoder.id, only_if_none=True)
            outcomes = put_all(connection, generation, entries, self._encoder.id, encoded)
        self._changed = True
        return list(zip(entries, outcomes, strict=True))

    def _encode(self, entries: Sequence[Entry], stopped: Event) -> dict[bytes, Vectors]:
        """A vector for every chunk digest, made only where no equal text has one: most of an edited file stays."""
        texts = {store.digest(chunk): chunk.encoded_text for entry in entries for chunk in entry.chunks}
        with reading(self._engine) as connection:
            found = store.vectors_by_digest(connection, list(texts), self._encoder.id)
        new = [each for each in texts if each not in found]
        for start in range(0, len(new), BATCH):
            if stopped.is_set():  # nobody waits for a long document any more
                break
            part = new[start : start + BATCH]
            found |= zip(part, self._encoder([texts[each] for each in part]), strict=True)
        return found

    # Search

    def search(
        self,
        query: str,
        audiences: frozenset[str],
        k: int = 5,
        *,
        embedding: Vectors | None = None,
        deeper: Callable[[Sequence[Passage]], int] | None = None,
    ) -> list[Passage]:
        """Up to `k` passages, best first, that a holder of `audiences` (`tenant/name`) may read at this moment.

        embedding: of `query` by this knowledge base's encoder, (dim,), where it was made already. deeper: is shown what
        was found and says how many are wanted after all; what was ranked is not ranked again for that. Raises
        SettingsError for an impossible audience, StoreError.
        """
        held = check_audiences(audiences)
        if k < 1 or not held or not query.strip():
            return []
        state, width, depth = self._live.state, ARM, _SPARE * k + 2
        refreshes = 0
        fused, is_all = self._rank(state, query, held, width, embedding)
        while True:
            wanted = fused.ids[:depth].tolist()
            hits, generation = store.readable(self._engine, wanted, held)
            if generation != state.catalog.generation and refreshes < _REFRESHES:
                state, refreshes = self._live.refresh(), refreshes + 1
                fused, is_all = self._rank(state, query, held, width, embedding)
                continue
            found = _scored(select(hits, _vectors(state, hits), k), fused, wanted)
            if len(found) == k or (is_all and depth >= len(fused.ids)) or depth >= _WIDEST:
                if deeper is None or (more := deeper(found)) <= k:
                    return found
                k, deeper, depth = more, None, max(depth, _SPARE * more + 2)
            else:
                depth *= 4
            if depth > width:
                width = depth
                fused, is_all = self._rank(state, query, held, width, embedding)

    def still(self, passages: Sequence[Passage], audiences: frozenset[str]) -> list[Passage]:
        """Those of `passages` that were found earlier and that a holder of `audiences` may read at this moment.

        Raises SettingsError for an impossible audience, StoreError.
        """
        held = check_audiences(audiences)
        hits, _ = store.readable(self._engine, [passage.id for passage in passages], held) if held else ([], 0)
        now = {hit.passage.id: hit.passage for hit in hits}
        return [replace(now[each.id], score=each.score) for each in passages if each.id in now]

    def opening(self, tenant: str, source: str, audiences: frozenset[str], most: int) -> list[Passage]:
        """The first passages of a document, in order, as far as a holder of `audiences` may read them.

        Raises SettingsError for an impossible audience, StoreError.
        """
        held = check_audiences(audiences)
        ids = self.shelf.passages(tenant, source, most)
        hits, _ = store.readable(self._engine, ids, held) if held else ([], 0)
        return [hit.passage for hit in hits if hit.passage.source == source]

    def _rank(
        self, state: State, query: str, held: frozenset[str], width: int, embedding: Vectors | None
    ) -> tuple[Fused, bool]:
        """Both arms' candidates in one order, and whether these are all there are."""
        allowed = state.catalog.visible(held)
        encoder = self._encoders.get(state.encoder or "")
        if state.vectors is None or encoder is None:
            words, near, fluency = Worded.found(state.words, query, width, allowed), NOTHING, 0.0
        else:
            words, near, fluency = self._both(state, state.vectors, encoder, query, width, allowed, embedding)
        fused = fuse(words, near, spoken=fluency, model=learned(state.encoder or ""))
        return fused, len(near.ids) < width and fused.worded < width

    def _both(
        self,
        state: State,
        vectors: VectorIndex,
        encoder: Encoder,
        query: str,
        width: int,
        allowed: PassageSet | None,
        embedding: Vectors | None,
    ) -> tuple[Worded, Hits, float]:
        """Words are read while another thread looks through the vectors; then both look, until all are seen.

        Beside what both arms found, says how well the encoder speaks the query's language.
        """
        words: Worded | None = None
        if embedding is None or encoder is not self._encoder:
            reading_words = self._pool.submit(Worded.found, state.words, query, width, allowed)
            embedding = encoder([query])  # takes longer than the words do
            words = reading_words.result()
        readable = len(state.catalog.ids) if allowed is None else len(allowed)
        with vectors.looking(embedding.reshape(1, -1), width, allowed) as look:
            beside = self._pool.submit(look.help) if readable >= _BESIDE else None
            words = words or Worded.found(state.words, query, width, allowed)
            fluency = spoken(query, encoder.pieces(query))
            look.help()
            if beside is not None and not beside.cancel():
                beside.result()
            return words, Hits(*look.best()), fluency

    # Upkeep

    def unencoded(self) -> int:
        """How many passages have no vector of this encoder yet. Raises StoreError."""
        with reading(self._engine) as connection:
            return store.count_unencoded(connection, self._encoder.id)

    def is_reencoding_due(self) -> bool:
        """Whether another encoder serves, or this one lacks vectors: then call `reencode`. Raises StoreError."""
        return serving_encoder(self._engine) not in (None, self._encoder.id) or self.unencoded() > 0

    def reencode(
        self, progress: Callable[[int, int], None] | None = None, stop: Callable[[], bool] = lambda: False
    ) -> bool:
        """Encode every passage that has no vector of this encoder, then let this encoder serve; whether it finished.

        For a background thread: searches go on by the encoder that served before. `progress` is told the passages done
        and all; `stop` is asked before each batch. Each batch is committed, so what was stopped or killed goes on where
        it was. Raises StoreError.
        """
        after, done, total = -1, 0, self.unencoded()
        while not stop():
            with reading(self._engine) as connection:
                ids = store.unencoded(connection, self._encoder.id, after, BATCH)
                texts = store.texts_of(connection, ids)
            if not ids:
                self._take_over()
                return True
            rows = self._encoder(list(texts.values()))
            with writing(self._engine) as connection:
                store.bump(connection)
                store.put_vectors(connection, texts, self._encoder.id, rows)
            after, done = ids[-1], done + len(ids)
            if progress is not None:
                progress(min(done, total), total)
        return False

    def _take_over(self) -> None:
        """Let this encoder serve, and delete the vectors of others."""
        with writing(self._engine) as connection:
            if store.read_meta(connection).encoder != self._encoder.id:
                store.bump(connection)
                store.set_encoder(connection, self._encoder.id)
        self._changed = True
        self._live.refresh()  # here, not at somebody's next query
        deleted = BATCH
        while deleted:
            with writing(self._engine) as connection:
                deleted = store.delete_other_vectors(connection, self._encoder.id, BATCH)

    def save(self) -> None:
        """Save the index cache, so that the next start is quick. Raises StoreError."""
        if self._live.save():
            self._changed = False

    def close(self) -> None:
        """Save the index cache if it is behind, and end the background work. Raises StoreError."""
        self._pool.shutdown()
        if self._changed or self._live.is_behind():
            self.save()
        self._live.close()


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Entries of about `BATCH` chunks; the first batches are smaller, so that the encoder soon has work."""
    batch: list[Entry] = []
    chunks, full = 0, BATCH // 8
    for entry in entries:
        batch.append(entry)
        chunks += len(entry.chunks)
        if chunks >= full:
            yield batch
            batch, chunks, full = [], 0, min(2 * full, BATCH)
    if batch:
        yield batch


def _scored(passages: Sequence[Passage], fused: Fused, wanted: Sequence[int]) -> list[Passage]:
    """The passages with their evidence. wanted: the first of the fused ids, these among them."""
    places = [wanted.index(each.id) for each in passages]
    scores, cosines = fused.scores[places].tolist(), fused.similarities[places].tolist()
    return [  # written out: `replace` takes twice as long
        Passage(p.id, p.text, p.source, p.heading, p.page, p.line, p.audience, score, None if isnan(near) else near)
        for p, score, near in zip(passages, scores, cosines, strict=True)
    ]


def _vectors(state: State, hits: Sequence[Hit]) -> Vectors:
    if state.vectors is None:
        return np.zeros((len(hits), 1), np.float32)
    return state.vectors.vectors(np.array([hit.passage.id for hit in hits], dtype=np.int64))
