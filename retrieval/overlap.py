"""What a query's words do inside candidate passages: the evidence the fusion weighs, beside the arms' scores."""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from retrieval.passage import Ids
from retrieval.words import Query, Snapshot

STRIDE = 12  # words: a window is two strides, about a sentence

Row = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Overlap:
    """For each of n candidates, (n,) each; shares are of the query's idf mass, 0..1.

    bm25: the exact score. coverage: share of the query found anywhere; window: within one stretch of a sentence's
    length; lead: in the first line, where that is short (a heading, an FAQ's question). lead_precision: share of that
    line's own mass that the query asks for. pairs: share of the query's neighbouring words that stand next to each
    other. rarest: whether the query's rarest known word is there. length: words. has_lead: whether it has a short
    first line. Of the query: count of distinct words, mass (their idf summed), unknown (share of it in no passage).
    """

    bm25: Row
    coverage: Row
    window: Row
    lead: Row
    lead_precision: Row
    pairs: Row
    rarest: Row
    length: Row
    has_lead: Row
    count: int
    mass: float
    unknown: float

    def followed_by(self, other: Self) -> Self:
        """The same query's overlap with other candidates, after these."""
        rows: dict[str, Any] = {name: np.concatenate((getattr(self, name), getattr(other, name))) for name in _ROWS}
        return replace(self, **rows)


_ROWS = tuple(each.name for each in fields(Overlap) if each.name not in ("count", "mass", "unknown"))


def measure(snapshot: Snapshot, query: Query, ids: Ids) -> Overlap:
    """Read the passages `ids` (n,) of the token store; ids it does not hold count as empty passages."""
    n, t = len(ids), len(query.terms)
    tokens, lengths, leads, norms = _read(snapshot, ids)
    starts = np.cumsum(lengths) - lengths
    slot = np.zeros(len(snapshot.df) + 1, dtype=np.uint8)  # term number -> its place in the query, from 1
    slot[query.terms] = np.arange(1, t + 1)
    codes = slot[tokens]
    hits = np.flatnonzero(codes != 0)
    code = codes[hits].astype(np.int64) - 1
    owner = np.repeat(np.arange(n), lengths)[hits]
    place = hits - starts[owner]
    counts = np.bincount(owner * t + code, minlength=n * t).reshape(n, t)
    present = counts > 0
    known = query.idf.sum()
    mass = known + query.unknown
    share = query.idf / mass if mass else query.idf

    in_lead = place < leads[owner]
    lead = np.bincount(owner[in_lead] * t + code[in_lead], minlength=n * t).reshape(n, t)
    matched = lead @ query.idf
    lead_owner = np.repeat(np.arange(n), leads)
    lead_places = np.arange(leads.sum()) + np.repeat(starts - np.cumsum(leads) + leads, leads)
    lead_mass = np.bincount(lead_owner, weights=snapshot.idf(tokens[lead_places]), minlength=n)
    return Overlap(
        bm25=(counts / (counts + norms[:, None])) @ query.weights,
        coverage=present @ share,
        window=_best_window(owner, place, code, lengths, share),
        lead=(lead > 0) @ share,
        lead_precision=matched / np.maximum(lead_mass, 1e-9),
        pairs=_pairs(hits, owner, code, query, n),
        rarest=present[:, query.idf.argmax()].astype(float) if t else np.zeros(n),
        length=lengths.astype(float),
        has_lead=(leads > 0).astype(float),
        count=query.count,
        mass=float(mass),
        unknown=float(query.unknown / mass) if mass else 1.0,
    )


def _read(
    snapshot: Snapshot, ids: Ids
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The candidates' tokens one after the other, and each one's length, lead and BM25 length part."""
    n = len(ids)
    lengths, leads, norms = np.zeros(n, np.int64), np.zeros(n, np.int64), np.ones(n, np.float32)
    stretches, order = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
    for segment, norm in zip(snapshot.segments, snapshot.norms, strict=True):
        rows, here = segment.find(ids)
        rows, at = rows[here], np.flatnonzero(here)
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
    blocks = -(-lengths // STRIDE) + 1  # the last one stays empty, so that no window reaches into the next passage
    begins = np.cumsum(blocks) - blocks
    total, t = int(blocks.sum()), len(share)
    where = (begins[owner] + place // STRIDE) * t + code
    flags = np.zeros(total * t, dtype=bool)
    flags[where] = True
    held = flags.reshape(total, t)
    windows = held[:-1] | held[1:]
    masses = np.append(windows @ share, 0.0)
    masses[begins + blocks - 1] = 0
    best: Row = np.maximum.reduceat(masses, begins) if len(begins) else np.zeros(0)
    return best


def _pairs(hits: NDArray[np.int64], owner: NDArray[np.int64], code: NDArray[np.int64], query: Query, n: int) -> Row:
    """The share (by idf) of the query's neighbouring words that are neighbours in each passage, (n,)."""
    t = len(query.terms)
    left, right = query.pairs
    if not len(left):
        return np.zeros(n)
    weight = query.idf[left] + query.idf[right]
    number = np.full(t * t, -1, dtype=np.int64)
    number[left * t + right] = np.arange(len(left))
    next_to = (np.diff(hits) == 1) & (owner[1:] == owner[:-1])
    found = number[code[:-1][next_to] * t + code[1:][next_to]]
    holder = owner[1:][next_to][found >= 0]
    held = np.zeros((n, len(left)), dtype=bool)
    held[holder, found[found >= 0]] = True
    result: Row = held @ weight / max(weight.sum(), 1e-9)
    return result
