"""How many rows one author may have: the largest number at which nobody has more than their share of all rows."""

import hashlib
from collections import Counter
from collections.abc import Sequence

from finetune.example import Example


def above_share(examples: Sequence[Example], share: float, seed: int) -> tuple[frozenset[int], float]:
    """The indexes of the rows that are too many, and the share that held.

    Rows without a person count for the whole, and for no author. Where all rows have an author and there are too few
    authors for the share, each may have an equal one. Which of an author's rows go is drawn by the seed.
    """
    rows: dict[str, list[int]] = {}
    for i, example in enumerate(examples):
        if example.origin.person:
            rows.setdefault(example.origin.person, []).append(i)
    unsigned = len(examples) - sum(map(len, rows.values()))
    if rows and not unsigned:
        share = max(share, 1 / len(rows))
    most = _most(Counter({author: len(indexes) for author, indexes in rows.items()}), unsigned, share)
    gone: set[int] = set()
    for indexes in rows.values():
        gone.update(sorted(indexes, key=lambda i: _draw(examples[i], seed))[most:])
    return frozenset(gone), share


def _most(counts: Counter[str], unsigned: int, share: float) -> int:
    """The largest number of rows an author may keep so that it is at most `share` of what all keep."""
    low, high = 0, max(counts.values(), default=0)
    while low < high:
        middle = (low + high + 1) // 2
        total = unsigned + sum(min(count, middle) for count in counts.values())
        if min(middle, max(counts.values())) <= share * total + 1e-9:
            low = middle
        else:
            high = middle - 1
    return low


def _draw(example: Example, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {example.origin.place} {example.messages[-1].content}".encode()).digest()
