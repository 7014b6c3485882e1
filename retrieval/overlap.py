"""What a query's words do inside candidate passages: the evidence the fusion weighs, beside the arms' scores."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retrieval.passage import Ids
from retrieval.words import Query, Snapshot

BM25, COVERAGE, WINDOW, LEAD, LEAD_PRECISION, PAIRS, RAREST, LENGTH, HAS_LEAD = range(9)
STRIDE = 12  # words: a window is two strides, about a sentence

Row = NDArray[np.float64]  # (n,)
Table = NDArray[np.float64]  # (9, n)


@dataclass(frozen=True, slots=True)
class Overlap:
    """For each of n candidates, a row of `rows` each, by the numbers below; shares are of the query's idf mass, 0..1.

    BM25: the exact score. COVERAGE: share of the query found anywhere; WINDOW: within one stretch of a sentence's
    length; LEAD: in the first line, where that is short (a heading, an FAQ's question). LEAD_PRECISION: share of that
    line's own mass that the query asks for. PAIRS: share of the query's neighbouring words that stand next to each
    other. RAREST: whether the query's rarest known word is there. LENGTH: words. HAS_LEAD: whether it has a short
    first line. Of the query: count of distinct words, mass (their idf summed), unknown (share of it in no passage).
    """

    rows: Table
    count: int
    mass: float
    unknown: float

    def take(self, places: NDArray[np.int64]) -> Self:
        """Of these candidates, in this order."""
        return type(self)(self.rows[:, places], self.count, self.mass, self.unknown)


def measure(snapshot: Snapshot, query: Query, ids: Ids) -> Overlap:
    """Read the passages `ids` (n,) of the token store; ids it does not hold count as empty passages."""
    n, t = len(ids), len(query.terms)
    tokens, lengths, leads, norms = _read(snapshot, ids)
    starts = lengths.cumsum() - lengths
    codes = query.slots.take(tokens)
    hits = (codes != 0).nonzero()[0]
    code = codes.take(hits).astype(np.int64) - 1
    owner = np.arange(n).repeat(lengths).take(hits)
    place = hits - starts.take(owner)
    counts = np.bincount(owner * t + code, minlength=n * t).reshape(n, t)
    present = (counts > 0).astype(np.float64)
    known = float(query.idf.sum())
    mass = known + query.unknown
    share = query.idf / mass if mass else query.idf

    rows = np.zeros((9, n))
    # Each row summed by itself, not by BLAS: equal texts score equal wherever they stand.
    rows[BM25] = np.einsum("nt,t->n", counts / (counts + norms[:, None]), query.weights)
    rows[COVERAGE] = present @ share
    rows[WINDOW] = _best_window(owner, place, code, lengths, share)
    rows[PAIRS] = _pairs(hits, owner, code, query, n)
    if t:
        rows[RAREST] = present[:, query.idf.argmax()]
    rows[LENGTH] = lengths
    rows[HAS_LEAD] = leads > 0
    if leads.any():
        rows[[LEAD, LEAD_PRECISION]] = _in_leads(snapshot, query, tokens, starts, leads, owner, place, code, share)
    return Overlap(rows, query.count, mass, query.unknown / mass if mass else 1.0)


def _in_leads(
    snapshot: Snapshot,
    query: Query,
    tokens: NDArray[np.int32],
    starts: NDArray[np.int64],
    leads: NDArray[np.int64],
    owner: NDArray[np.int64],
    place: NDArray[np.int64],
    code: NDArray[np.int64],
    share: Row,
) -> tuple[Row, Row]:
    """The share of the query in the first lines, and of those lines' mass in the query."""
    n, t = len(leads), len(share)
    inside = (place < leads.take(owner)).nonzero()[0]
    lead = np.bincount(owner.take(inside) * t + code.take(inside), minlength=n * t).reshape(n, t)
    lead_owner = np.arange(n).repeat(leads)
    lead_places = np.arange(len(lead_owner)) + (starts - leads.cumsum() + leads).take(lead_owner)
    lead_mass = np.bincount(lead_owner, snapshot.idf(tokens.take(lead_places)), minlength=n)
    return (lead > 0).astype(np.float64) @ share, lead @ query.idf / np.maximum(lead_mass, 1e-9)


def _read(
    snapshot: Snapshot, ids: Ids
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The candidates' tokens one after the other, and each one's length, lead and BM25 length part."""
    n = len(ids)
    if len(snapshot.segments) == 1:
        segment, norm = snapshot.segments[0], snapshot.norms[0]
        rows, here = segment.find(ids)
        if here.all():
            return *segment.gather(rows), segment.leads[rows].astype(np.int64), norm[rows]
    lengths, leads, norms = np.zeros(n, np.int64), np.zeros(n, np.int64), np.ones(n, np.float32)
    stretches, order = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
    for segment, norm in zip(snapshot.segments, snapshot.norms, strict=True):
        rows, here = segment.find(ids)
        rows, at = rows[here], here.nonzero()[0]
        tokens, sizes = segment.gather(rows)
        lengths[at], leads[at], norms[at] = sizes, segment.leads[rows], norm[rows]
        stretches.append(tokens)
        order.append(at)
    if len(stretches) == 2:  # one segment: already in the candidates' order
        return stretches[1], lengths, leads, norms
    arrived = np.concatenate(order)
    read, sizes = np.concatenate(stretches), lengths[arrived]
    begins = np.zeros(n, np.int64)
    begins[arrived] = np.cumsum(sizes) - sizes
    places = np.arange(len(read)) + np.repeat(begins - np.cumsum(lengths) + lengths, lengths)
    return read[places], lengths, leads, norms


def _best_window(
    owner: NDArray[np.int64], place: NDArray[np.int64], code: NDArray[np.int64], lengths: NDArray[np.int64], share: Row
) -> Row:
    """The largest share of the query within any two neighbouring strides of each passage, (n,)."""
    blocks = (lengths + (2 * STRIDE - 1)) // STRIDE  # the last one stays empty: no window reaches into the next passage
    ends = blocks.cumsum()
    begins, t = ends - blocks, len(share)
    flags = np.zeros((int(ends[-1]) if len(ends) else 0, t))  # numbers, as BLAS does not multiply truth
    flags.reshape(-1)[(begins.take(owner) + place // STRIDE) * t + code] = 1
    masses = np.zeros(len(flags))
    masses[:-1] = np.maximum(flags[:-1], flags[1:]) @ share
    masses[ends - 1] = 0
    best: Row = np.maximum.reduceat(masses, begins) if len(begins) else np.zeros(0)
    return best


def _pairs(hits: NDArray[np.int64], owner: NDArray[np.int64], code: NDArray[np.int64], query: Query, n: int) -> Row:
    """The share (by idf) of the query's neighbouring words that are neighbours in each passage, (n,)."""
    t = len(query.terms)
    left, right = query.pairs
    if not len(left):
        return np.zeros(n)
    number = np.full(t * t, -1, dtype=np.int64)
    number[left * t + right] = np.arange(len(left))
    apart = hits + owner  # a place between passages, so that words of two are no neighbours
    next_to = (apart[1:] - apart[:-1] == 1).nonzero()[0]
    found = number.take(code.take(next_to) * t + code.take(next_to + 1))
    known = (found >= 0).nonzero()[0]
    held = np.zeros((n, len(left)))
    held[owner.take(next_to.take(known)), found.take(known)] = 1
    weight = query.idf[left] + query.idf[right]
    result: Row = held @ weight / max(float(weight.sum()), 1e-9)
    return result
