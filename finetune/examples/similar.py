"""Near-duplicates by MinHash (Broder 1997) with banding (Leskovec, Rajaraman & Ullman, Mining of Massive Datasets, 3).

Two texts are compared by their stretches of five characters. Half a page of numpy does it; `datasketch` would bring
SciPy.
"""

import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HASHES = 64  # of a signature: a similarity is told to about 0.05
_BANDS = 16  # of 4 hashes each: a pair alike in 0.8 is found in 0.9998 of cases, one in 0.5 in 0.64
_SHINGLE = 5
_PIECE = 1 << 14  # shingles hashed at a time
_MOST = 64  # candidates of one text; thousands of "Hi!" need not all be compared

Signature = NDArray[np.uint64]  # (HASHES,)

_random = np.random.default_rng(20_260)
_A = _random.integers(1, 2**63, HASHES, dtype=np.uint64) | np.uint64(1)
_B = _random.integers(0, 2**63, HASHES, dtype=np.uint64)
_POWERS = np.array([1_000_003**i % 2**64 for i in range(_SHINGLE)], dtype=np.uint64)


def plain(text: str) -> str:
    """`text` as it is compared: compatible characters alike, no case, one space between words."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def signature(text: str) -> Signature:
    """The MinHash of a `plain` text; equal texts have equal ones, and the share of equal entries estimates Jaccard."""
    padded = f" {text} ".ljust(_SHINGLE)
    codes = np.frombuffer(padded.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint64)
    count = len(codes) - _SHINGLE + 1
    hashed = np.zeros(count, dtype=np.uint64)
    for place, power in enumerate(_POWERS):
        hashed += codes[place : place + count] * power
    shingles = np.unique(hashed ^ (hashed >> np.uint64(29)))
    least = np.full(HASHES, np.iinfo(np.uint64).max, dtype=np.uint64)
    for start in range(0, len(shingles), _PIECE):
        mixed = shingles[None, start : start + _PIECE] * _A[:, None]  # the high bits of a product depend on all bits
        mixed += _B[:, None]
        least = np.minimum(least, mixed.min(axis=1))
    return least


def similarity(one: Signature, other: Signature) -> float:
    """The Jaccard similarity of two texts' shingles, estimated, 0..1."""
    return float(np.count_nonzero(one == other)) / HASHES


@dataclass(frozen=True, slots=True)
class Match:
    """An earlier text like this one: its key and the estimated similarity."""

    key: int
    similarity: float


class Similar:
    """Finds earlier texts like a new one, by the bands of their signatures that are equal."""

    def __init__(self, least: float) -> None:
        """least: the similarity from which a text is named."""
        self._least = least
        self._buckets: list[dict[bytes, list[int]]] = [{} for _ in range(_BANDS)]
        self._signatures: dict[int, Signature] = {}

    def find(self, sign: Signature) -> list[Match]:
        """The texts added before that are like this one, most similar first."""
        found: dict[int, None] = {}
        for bucket, band in zip(self._buckets, sign.reshape(_BANDS, -1), strict=True):
            found.update(dict.fromkeys(bucket.get(band.tobytes(), ())))
        matches = [Match(each, similarity(sign, self._signatures[each])) for each in found]
        return sorted(
            (each for each in matches if each.similarity >= self._least), key=lambda m: (-m.similarity, m.key)
        )

    def add(self, key: int, sign: Signature) -> None:
        self._signatures[key] = sign
        for bucket, band in zip(self._buckets, sign.reshape(_BANDS, -1), strict=True):
            members = bucket.setdefault(band.tobytes(), [])
            if len(members) < _MOST:
                members.append(key)
