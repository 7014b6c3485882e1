"""The ground floor's values: sections that loaders read, chunks that the splitter cuts, passages that search finds."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]  # rows of unit length, (n, dim)
Ids = NDArray[np.int64]  # passage ids, (n,)


def placed(present: Ids, ids: Ids) -> tuple[Ids, NDArray[np.bool_]]:
    """For each of `ids` (any shape) its place in `present` (rising, not empty), and whether it is there.

    A place is within `present` in any case.
    """
    last = len(present) - 1
    if present[last] - present[0] == last:  # no gap, as long as nothing was removed: no search
        places = ids - present[0]
        here = (places >= 0) & (places <= last)
        return (places if here.all() else np.where(here, places, 0)), here
    places = np.minimum(present.searchsorted(ids), last)
    return places, present[places] == ids


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of a document under one heading, as a loader read it.

    heading: path from the title down, outermost first. page: 1-based page, slide or sheet row where there is one, else
    None. line: 1-based line of the first character in a text file, else None. whole: never split or joined with others
    (a FAQ pair, a table row, a JSONL record).
    """

    text: str
    heading: tuple[str, ...] = ()
    page: int | None = None
    line: int | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """What a loader made of one file: its sections in reading order, and its title if it states one."""

    title: str
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the splitter cuts: text of at most the token budget, with its heading path and place."""

    text: str
    heading: tuple[str, ...]
    page: int | None
    line: int | None

    @property
    def encoded_text(self) -> str:
        """What is encoded and indexed: the heading path leads (an FAQ answer alone loses a fifth of its recall)."""
        return f"{' > '.join(self.heading)}\n{self.text}" if self.heading else self.text


@dataclass(frozen=True, slots=True)
class Passage:
    """Evidence: a chunk as search returns it.

    source: the path or name the document was ingested under. audience: the audience through which the asker may read
    it (`tenant/name`). score: relevance in 0..1, comparable within one query only; `similarity` is the plain cosine of
    query and passage (comparable across queries; None when vectors did not vote).
    """

    id: int
    text: str
    source: str
    heading: str
    page: int | None
    line: int | None
    audience: str
    score: float
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class PassageSet:
    """An immutable set of passage ids with a fast membership test.

    ids: sorted, unique, non-negative, (n,) int64. bitmap: bit i (little-endian within its byte) says whether i is in;
    (max(ids) // 8 + 1,) uint8: the layout of FAISS's IDSelectorBitmap.
    """

    ids: Ids
    bitmap: NDArray[np.uint8]

    @classmethod
    def of(cls, ids: Ids) -> Self:
        unique = np.unique(np.asarray(ids, dtype=np.int64))
        bits = np.zeros(int(unique[-1]) + 1 if len(unique) else 0, dtype=np.uint8)
        bits[unique] = 1
        return cls(unique, np.packbits(bits, bitorder="little"))

    def __len__(self) -> int:
        return len(self.ids)

    def contains(self, ids: Ids) -> NDArray[np.bool_]:
        """Which of `ids` (any shape, -1 allowed) are in the set."""
        byte = ids >> 3
        known = (ids >= 0) & (byte < len(self.bitmap))
        bits = self.bitmap[np.where(known, byte, 0)] if len(self.bitmap) else np.zeros(ids.shape, np.uint8)
        found: NDArray[np.bool_] = known & ((bits >> (ids & 7).astype(np.uint8)) & 1).astype(bool)
        return found
