"""Documents that need a look: old ones that people still ask about, and pairs that contradict each other. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations

from agent.message import Turn
from agent.policy import is_ours
from agent.support.asked import Asked

MONTH = timedelta(days=30)
FEWEST = 2  # questions from which an old document is named


@dataclass(frozen=True, slots=True)
class Old:
    """A document that answered questions and was long not changed. questions: lately."""

    source: str
    changed: datetime
    questions: int


@dataclass(frozen=True, slots=True)
class Differing:
    """Two documents that were found to contradict each other. questions: in which that came up lately."""

    first: str
    second: str
    questions: int


def old_documents(
    asked: Iterable[Asked],
    changed: Mapping[str, datetime],
    months: int,
    now: datetime,
    readers: Collection[str],
    fewest: int = FEWEST,
) -> list[Old]:
    """What was cited lately and is older than `months`, the most asked about first.

    changed: when each document was, by source. readers: the audiences of who is told.
    """
    if not months:
        return []
    counts = Counter(source for each in asked for source in cited(each.turn, readers))
    found = [
        Old(source, changed[source], count)
        for source, count in counts.items()
        if count >= fewest and source in changed and changed[source] < now - months * MONTH
    ]
    return sorted(found, key=lambda each: (-each.questions, each.changed, each.source))


def differing_documents(asked: Iterable[Asked], reason: str, readers: Collection[str]) -> list[Differing]:
    """Pairs that answered a question with a contradiction, the most frequent first. reason: why that was decided."""
    counts: Counter[tuple[str, str]] = Counter()
    for each in asked:
        if each.turn.decision.reason == reason:
            counts.update(combinations(sorted(cited(each.turn, readers)), 2))
    return [Differing(*pair, count) for pair, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def cited(turn: Turn, readers: Collection[str]) -> set[str]:
    """The team's documents that a reply cites, of those that a holder of `readers` may know of."""
    wanted = {source.passage for source in turn.reply.sources}
    return {
        each.source for each in turn.passages if each.id in wanted and each.audience in readers and not is_ours(each)
    }
