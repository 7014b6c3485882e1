"""Which structure answers at which size. Figures: tests/benchmarks/bench_index.py."""

import math
from dataclasses import dataclass
from enum import IntEnum

MOST_LISTS = 4096  # keeps training under a minute at any size


class Kind(IntEnum):
    """How candidates are found. FLAT: float32, exact. SCAN: int8 codes, all of them. INVERTED: int8 codes in lists."""

    FLAT = 0
    SCAN = 1
    INVERTED = 2


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """Numbers of rows from which another structure is better; measured on two busy cores.

    scan: 10,000 rows take 0.4 ms flat and 0.15 ms as codes, at a recall@10 of 1. inverted: as codes 200,000 take 3 ms
    and a million 14 ms; in lists they take 0.7 and 1.3 ms, at a recall of .972 and .981, and a build of 10 and 60 to
    140 s. (HNSW32 answers a million in 0.6 ms at .978, but builds for 170 s and cannot forget.) gpu: on an
    H100 a query of 100,000 takes 0.9 ms, on the processor beside it 3.9; of a million 4.4 and 4.4, but all of the ten
    nearest. probes: inverted lists a query looks into.
    """

    scan: int = 10_000
    inverted: int = 200_000
    gpu: int = 100_000
    probes: int = 200

    def kind(self, rows: int) -> Kind:
        return Kind.INVERTED if rows >= self.inverted else Kind.SCAN if rows >= self.scan else Kind.FLAT

    def due(self, rows: int, present: Kind, built: int) -> Kind | None:
        """What to build for `rows` when `present` was built for `built`; None when that still serves."""
        kind = self.kind(rows)
        if kind < present and self.kind(2 * rows) >= present:
            return None  # a little below its cut-off the larger structure is as good
        outgrown = kind is Kind.INVERTED and not built // 2 <= rows <= built * 2
        return kind if kind is not present or outgrown else None


STANDARD = Cutoffs()


def lists_for(rows: int) -> int:
    """How many inverted lists to cut: 4 sqrt(n), the rule of FAISS's guidelines."""
    return max(1, min(MOST_LISTS, rows, int(4 * math.sqrt(rows))))
