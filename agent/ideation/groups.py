"""Which ideas belong together: near-duplicates to be merged, and groups with readable labels. Pure.

Groups: Ward's method (1963) by the nearest-neighbour chain (Murtagh 1983), which gives groups of like size; cut where
the silhouette (Rousseeuw 1987) is best, the smallest dissolved, each idea moved to the nearest centre. Labels:
class-based TF-IDF (Grootendorst 2022). tests/benchmarks/bench_ideation.py compares this with k-means on TF-IDF and with
HDBSCAN.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.passage import Vectors
from retrieval.tokens import words

DUPLICATE = 0.84  # cosine of MiniLM vectors: 96% of proposals right on training parts of one domain, see bench_ideation
SAME_WORDS = 0.7  # cosine from which ideas of the very same telling words are proposed too, in whatever order
FEWEST = 5  # ideas below which there is nothing to group
CUTS = 12  # numbers of groups that are tried
LABEL = 3  # words in a label
_MOST_PAIRS = 200
_NUMBER = re.compile(r"\d+")
_NEGATION = frozenset("no not never without n't nicht kein keine ohne nie".split())
_OPPOSITES = (  # either side of a slash
    "longer long / shorter short",
    "more / less fewer",
    "open opens opening / close closes closing",
    "start begin beginning / end ending",
    "early earlier / late later",
    "big bigger large larger / small smaller",
    "before beforehand / after afterwards",
    "with / without",
    "first / last",
    "cheap cheaper / expensive dearer",
    "add / remove",
    "raise higher / lower",
    "faster quicker / slower",
    "inside indoors / outside outdoors",
    "länger lang / kürzer kurz",
    "mehr / weniger",
    "früher früh / später spät",
    "größer groß / kleiner klein",
    "vor vorher / nach nachher",
    "mit / ohne",
    "erste erster / letzte letzter",
    "billiger / teurer",
    "öffnen / schließen",
    "drinnen / draußen",
)
_SIDES = {
    word: set(against.split())
    for pair in _OPPOSITES
    for side, against in (pair.split(" / "), pair.split(" / ")[::-1])
    for word in side.split()
}
_COMMON = frozenset(
    words(  # as search words are: without endings and dots
        "a about after all also an and are as at be because been but by can could do does each every for from get "
        "give had has have how i if in into is it its just let make more most my new no not of off on one or other "
        "our out over own people per put should so some someone something such take than that the their them then "
        "there these they thing things this those to too up us use very was we were what when where which while who "
        "why will with would you your aber alle als am an auch auf aus bei das dass dem den der des die ein eine "
        "einem einen einer es für hat im in ist kann man mit nach nicht noch oder sich sie sind so um und von vor war "
        "was wenn wie wir zu zum zur über ohne mehr jede jeder jedes jeden jedem alles etwas unser unsere unserem "
        "unseren euer eure könnte könnten sollte sollten wird werden wurde bei beim vom durch gegen doch mal"
    )
)

Labels = NDArray[np.int64]
Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two ideas that may be one; `second` came later."""

    first: str
    second: str
    cosine: float


@dataclass(frozen=True, slots=True)
class Group:
    """label: its telling words. ideas: ids, the most typical first."""

    label: str
    ideas: tuple[str, ...]


def duplicates(ids: Sequence[str], texts: Sequence[str], vectors: Vectors, near: float = DUPLICATE) -> list[Duplicate]:
    """Pairs to be proposed for merging, the nearest first; an idea is proposed with its nearest only.

    Ideas that name different numbers, opposites ("longer", "shorter"), or of which one says "not", are not the same
    however near they are.
    """
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -1)
    proposed = likeness >= near
    for rows in _of_same_words(texts):
        among = np.ix_(rows, rows)
        proposed[among] |= likeness[among] >= min(near, SAME_WORDS)
    first, second = np.nonzero(np.triu(proposed))
    order = np.argsort(-likeness[first, second], kind="stable")
    found: list[Duplicate] = []
    taken: set[int] = set()
    for i, j in zip(first[order].tolist(), second[order].tolist(), strict=True):
        if i not in taken and j not in taken and _agree(texts[i], texts[j]):
            taken |= {i, j}
            found.append(Duplicate(ids[i], ids[j], float(likeness[i, j])))
        if len(found) == _MOST_PAIRS:
            break
    return found


