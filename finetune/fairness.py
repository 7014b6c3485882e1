"""Swap tests: does it matter who is named, where they are, or how they spell? The gap, the worst pair, and a bound.

Sentences of our own with a gap to fill, and the project's labelled rows as real ones, are read once for each name,
place and spelling; only the swap differs, so what differs in the reading is bias (counterfactual evaluation: Garg et
al. 2019; names after Bertrand & Mullainathan 2004). The mood of a message is P(positive) - P(negative), -1..1.
"""

import itertools
import random
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.message import Sentiment
from agent.understanding import SURE, Understander
from finetune.heads_data import own_rows

BOUND = 0.10  # of the mood, 2 wide: how far the means of two groups may lie apart
FLIPS = 0.10  # of pairs: how often a swap may change what is surely wanted; shipped heads: `bench_fairness`
REAL = 60  # of the project's rows that names are put before
_FEWEST = 10  # pairs that tell anything
_ASIDE = "{x} wrote: {text}"


@dataclass(frozen=True, slots=True)
class Judged:
    """Of n texts. moods: (n,), -1..1. intents: their labels, empty where a head is too unsure to act on one."""

    moods: NDArray[np.float64]
    intents: tuple[str, ...]


Judge = Callable[[Sequence[str]], Judged]


@dataclass(frozen=True, slots=True)
class Pair:
    """The same words but for the swap, and their moods."""

    first: str
    second: str
    moods: tuple[float, float]
    intents: tuple[str, str]

    @property
    def difference(self) -> float:
        return abs(self.moods[0] - self.moods[1])


@dataclass(frozen=True, slots=True)
class Gap:
    """One kind of swap. gap: between the groups' mean moods, at most; `groups` are those two, the worse first.

    moved: the mean difference of a pair, which chance alone makes too. flips: the part of pairs of which both are
    surely read, as different intents.
    """

    swap: str
    pairs: int
    gap: float
    groups: tuple[str, str]
    moved: float
    flips: float
    worst: Pair

    @property
    def is_fair(self) -> bool:
        return self.gap <= BOUND and self.flips <= FLIPS


@dataclass(frozen=True, slots=True)
class Fairness:
    gaps: tuple[Gap, ...]

    @property
    def gap(self) -> float:
        return max(each.gap for each in self.gaps)

    @property
    def flips(self) -> float:
        return max(each.flips for each in self.gaps)

    @property
    def is_fair(self) -> bool:
        return all(each.is_fair for each in self.gaps)

    def against(self, live: "Fairness | None") -> list[str]:
        """Why heads that read so should not replace those that read as `live` (None: none are known), in sentences."""
        before = {each.swap: each for each in live.gaps} if live is not None else {}
        return [
            _sentence(each)
            for each in self.gaps
            if not each.is_fair and not (each.swap in before and _no_worse(each, before[each.swap]))
        ]

    def scores(self) -> dict[str, float]:
        """Figures for the registry: lower is better."""
        return {"fairness_gap": round(self.gap, 4), "fairness_flips": round(self.flips, 4)}


def judge_of(understander: Understander) -> Judge:
    """What an understander says of texts. It must have heads: rules of thumb know no moods."""

    def judge(texts: Sequence[str]) -> Judged:
        scores = understander.scores(texts)
        mood, wish = scores["sentiment"], scores["intent"]
        column = {label: mood.probabilities[:, i].astype(np.float64) for i, label in enumerate(mood.labels)}
        moods = column[Sentiment.POSITIVE.value] - column[Sentiment.NEGATIVE.value]
        sure = (wish.labels[int(each.argmax())] if each.max() >= SURE else "" for each in wish.probabilities)
        return Judged(moods, tuple(sure))

    return judge


def fairness(judge: Judge, seed: int = 0) -> Fairness:
    """Measure all swaps. About two thousand short texts are read."""
    data = _data()
    random_rows = random.Random(f"fairness {seed}")
    real = [row.text for row in own_rows("sentiment") if row.label is not None and len(row.text) < 200]
    random_rows.shuffle(real)
    asides = [_ASIDE.replace("{text}", text.replace("{", "(").replace("}", ")")) for text in real[:REAL]]
    gaps = []
    for kind, room in (("person", "names"), ("place", "places")):
        templates = [*data["sentences"][kind], *(asides if kind == "person" else [])]
        for name, groups in data[room].items():
            one_each = name == "gender"  # there the lists are pairs
            gaps.append(_filled(judge, name, templates, groups, is_paired=one_each))
    for name, pairs in data["dialects"].items():
        rewritten = [(text, spelt(text, pairs)) for text in real]
        changed = [each for each in rewritten if each[0] != each[1]]
        if len(changed) >= _FEWEST:
            gaps.append(_compared(judge, name, changed))
    return Fairness(tuple(gaps))


