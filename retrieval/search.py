"""From ranked evidence to the passages that answer: near-duplicates dropped, neighbours joined.

Pure: what may be read was decided, and fetched, before (`KnowledgeBase.search`).
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from retrieval.diversity import distinct
from retrieval.passage import Passage, Vectors
from retrieval.store import Hit

ARM = 100  # candidates of each arm: fewer cost recall, more cost time (RRF and learned fusion alike)
SAME = 0.95  # cosine from which two passages may say the same
LONGEST_RUN = 3  # neighbours joined into one passage
_TABLES = (".csv", ".tsv", ".xlsx")
_ROW = re.compile(r"[^:;\n]{1,60}: [^\n]*?; [^:;\n]{1,60}: [^\n]*(?<![.!?])")  # `Label: cell; Label: cell`


def select(hits: Sequence[Hit], vectors: Vectors, k: int) -> list[Passage]:
    """Up to `k` passages, best first, of `hits` (best first). vectors: (len(hits), dim); a row of zeros has none."""
    found: list[Passage] = []
    for looked_at in (k + 2, len(hits)):  # mostly the first few are enough
        kept = _distinct(hits[:looked_at], vectors[:looked_at])
        for size in range(min(k, len(kept)), len(kept) + 1):
            found = join(kept[:size])
            if len(found) == k:
                return found
    return found


def _distinct(hits: Sequence[Hit], vectors: Vectors) -> Sequence[Hit]:
    likeness = vectors @ vectors.T
    if (np.diagonal(likeness) > 0).all() and np.count_nonzero(likeness >= SAME) == len(hits):
        return hits  # none is near another, so their words need not be compared
    return [hits[i] for i in distinct(vectors, [hit.passage.text for hit in hits], cosine=SAME).tolist()]


def join(hits: Sequence[Hit]) -> list[Passage]:
    """One passage of neighbours under one heading; it has the id and evidence of the best of them."""
    runs: list[list[Hit]] = []
    for hit in sorted(hits, key=lambda hit: (hit.content, hit.ordinal)):
        if runs and len(runs[-1]) < LONGEST_RUN and _follows(runs[-1][-1], hit):
            runs[-1].append(hit)
        else:
            runs.append([hit])
    rank = {hit.passage.id: i for i, hit in enumerate(hits)}
    runs.sort(key=lambda run: min(rank[hit.passage.id] for hit in run))
    return [_joined(run, min(run, key=lambda hit: rank[hit.passage.id]).passage) for run in runs]


def _follows(first: Hit, second: Hit) -> bool:
    one, other = first.passage, second.passage
    is_next = first.content == second.content and first.ordinal + 1 == second.ordinal and one.heading == other.heading
    if not is_next or (one.page, one.line) == (other.page, other.line):  # a long row was cut
        return is_next
    return not any(_is_row(each) for each in (one, other))


def _is_row(passage: Passage) -> bool:
    """Whether a passage is a row of a table: it speaks for itself, and is cited by its own number."""
    return passage.source.casefold().endswith(_TABLES) or _ROW.fullmatch(passage.text) is not None


def _joined(run: Sequence[Hit], best: Passage) -> Passage:
    if len(run) == 1:
        return best
    text = "\n\n".join(hit.passage.text for hit in run)
    return replace(best, text=text, page=run[0].passage.page, line=run[0].passage.line)