def grouped(ids: Sequence[str], texts: Sequence[str], vectors: Vectors) -> tuple[Group, ...]:
    """The groups of ideas, the largest first; none where there are too few. Every idea is in one, perhaps alone."""
    if len(ids) < FEWEST:
        return ()
    labels = clusters(vectors)
    named = telling_words(texts, labels)
    found = []
    for group in range(int(labels.max()) + 1):
        members = np.nonzero(labels == group)[0]
        typical = vectors[members] @ vectors[members].mean(axis=0)
        order = members[np.argsort(-typical, kind="stable")]
        found.append(Group(named[group], tuple(ids[i] for i in order.tolist())))
    return tuple(sorted(found, key=lambda each: -len(each.ideas)))


def clusters(vectors: Vectors) -> Labels:
    """The group of each row, from 0, (n,)."""
    count = len(vectors)
    if count < 3:
        return np.arange(count, dtype=np.int64)
    distance = np.maximum(1 - vectors @ vectors.T, 0).astype(np.float32)
    merges = _linkage(2 * distance)
    fewest, most = max(2, round(0.5 * math.sqrt(count))), max(2, min(count - 1, round(1.5 * math.sqrt(count))))
    tried = np.unique(np.geomspace(fewest, most, CUTS).round().astype(int)).tolist()
    cuts = [_without_small(vectors, _cut(merges, count, each)) for each in tried]
    return _settled(vectors, max(cuts, key=lambda labels: silhouette(distance, labels)))


def silhouette(distance: Array, labels: Labels) -> float:
    """The mean silhouette width, -1 to 1; a row alone in its group has 0. distance: (n, n)."""
    count = int(labels.max()) + 1
    if count < 2:
        return -1.0
    member = np.zeros((len(labels), count), np.float32)
    member[np.arange(len(labels)), labels] = 1
    sizes = member.sum(axis=0)
    total = distance @ member
    own = sizes[labels]
    within = total[np.arange(len(labels)), labels] / np.maximum(own - 1, 1)
    others = total / sizes
    others[np.arange(len(labels)), labels] = np.inf
    nearest = others.min(axis=1)
    width = (nearest - within) / np.maximum(np.maximum(nearest, within), 1e-9)
    return float(np.where(own > 1, width, 0).mean())


def nearest_group(vector: Array, vectors: Vectors, labels: Labels) -> int:
    """The group that a new idea falls into: the one whose centre is nearest."""
    return int((_centres(vectors, labels) @ vector).argmax())


def _linkage(distance: Array) -> list[tuple[int, int, float]]:
    """The merges of Ward's method, n - 1 of them: two rows that stand for their clusters, and the height.

    distance: (n, n), squared, is written over. A chain of nearest neighbours ends in two that are each other's: these
    merge.
    """
    count = len(distance)
    np.fill_diagonal(distance, np.inf)
    sizes = np.ones(count)
    alive = np.ones(count, dtype=bool)
    merges: list[tuple[int, int, float]] = []
    chain: list[int] = []
    while len(merges) < count - 1:
        if not chain:
            chain.append(int(alive.argmax()))
        tip = chain[-1]
        row = distance[tip]
        nearest = int(row.argmin())
        if len(chain) > 1 and row[chain[-2]] <= row[nearest]:
            nearest = chain[-2]
            del chain[-2:]
            height = float(row[nearest])
            keep, gone = min(tip, nearest), max(tip, nearest)
            joined = (sizes[keep] + sizes) * distance[keep] + (sizes[gone] + sizes) * distance[gone] - sizes * height
            joined /= sizes[keep] + sizes[gone] + sizes
            distance[keep, :] = distance[:, keep] = joined
            distance[gone, :] = distance[:, gone] = np.inf
            distance[keep, keep] = np.inf
            sizes[keep] += sizes[gone]
            alive[gone] = False
            merges.append((keep, gone, height))
        else:
            chain.append(nearest)
    return sorted(merges, key=lambda each: each[2])