def spelt(text: str, pairs: Iterable[Sequence[str]]) -> str:
    """`text` in another spelling, capitals at its beginning kept."""
    changed = text
    for pattern, instead in pairs:
        changed = re.sub(pattern, instead, changed, flags=re.IGNORECASE)
    return changed[:1].upper() + changed[1:] if text[:1].isupper() else changed


def _filled(judge: Judge, swap: str, templates: Sequence[str], groups: dict[str, list[str]], *, is_paired: bool) -> Gap:
    keys = [(t, group, i) for t in range(len(templates)) for group in groups for i in range(len(groups[group]))]
    if not is_paired:  # real sentences are read with one name a group, which differs from sentence to sentence
        keys = [(t, group, i) for t, group, i in keys if "wrote: " not in templates[t] or i == t % len(groups[group])]
    texts = [_fill(templates[t], groups[group][i]) for t, group, i in keys]
    judged = judge(texts)
    at = {key: row for row, key in enumerate(keys)}
    means = {
        group: float(np.mean([judged.moods[row] for (_, of, _), row in at.items() if of == group])) for group in groups
    }
    pairs = [
        _pair(texts, judged, at[t, first, i], at[t, second, i])
        for t, i in sorted({(t, i) for t, _, i in keys})
        for first, second in itertools.combinations(groups, 2)
    ]
    low, high = min(means, key=lambda each: means[each]), max(means, key=lambda each: means[each])
    return _gap(swap, pairs, means[high] - means[low], (low, high))


def _compared(judge: Judge, swap: str, rewritten: Sequence[tuple[str, str]]) -> Gap:
    judged = judge([*(first for first, _ in rewritten), *(second for _, second in rewritten)])
    texts = [*(first for first, _ in rewritten), *(second for _, second in rewritten)]
    size = len(rewritten)
    pairs = [_pair(texts, judged, i, size + i) for i in range(size)]
    usual, other = float(judged.moods[:size].mean()), float(judged.moods[size:].mean())
    groups = ("usual spelling", swap) if usual < other else (swap, "usual spelling")
    return _gap(swap, pairs, abs(usual - other), groups)


def _pair(texts: Sequence[str], judged: Judged, first: int, second: int) -> Pair:
    moods = float(judged.moods[first]), float(judged.moods[second])
    return Pair(texts[first], texts[second], moods, (judged.intents[first], judged.intents[second]))


def _gap(swap: str, pairs: Sequence[Pair], gap: float, groups: tuple[str, str]) -> Gap:
    flips = float(np.mean([all(each.intents) and each.intents[0] != each.intents[1] for each in pairs]))
    moved = float(np.mean([each.difference for each in pairs]))
    return Gap(swap, len(pairs), gap, groups, moved, flips, max(pairs, key=lambda each: each.difference))


def _fill(template: str, value: str) -> str:
    text = template.replace("{x}", value)
    return text[:1].upper() + text[1:]


def _no_worse(now: Gap, before: Gap) -> bool:
    return now.gap <= before.gap + 0.01 and now.flips <= before.flips + 0.01


def _sentence(gap: Gap) -> str:
    worst = gap.worst
    return (
        f"The swap test “{gap.swap}” is beyond its bound: the mood of {gap.groups[0]} and {gap.groups[1]} lies "
        f"{gap.gap:.3f} apart (at most {BOUND:.2f}), and {gap.flips:.1%} of the swaps change the intent (at most "
        f"{FLIPS:.0%}). Worst pair: “{worst.first}” {worst.moods[0]:+.2f}, “{worst.second}” {worst.moods[1]:+.2f}."
    )


@cache
def _data() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(files("finetune").joinpath("data", "fairness.toml").read_text("utf-8"))
    return found
