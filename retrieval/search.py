"""From ranked evidence to the passages that answer: near-duplicates dropped, neighbours joined.

Pure: what may be read was decided, and fetched, before (`KnowledgeBase.search`).
"""

from collections.abc import Sequence
from dataclasses import replace

from retrieval.diversity import distinct
from retrieval.passage import Passage, Vectors
from retrieval.store import Hit

ARM = 100  # candidates of each arm: fewer cost recall, more cost time (RRF and learned fusion alike)
LONGEST_RUN = 3  # neighbours joined into one passage


def select(hits: Sequence[Hit], vectors: Vectors, k: int) -> list[Passage]:
    """Up to `k` passages, best first, of `hits` (best first). vectors: (len(hits), dim); a row of zeros has none."""
    kept = distinct(vectors, [hit.passage.text for hit in hits]).tolist()
    for size in range(k, len(kept) + 1):
        found = join([hits[i] for i in kept[:size]])
        if len(found) == k:
            return found
    return join([hits[i] for i in kept])[:k]


def join(hits: Sequence[Hit]) -> list[Passage]:
    """One passage of neighbours under one heading; each has the score, similarity and id of the best of its hits."""
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
    return (
        first.content == second.content
        and first.ordinal + 1 == second.ordinal
        and first.passage.heading == second.passage.heading
    )


def _joined(run: Sequence[Hit], best: Passage) -> Passage:
    if len(run) == 1:
        return best
    similarities = [hit.passage.similarity for hit in run if hit.passage.similarity is not None]
    return replace(
        best,
        text="\n\n".join(hit.passage.text for hit in run),
        page=run[0].passage.page,
        line=run[0].passage.line,
        similarity=max(similarities, default=None),
    )