def _cut(merges: Sequence[tuple[int, int, float]], count: int, groups: int) -> Labels:
    """The labels after the lowest merges that leave so many groups."""
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b, _ in merges[: count - groups]:
        parent[root(b)] = root(a)
    return _renumbered(np.array([root(i) for i in range(count)], dtype=np.int64))


def _without_small(vectors: Vectors, labels: Labels) -> Labels:
    """Groups too small to be one are given to the others."""
    least = max(2, len(labels) // 60)
    sizes = np.bincount(labels)
    large = np.nonzero(sizes >= least)[0]
    if not 2 <= len(large) < len(sizes):
        return labels
    small = np.nonzero(sizes[labels] < least)[0]
    labels = labels.copy()
    labels[small] = large[(vectors[small] @ _centres(vectors, labels)[large].T).argmax(axis=1)]
    return _renumbered(labels)


def _settled(vectors: Vectors, labels: Labels, rounds: int = 5) -> Labels:
    """Each row moved to the nearest centre of the groups, a few times; groups that empty are gone."""
    for _ in range(rounds):
        moved = _renumbered((vectors @ _centres(vectors, labels).T).argmax(axis=1).astype(np.int64))
        if np.array_equal(moved, labels):
            break
        labels = moved
    return labels


def _centres(vectors: Vectors, labels: Labels) -> Vectors:
    """The centre of each group as a unit row."""
    member = np.zeros((len(labels), int(labels.max()) + 1), np.float32)
    member[np.arange(len(labels)), labels] = 1
    centres: Vectors = member.T @ vectors
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9)
    return centres


def _renumbered(labels: Labels) -> Labels:
    result: Labels = np.unique(labels, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return result


def telling_words(texts: Sequence[str], labels: Labels) -> list[str]:
    """The telling words of each group: frequent in it, rare in the others; of a single idea, its beginning."""
    groups = [[texts[i] for i in np.nonzero(labels == group)[0].tolist()] for group in range(int(labels.max()) + 1)]
    counts = [Counter(word for text in group for word in _content(text)) for group in groups]
    total = Counter[str]()
    for count in counts:
        total.update(count)
    mean = sum(total.values()) / max(1, len(groups))
    found = []
    for group, count in zip(groups, counts, strict=True):
        if len(group) == 1 or not count:
            found.append(_short(group[0]))
            continue
        size = sum(count.values())
        weight = {word: n / size * math.log(1 + mean / total[word]) for word, n in count.items()}
        shared = [word for word, n in count.items() if n > 1] or list(count)
        best = sorted(shared, key=lambda word: (-weight[word], word))[:LABEL]
        found.append(", ".join(_spelt(word, group) for word in best))
    return found


def _content(text: str) -> list[str]:
    return [word for word in words(text) if word not in _COMMON and len(word) > 2 and not word.isdigit()]


def _spelt(word: str, group: Sequence[str]) -> str:
    """A word as people wrote it, where search words are stems."""
    forms = Counter(found.lower() for text in group for found in re.findall(r"[^\W_]+", text) if word in words(found))
    return forms.most_common(1)[0][0] if forms else word


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else f"{line[:40].rsplit(' ', 1)[0]} …"


def _of_same_words(texts: Sequence[str]) -> list[list[int]]:
    """The places of texts that have the same two or more telling words."""
    found: dict[frozenset[str], list[int]] = {}
    for place, text in enumerate(texts):
        telling = frozenset(_content(text))
        if len(telling) > 1:
            found.setdefault(telling, []).append(place)
    return [places for places in found.values() if len(places) > 1]


def _agree(first: str, second: str) -> bool:
    a, b = first.casefold(), second.casefold()
    one, other = (set(re.findall(r"n't|\w+", each)) for each in (a, b))
    if any(_SIDES.get(word, set()) & (other - one) for word in one - other):
        return False
    negated = [bool(_NEGATION & each) for each in (one, other)]
    return set(_NUMBER.findall(a)) == set(_NUMBER.findall(b)) and negated[0] == negated[1]
