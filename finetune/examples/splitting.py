"""Which examples are held out: what belongs together stays on one side, and stays there when rows are added.

A group's side is drawn from a hash of the seed and its first example, so that nothing else moves it: rows that come
later join their group or make one of their own.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from finetune.example import Example

Link = tuple[int, int]  # two examples that must stand on one side

_TIES: Mapping[str, Callable[[Example], str]] = {
    "conversation": lambda example: example.origin.conversation,
    "document": lambda example: next(iter(example.origin.documents), ""),
    "person": lambda example: example.origin.person,
}
# What is kept together, most first: less where too few groups are left to hold a fair share out.
_LEVELS = (("conversation", "document", "person"), ("conversation", "document"), ("conversation",), ())
FEW = 10  # examples below which a comparison says little
_NEAR = 2.0  # the share held out may be this many times the one asked for, or that part of it


@dataclass(frozen=True, slots=True)
class Split:
    """held_out: for each example whether it is. sentence: what was kept together, for the data card."""

    held_out: tuple[bool, ...]
    sentence: str


def split(examples: Sequence[Example], similar: Iterable[Link], share: float, seed: int) -> Split:
    """Hold out about `share` of the examples, at least one where two groups can be told apart.

    similar: pairs by index that nearly repeat each other.
    """
    links = list(similar)
    keys = [_key(example, seed) for example in examples]
    for ties in _LEVELS:
        groups = _groups(examples, links, ties)
        for held in ([keys[group] < share for group in groups], _fewest(groups, keys, share)):
            count = sum(held)
            if 0 < count < len(examples) and share / _NEAR <= count / len(examples) <= share * _NEAR:
                return Split(tuple(held), _sentence(ties))
    return Split(tuple(held), _sentence(()))


def halves(held_out: Sequence[Example], seed: int) -> tuple[list[Example], list[Example]]:
    """One part to choose the best step by, one to judge what was chosen: rows that chose it would flatter it.

    The same list twice where either part would have fewer than FEW examples.
    """
    if len(held_out) >= 2 * FEW:
        sides = split(held_out, (), 0.5, seed).held_out
        pairs = list(zip(held_out, sides, strict=True))
        choosing, judging = ([one for one, is_held in pairs if is_held is side] for side in (False, True))
        if min(len(choosing), len(judging)) >= FEW:
            return choosing, judging
    return list(held_out), list(held_out)


def _key(example: Example, seed: int) -> float:
    """A number in 0..1 that this example and seed always give."""
    said = json.dumps([[each.role, each.content] for each in example.messages])
    digest = hashlib.sha256(f"{seed}\n{said}".encode()).digest()
    return int.from_bytes(digest[:7]) / 2**56


def _groups(examples: Sequence[Example], links: Iterable[Link], ties: Sequence[str]) -> list[int]:
    """For each example the index of its group's first (a union-find whose roots are the smallest index)."""
    parents = list(range(len(examples)))

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    def join(i: int, j: int) -> None:
        first, second = sorted((root(i), root(j)))
        parents[second] = first

    first_of: dict[tuple[str, str], int] = {}
    for i, example in enumerate(examples):
        for tie in ties:
            if value := _TIES[tie](example):
                join(first_of.setdefault((tie, value), i), i)
    for i, j in links:
        join(i, j)
    return [root(i) for i in range(len(examples))]


def _fewest(groups: Sequence[int], keys: Sequence[float], share: float) -> list[bool]:
    """Whole groups, in the order of their keys, as long as they fit; at least the smallest where there are two."""
    sizes = Counter(groups)
    wanted = max(round(share * len(groups)), 1)
    chosen: set[int] = set()
    count = 0
    for group in sorted(sizes, key=lambda each: keys[each]):
        if count + sizes[group] <= wanted:
            chosen.add(group)
            count += sizes[group]
    if not chosen and len(sizes) > 1:
        chosen.add(min(sizes, key=lambda each: (sizes[each], keys[each])))
    return [group in chosen for group in groups]


def _sentence(ties: Sequence[str]) -> str:
    kept = ["near-repetition", *ties]
    listed = kept[0] if len(kept) == 1 else f"{', '.join(kept[:-1])} or {kept[-1]}"
    sentence = f"No {listed} stands on both sides."
    dropped = [tie for tie in _LEVELS[0] if tie not in ties]
    if dropped:
        sentence += f" Kept apart by {' and '.join(dropped)} too, no fair share could have been held out."
    return sentence
