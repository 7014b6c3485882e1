"""The words arm: incremental BM25 in memory, saved as plain arrays.

Robertson & Zaragoza 2009 with Lucene's idf and constants (k1 1.2, b 0.75): score = sum over the query's words of
idf * tf / (tf + k1 * (1 - b + b * length / mean length)), idf = ln(1 + (N - df + .5) / (df + .5)). N, df and the mean
length are exact over the live passages after every change.

An index is a list of immutable segments, each a token store (what each passage says, in order) with an inverted copy.
Adding makes a small segment and merges it with its smaller neighbours, so their sizes fall geometrically; removing
marks rows dead until the next merge. Searches read one snapshot and never wait for a writer.
"""

import json
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexCorrupt
from retrieval.files import read_manifest, recover_folder, write_folder_atomically
from retrieval.function_words import LESS, function_words
from retrieval.passage import Ids, PassageSet
from retrieval.postings import Flags, Floats, Ints, Segment, document_frequency, merged
from retrieval.tokens import words

K1, B = 1.2, 0.75
LEAD = 40  # words: a longer first line is a paragraph, not a heading or a question
SMALL = 512  # passages: smaller segments always merge, since each costs a query the same fixed time
GROWTH = 4  # a segment merges into the one before it unless that is more than this many times its size
BLOCK = 64  # passages whose best score stands for them while the k-th best is estimated
SMALLEST = float(np.finfo(np.float32).tiny)  # any score above 0 is more
QUERY_WORDS = 255  # a pasted page is searched by its first words; their numbers fit a byte
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a search reads: never changed, only replaced.

    norms: BM25's length part of each segment's rows. whole: whether all rows of a segment are live. df: (terms,) live
    passages that hold a term. total: live tokens.
    """

    segments: tuple[Segment, ...] = ()
    norms: tuple[Floats, ...] = field(default=(), repr=False)
    whole: tuple[bool, ...] = ()
    df: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64), repr=False)
    size: int = 0
    total: int = 0
    _asked: tuple[dict[int, tuple[Ints, Floats]], ...] = field(default=(), repr=False)  # the terms' postings

    @classmethod
    def of(cls, segments: Sequence[Segment], df: NDArray[np.int64], size: int, total: int) -> Self:
        slope = K1 * B * size / total if total else 0.0
        norms = tuple((K1 * (1 - B) + slope * np.diff(each.starts)).astype(np.float32) for each in segments)
        whole = tuple(bool(each.live.all()) for each in segments)
        return cls(tuple(segments), norms, whole, df, size, total, tuple({} for _ in segments))

    def postings(self, place: int, term: int) -> tuple[Ints, Floats]:
        """The rows of the segment at `place` that hold `term`, ascending, and its impact there: tf / (tf + norm)."""
        found = self._asked[place].get(term)
        if found is None:  # for all terms at once it would take longer than what was added to make this snapshot
            rows, counts = self.segments[place].postings(term)
            found = self._asked[place][term] = rows, counts / (counts + self.norms[place][rows])
        return found

    def held(self, place: int, term: int) -> int:
        """How many rows of the segment at `place` hold `term`, be they live or not."""
        return len(self.postings(place, term)[0])

    def holds(self, term: int) -> bool:
        return term < len(self.df) and self.df[term] > 0

    def idf(self, terms: NDArray[np.int64]) -> NDArray[np.float64]:
        # ln(1 + (N - df + .5) / (df + .5)), put shorter.
        parted: NDArray[np.float64] = float(np.log(self.size + 1)) - np.log(self.df[terms] + 0.5)
        return parted


@dataclass(frozen=True, slots=True)
class Query:
    """A query as an index knows it. Its t terms are distinct and held by some passage.

    idf: (t,), less of function words. weights: (t,) idf times the word's count in the query. pairs: places in `terms`
    of words that follow each other in the query, distinct. count: distinct words, known or not. unknown: the idf mass
    of those in no passage. slots: for every term number its place in `terms`, from 1, else 0.
    """

    terms: NDArray[np.int64]
    idf: NDArray[np.float64]
    weights: NDArray[np.float64]
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]]
    count: int
    unknown: float
    slots: NDArray[np.uint8] = field(repr=False)


class WordIndex:
    """BM25 over passages that come and go. Any thread may search while one changes it."""

    def __init__(self) -> None:
        self._vocabulary: dict[str, int] = {}
        self._snapshot = Snapshot()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._snapshot.size

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot

    def add(self, ids: Ids, texts: Sequence[str]) -> None:
        """Index `texts` under `ids` (unique, non-negative); an id that is already here is replaced.

        Raises ValueError when ids repeat or their number is not that of the texts.
        """
        ids = np.asarray(ids, dtype=np.int64)
        if len(ids) != len(texts) or len(np.unique(ids)) != len(ids) or (len(ids) and ids.min() < 0):
            raise ValueError("ids must be unique, non-negative, and as many as the texts")
        if not len(ids):
            return
        cut = [words(text) for text in texts]
        firsts = [_lead(text) for text in texts]
        order = np.argsort(ids)
        with self._lock:
            number = self._vocabulary
            for text in cut:
                for word in text:
                    if word not in number:
                        number[word] = len(number)
            tokens = np.fromiter((number[w] for i in order for w in cut[i]), dtype=np.int32)
            lengths = np.array([len(cut[i]) for i in order], dtype=np.int64)
            segment = Segment.of(ids[order], lengths, tokens, np.array([firsts[i] for i in order], dtype=np.int32))
            self._snapshot = _with(_without(self._snapshot, ids), segment, len(number))

    def remove(self, ids: Ids) -> None:
        """Forget these passages; unknown ids are ignored."""
        with self._lock:
            self._snapshot = _without(self._snapshot, np.unique(np.asarray(ids, dtype=np.int64)))

    def parse(self, query: str, snapshot: Snapshot) -> Query:
        """The query's words as `snapshot` knows them."""
        asked = words(query)[:QUERY_WORDS]
        counts = Counter(asked)
        known = {w: n for w in counts if (n := self._vocabulary.get(w, -1)) >= 0 and snapshot.holds(n)}
        place = {word: i for i, word in enumerate(known)}
        pairs = {(place[a], place[b]) for a, b in pairwise(asked) if a in place and b in place}
        left, right = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2).T
        terms = np.array(list(known.values()), dtype=np.int64)
        idf = snapshot.idf(terms)
        missing: float = len(counts) - len(known)
        if less := function_words(counts):
            idf *= [LESS if word in less else 1 for word in known]
            missing -= (1 - LESS) * sum(word not in known for word in less)
        unknown = missing * float(np.log1p(2 * snapshot.size + 1))
        repeats = np.array([counts[word] for word in known], dtype=np.float64)
        slots = np.zeros(len(snapshot.df) + 1, np.uint8)
        slots[terms] = np.arange(1, len(terms) + 1)
        return Query(terms, idf, idf * repeats, (left, right), len(counts), unknown, slots)

    def search(self, query: str, k: int, allowed: PassageSet | None = None) -> tuple[Floats, Ids]:
        """The `k` best passages: scores (m,) descending and positive, ids (m,), m <= k; ties by ascending id."""
        snapshot = self._snapshot
        parsed = self.parse(query, snapshot)
        ids = best(snapshot, parsed, k, allowed)
        scores = _score(snapshot, parsed, ids)
        order = ordered(scores, ids, k)
        return scores[order].astype(np.float32), ids[order]

    def save(self, folder: Path, facts: dict[str, object]) -> None:
        """Write the live passages (and no word of a removed one) to `folder`, whole or not at all. Raises OSError."""
        with self._lock:
            snapshot, vocabulary = self._snapshot, list(self._vocabulary)
        whole = merged(snapshot.segments)
        used = np.flatnonzero(np.bincount(whole.tokens, minlength=len(vocabulary)))
        renumbered = np.zeros(len(vocabulary), dtype=np.int32)
        renumbered[used] = np.arange(len(used))

        def fill(fresh: Path) -> None:
            np.save(fresh / "ids.npy", whole.ids)
            np.save(fresh / "starts.npy", whole.starts)
            np.save(fresh / "tokens.npy", renumbered[whole.tokens])
            np.save(fresh / "leads.npy", whole.leads)
            (fresh / "words.json").write_text(json.dumps([vocabulary[i] for i in used], ensure_ascii=False), "utf-8")

        write_folder_atomically(folder, fill, {**facts, "format": FORMAT})

    @classmethod
    def load(cls, folder: Path) -> tuple[Self, dict[str, object]]:
        """The index in `folder` and the facts it was saved with. Raises IndexCorrupt."""
        try:
            recover_folder(folder)
            facts = read_manifest(folder)
            if facts.pop("format", None) != FORMAT:
                raise ValueError("another format")  # noqa: TRY301 - same remedy as a damaged file
            ids, starts, tokens, leads = (
                np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("ids", "starts", "tokens", "leads")
            )
            vocabulary = json.loads((folder / "words.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise IndexCorrupt(
                f"The word index in {folder} cannot be used ({error}). It is rebuilt from the store."
            ) from error
        index = cls()
        index._vocabulary = {word: number for number, word in enumerate(vocabulary)}
        if len(ids):
            segment = Segment.of(ids, np.diff(starts), tokens, leads)
            index._snapshot = _with(Snapshot(), segment, len(vocabulary))
        return index, facts


def best(snapshot: Snapshot, query: Query, k: int, allowed: PassageSet | None = None) -> Ids:
    """Passages (m,) among which the `k` best are, hardly more than those, each with a word of the query."""
    scores, ids = np.zeros(0, np.float32), np.zeros(0, np.int64)
    if not len(query.terms) or k < 1:
        return ids
    for place, segment in enumerate(snapshot.segments):
        floor = _kth_of(scores, k)
        rows, found = _contenders(snapshot, place, query, k, floor, _mask(snapshot, place, allowed))
        scores, ids = np.concatenate((scores, found)), np.concatenate((ids, segment.ids[rows]))
    return ids[(scores > 0) & (scores >= _kth_of(scores, k))]


def ordered(scores: NDArray[np.float64], ids: Ids, k: int) -> NDArray[np.int64]:
    """The places of the `k` best above 0; equal scores by ascending id."""
    order = np.lexsort((ids, -scores))[:k]
    return order[scores[order] > 0]


def _score(snapshot: Snapshot, query: Query, ids: Ids) -> NDArray[np.float64]:
    """The exact scores of `ids`: one order of summation, so equal texts score equal."""
    total = np.zeros(len(ids))
    for segment, norms in zip(snapshot.segments, snapshot.norms, strict=True):
        rows, here = segment.find(ids)
        rows = rows[here]
        lengths, part = norms[rows], np.zeros(len(rows))
        for term, weight in zip(query.terms.tolist(), query.weights, strict=True):
            held = segment.counts_at(term, rows)
            part += weight * (held / (held + lengths))
        total[here] = part
    return total


def _contenders(
    snapshot: Snapshot, place: int, query: Query, k: int, floor: float, mask: Flags | None
) -> tuple[NDArray[np.int64], Floats]:
    """Rows of a segment among which its k best are, ascending, and their scores but for rounding.

    MaxScore (Turtle & Flood 1995) for arrays: rare words first; once those left cannot lift a passage that is far
    below the k-th best so far, they are only looked up for the contenders.
    """
    segment = snapshot.segments[place]
    n = len(segment.ids)
    height = max(1, min(BLOCK, n // (4 * k)))
    partial = np.zeros(-(-n // height) * height, dtype=np.float32)
    if mask is not None:
        np.copyto(partial[:n], -np.inf, where=~mask)  # stays so whatever is added
    blocks = partial.reshape(height, -1)  # strided: their best are found eight times faster
    asked = [(snapshot.held(place, t), t, w) for t, w in zip(query.terms.tolist(), query.weights.tolist(), strict=True)]
    lists = sorted(each for each in asked if each[0])
    left = sum(weight for _, _, weight in lists)
    for i, (count, term, weight) in enumerate(lists):
        if i and count * 16 > n:  # worth asking whether this long list matters
            peaks = blocks.max(axis=0)
            bound = max(_kth_of(peaks, k), floor) - left
            few = _above(blocks, peaks, bound, 8 * k) if bound > 0 else None
            if few is not None:
                scores, norms = partial[few], snapshot.norms[place][few]
                for _, later, factor in lists[i:]:
                    held = segment.counts_at(later, few)
                    scores += np.float32(factor) * (held / (held + norms))
                return few, scores
        rows, impacts = snapshot.postings(place, term)
        np.add.at(partial, rows, np.float32(weight) * impacts)  # four times faster than fancy indexing
        left -= weight
    peaks = blocks.max(axis=0)
    few = _above(blocks, peaks, max(_kth_of(peaks, k), floor, SMALLEST), n)
    assert few is not None, "no more than there are"
    return few, partial[few]


def _above(blocks: Floats, peaks: Floats, bound: float, most: int) -> NDArray[np.int64] | None:
    """The rows whose score is at least `bound`, ascending; None where there are more than `most`.

    blocks: (height, width) scores; row r of the segment stands at divmod(r, width). peaks: (width,) their best.
    """
    columns = (peaks >= bound).nonzero()[0]
    if len(columns) > most:
        return None
    places = (blocks[:, columns] >= bound).ravel().nonzero()[0]
    if len(places) > most:
        return None
    lines = places // len(columns)
    rows: NDArray[np.int64] = lines * len(peaks) + columns[places - lines * len(columns)]
    return rows


def _kth_of(scores: Floats, k: int) -> float:
    """The k-th best of `scores` less a rounding margin, 0 where there are fewer."""
    return float(np.partition(scores, len(scores) - k)[len(scores) - k]) * (1 - 1e-5) if len(scores) >= k else 0.0


def _mask(snapshot: Snapshot, place: int, allowed: PassageSet | None) -> Flags | None:
    """Which rows of a segment may be found; None: all."""
    segment = snapshot.segments[place]
    if allowed is None:
        return None if snapshot.whole[place] else segment.live
    bits = np.unpackbits(allowed.bitmap, bitorder="little").view(bool)
    known = int(segment.ids.searchsorted(len(bits)))  # ids are sorted: from here on none is allowed
    mask = np.zeros(len(segment.ids), dtype=bool)
    if known and segment.ids[known - 1] - segment.ids[0] == known - 1:  # no gap: nothing was removed in between
        mask[:known] = bits[segment.ids[0] : segment.ids[0] + known]
    else:  # `allowed.contains` does the same for unsorted ids, five times slower
        mask[:known] = bits[segment.ids[:known]]
    return mask if snapshot.whole[place] else mask & segment.live


def _lead(text: str) -> int:
    """How many words the first line has where it is short: a heading, a question, or a one-line text."""
    first = text.split("\n", 1)[0]
    size = len(words(first)) if len(first) <= LEAD * 12 else 0
    return size if size <= LEAD else 0


def _without(snapshot: Snapshot, ids: Ids) -> Snapshot:
    segments, df, gone, gone_tokens = [], snapshot.df, 0, 0
    for segment in snapshot.segments:
        rows, here = segment.find(ids)
        rows = rows[here]
        if not len(rows):
            segments.append(segment)
            continue
        live = segment.live.copy()
        live[rows] = False
        tokens, lengths = segment.gather(rows)
        df = df - document_frequency(tokens, lengths, len(df))
        gone, gone_tokens = gone + len(rows), gone_tokens + len(tokens)
        if live.any():
            dead = replace(segment, live=live)
            segments.append(dead if 2 * np.count_nonzero(live) > len(live) else merged((dead,)))
    return Snapshot.of(segments, df, snapshot.size - gone, snapshot.total - gone_tokens)


def _with(snapshot: Snapshot, segment: Segment, vocabulary: int) -> Snapshot:
    df = np.zeros(vocabulary, dtype=np.int64)
    df[: len(snapshot.df)] = snapshot.df
    df[segment.terms] += np.diff(segment.bounds)
    size, total = snapshot.size + len(segment.ids), snapshot.total + len(segment.tokens)
    segments = list(snapshot.segments)
    tail = [segment]
    while segments and len(segments[-1].ids) <= max(SMALL, GROWTH * sum(len(each.ids) for each in tail)):
        tail.append(segments.pop())
    return Snapshot.of((*segments, merged(tail) if len(tail) > 1 else segment), df, size, total)
