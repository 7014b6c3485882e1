"""Gaps in the knowledge: questions that found no good answer, put together by what they are about.

Nothing is stored of a gap: it is found anew in the turns that memory holds, so what was forgotten is in none.
Groups are those of `agent.ideation.groups`. What belongs nowhere stands alone: a heap of strays is no gap.
`tests/benchmarks/bench_gaps.py` takes one topic's documents away and looks whether it comes out on top.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from agent.ideation.groups import clusters, telling_words
from agent.message import Turn
from agent.support.asked import Asked
from retrieval.passage import Vectors
from retrieval.tokens import words

MOST = 1_000  # questions that are put together, the latest
MOST_OF_ONE = 3  # that one person counts for: nobody makes a gap large alone
NEAR = 0.3  # mean cosine from which questions, and groups of them, belong together; chosen on 4 runs of bench_gaps
JOINED = 200  # groups that may be joined
EXAMPLES = 3
LONGEST = 160  # characters of an example
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Gap:
    """label: words that tell it from others, each used by several people or in an example; may be empty.

    count: questions. people: who asked them. disliked: those of them that were answered, but not well. weight: by
    which gaps are ranked. examples: as asked, the most typical first, where these may be shown. turns: ids, all.
    """

    label: str
    count: int
    people: int
    disliked: int
    weight: int
    examples: tuple[str, ...]
    last: datetime
    turns: tuple[str, ...]


Encode = Callable[[Sequence[str]], Vectors]


def find_gaps(
    asked: Sequence[Asked], encode: Encode, shows: Callable[[Turn], bool], tidy: Callable[[str], str] = str
) -> list[Gap]:
    """The gaps among these turns, the largest first.

    encode: texts to vectors, (n, dim). shows: whether a question's words may be shown. tidy: takes out of a text what
    is nobody's business: names, numbers, keys.
    """
    missing = [each for each in asked if each.is_missing][-MOST:]
    if not missing:
        return []
    texts = [each.turn.message.text for each in missing]
    vectors = encode(texts)
    groups = together(vectors)
    shown = [shows(each.turn) for each in missing]
    tidied = [tidy(text) for text in texts]
    common = common_words(missing)
    labels = telling_words(
        [text if may else only(text, common) for text, may in zip(tidied, shown, strict=True)], groups
    )
    found = []
    for group, label in enumerate(labels):
        members = np.nonzero(groups == group)[0]
        typical = vectors[members] @ vectors[members].mean(axis=0)
        order = members[np.argsort(-typical, kind="stable")].tolist()
        found.append(_gap(label, [missing[i] for i in order], [tidied[i] for i in order if shown[i]]))
    return sorted(found, key=lambda gap: (-gap.weight, -gap.count, -gap.last.timestamp()))


def together(vectors: Vectors) -> NDArray[np.int64]:
    """The group of each question, from 0, (n,); what is near to no others is a group of its own.

    Nearness is the mean cosine between members: in a small group, that with its middle is high for strays too.
    """
    groups = clusters(vectors)
    for _ in range(2):  # without the strays the others are nearer
        sums, sizes = _sums(vectors, groups)
        others = np.maximum(sizes[groups] - 1, 1)
        mean = ((vectors * sums[groups]).sum(axis=1) - 1) / others
        strays = np.nonzero((mean < NEAR) & (sizes[groups] > 1))[0]
        groups[strays] = groups.max() + 1 + np.arange(len(strays))
        groups = _numbered(groups)
    return _joined(vectors, groups)


def _joined(vectors: Vectors, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """One topic that was cut in two is one again; of very many groups the largest are looked at."""
    while True:
        sums, sizes = _sums(vectors, groups)
        large = np.argsort(-sizes, kind="stable")[:JOINED]
        mean = sums[large] @ sums[large].T / np.outer(sizes[large], sizes[large])
        np.fill_diagonal(mean, -1)
        first, second = divmod(int(mean.argmax()), len(large))
        if mean[first, second] < NEAR:
            return groups
        groups[groups == large[second]] = large[first]
        groups = _numbered(groups)


def _sums(vectors: Vectors, groups: NDArray[np.int64]) -> tuple[Vectors, NDArray[np.int64]]:
    """The sum of each group's vectors, and how many they are."""
    sizes = np.bincount(groups)
    sums = np.zeros((len(sizes), vectors.shape[1]), np.float32)
    np.add.at(sums, groups, vectors)
    return sums, sizes


def _numbered(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(groups, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _gap(label: str, members: Sequence[Asked], examples: Sequence[str]) -> Gap:
    people = Counter(each.turn.message.author.id for each in members)
    return Gap(
        label=label,
        count=len(members),
        people=len(people),
        disliked=sum(each.is_disliked for each in members),
        weight=sum(min(count, MOST_OF_ONE) for count in people.values()),
        examples=tuple(dict.fromkeys(_short(text) for text in examples))[:EXAMPLES],
        last=max(each.turn.message.sent for each in members),
        turns=tuple(each.turn.id for each in members),
    )


def common_words(asked: Sequence[Asked]) -> frozenset[str]:
    """Words, as search knows them, that more than one person used."""
    users: dict[str, set[str]] = {}
    for each in asked:
        for word in words(each.turn.message.text):
            users.setdefault(word, set()).add(each.turn.message.author.id)
    return frozenset(word for word, who in users.items() if len(who) > 1)


def only(text: str, common: frozenset[str]) -> str:
    """What of a text is not one person's alone."""
    return " ".join(each for each in _WORD.findall(text) if common.issuperset(words(each)))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1].rstrip()}…"
