"""An immutable stretch of the word index: a token store (what each passage says, in order) with its inverted copy."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retrieval.passage import Ids, placed

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Flags = NDArray[np.bool_]

COMMON = 4  # a word in one of so many rows is looked up in a row of counts: searching its postings misses every cache
SLICED = 128  # rows: fewer are read faster as slices than token by token


@dataclass(frozen=True, slots=True)
class Segment:
    """Passages sorted by id, as term numbers in reading order and as postings.

    ids: (n,). starts: (n + 1,) where each passage's tokens begin. tokens: (starts[-1],). leads: (n,) how many tokens
    the first line has where it is short, else 0. live: (n,). terms: (u,) sorted; the postings of terms[i] are
    rows[bounds[i]:bounds[i + 1]] (sorted) with their counts. spread: of very common words that were asked for, how
    often each row holds them.
    """

    ids: Ids
    starts: NDArray[np.int64]
    tokens: Ints
    leads: Ints
    live: Flags
    terms: Ints = field(repr=False)
    bounds: NDArray[np.int64] = field(repr=False)
    rows: Ints = field(repr=False)
    counts: Floats = field(repr=False)
    spread: dict[int, NDArray[np.unsignedinteger]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, ids: Ids, lengths: NDArray[np.int64], tokens: Ints, leads: Ints) -> Self:
        """Invert token rows given in ascending order of their ids."""
        starts = np.concatenate(([0], np.cumsum(lengths)))
        owner = np.repeat(np.arange(len(ids), dtype=np.int64), lengths)
        keys = (tokens.astype(np.int64) << 32) | owner
        keys.sort()
        firsts = np.flatnonzero(np.diff(keys, prepend=-1))
        counts = np.diff(firsts, append=len(keys)).astype(np.float32)
        keys = keys[firsts]
        owners = keys >> 32
        begins = np.flatnonzero(np.diff(owners, prepend=-1))
        return cls(
            ids=ids,
            starts=starts,
            tokens=tokens,
            leads=leads,
            live=np.ones(len(ids), dtype=bool),
            terms=owners[begins].astype(np.int32),
            bounds=np.append(begins, len(keys)),
            rows=(keys & 0xFFFFFFFF).astype(np.int32),
            counts=counts,
        )

    def postings(self, term: int) -> tuple[Ints, Floats]:
        """The rows that hold `term`, ascending, and how often."""
        i = int(self.terms.searchsorted(np.int32(term)))  # another type would copy all terms first
        if i == len(self.terms) or self.terms[i] != term:
            return self.rows[:0], self.counts[:0]
        span = slice(self.bounds[i], self.bounds[i + 1])
        return self.rows[span], self.counts[span]

    def counts_at(self, term: int, rows: NDArray[np.int64]) -> Floats:
        """How often each of `rows` holds `term`."""
        spread = self.spread.get(term)
        if spread is None:
            holders, counts = self.postings(term)
            if len(holders) * COMMON < len(self.ids) or not len(holders):
                return _looked_up(holders, counts, rows)
            spread = np.zeros(len(self.ids), np.min_scalar_type(int(counts.max())))
            spread[holders] = counts
            self.spread[term] = spread
        return spread.take(rows).astype(np.float32)

    def find(self, ids: Ids) -> tuple[NDArray[np.int64], Flags]:
        """For each of `ids` its row, and whether it is here and live."""
        rows, here = placed(self.ids, ids)
        return rows, here & self.live[rows]

    def gather(self, rows: NDArray[np.int64]) -> tuple[Ints, NDArray[np.int64]]:
        """The tokens of `rows` one after the other, and each row's length."""
        starts, ends = self.starts[rows], self.starts[rows + 1]
        lengths = ends - starts
        if len(rows) > SLICED:  # rows that follow each other, as those of a document do, are one slice
            apart = (starts[1:] != ends[:-1]).nonzero()[0]
            if len(apart) < SLICED:
                starts, ends = starts[np.append(0, apart + 1)], ends[np.append(apart, len(rows) - 1)]
        if len(starts) <= SLICED:
            cut = [self.tokens[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
            return np.concatenate([self.tokens[:0], *cut]), lengths
        after = np.cumsum(lengths)
        places = np.arange(after[-1]) + np.repeat(starts - after + lengths, lengths)
        return self.tokens.take(places), lengths


def _looked_up(holders: Ints, counts: Floats, rows: NDArray[np.int64]) -> Floats:
    if not len(holders):
        return np.zeros(len(rows), np.float32)
    narrow = rows.astype(np.int32)
    at = np.minimum(holders.searchsorted(narrow), len(holders) - 1)
    return np.where(holders[at] == narrow, counts[at], np.float32(0))


def merged(segments: Sequence[Segment]) -> Segment:
    """One segment of the live rows of all."""
    rows = [np.flatnonzero(segment.live) for segment in segments]
    ids = np.concatenate([np.zeros(0, np.int64), *(s.ids[r] for s, r in zip(segments, rows, strict=True))])
    order = np.argsort(ids)
    gathered = [segment.gather(r) for segment, r in zip(segments, rows, strict=True)]
    tokens = np.concatenate([np.zeros(0, np.int32), *(tokens for tokens, _ in gathered)])
    lengths = np.concatenate([np.zeros(0, np.int64), *(lengths for _, lengths in gathered)])
    leads = np.concatenate([np.zeros(0, np.int32), *(s.leads[r] for s, r in zip(segments, rows, strict=True))])
    starts = np.cumsum(lengths) - lengths
    lengths = lengths[order]
    ends = np.cumsum(lengths)
    places = np.arange(len(tokens)) + np.repeat(starts[order] - ends + lengths, lengths)
    return Segment.of(ids[order], lengths, tokens[places], leads[order])


def document_frequency(tokens: Ints, lengths: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """In how many rows each term occurs, (size,)."""
    owner = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    pairs = np.unique((tokens.astype(np.int64) << 32) | owner)
    return np.bincount(pairs >> 32, minlength=size)
