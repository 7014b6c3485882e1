"""A week of support in figures: how much was asked, what became of it, how long it took, the mood by topic, the gaps.

Pure, from what memory and the cases hold. No name and nobody's sentence is in it: topics are words that several people
used.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import median, quantiles

import numpy as np

from agent.ideation.groups import telling_words
from agent.message import Move, Sentiment
from agent.support.asked import Asked
from agent.support.cases import Case, Entry, Kind
from agent.support.gaps import Encode, Gap, common_words, find_gaps, only, together
from agent.support.triggers import is_unanswered

DAYS = 7
TOPICS = 5
FEWEST = 3  # questions of a topic
LATEST = timedelta(hours=1)  # a reply that came later waited for a process that was down: it says nothing of speed
_HIGH = 9  # of ten replies, this one's time


@dataclass(frozen=True, slots=True)
class Day:
    """Questions of one day (UTC) by what became of them. handed: cases opened."""

    day: date
    answered: int = 0
    refused: int = 0
    handed: int = 0


@dataclass(frozen=True, slots=True)
class Topic:
    """label: words that several people used. The shares of moods among its questions, together 1."""

    label: str
    questions: int
    negative: float
    neutral: float
    positive: float


@dataclass(frozen=True, slots=True)
class Figures:
    """A week. before: questions of the week before it. Times in seconds, None where there was nothing to measure.

    reply, late_reply: of Atelier's answers the median, and what nine of ten stay below. person: until a person answered
    in a case, the median. liked, disliked: ratings.
    """

    since: datetime
    until: datetime
    days: tuple[Day, ...]
    before: int
    reply: float | None
    late_reply: float | None
    person: float | None
    waiting: int
    liked: int
    disliked: int
    topics: tuple[Topic, ...]
    gaps: tuple[Gap, ...]

    @property
    def answered(self) -> int:
        return sum(each.answered for each in self.days)

    @property
    def refused(self) -> int:
        return sum(each.refused for each in self.days)

    @property
    def handed(self) -> int:
        return sum(each.handed for each in self.days)

    @property
    def questions(self) -> int:
        return self.answered + self.refused


def figures(
    until: datetime,
    asked: Sequence[Asked],
    before: Sequence[Asked],
    cases: Sequence[tuple[Case, Sequence[Entry]]],
    encode: Encode,
    tidy: Callable[[str], str],
) -> Figures:
    """The week that ends at `until`. asked: of this week, before: of the last one. cases: all, with their lines."""
    since = until - timedelta(days=DAYS)
    opened = [(case, lines) for case, lines in cases if since <= case.opened < until]
    questions = [each for each in asked if each.turn.decision.move is Move.ANSWER]
    times = [each.kept - each.turn.message.sent for each in questions]
    seconds = [each.total_seconds() for each in times if timedelta() <= each < LATEST]
    by_people = [waited for case, lines in opened if (waited := _until_answered(case, lines)) is not None]
    return Figures(
        since=since,
        until=until,
        days=_days(since, questions, [case for case, _ in opened]),
        before=sum(each.turn.decision.move is Move.ANSWER for each in before),
        reply=median(seconds) if seconds else None,
        late_reply=quantiles(seconds, n=10)[_HIGH - 1] if len(seconds) > 1 else None,
        person=median(by_people) if by_people else None,
        waiting=sum(case.is_live for case, _ in cases),
        liked=sum(rating > 0 for each in asked for rating in each.ratings),
        disliked=sum(rating < 0 for each in asked for rating in each.ratings),
        topics=_topics(questions, encode, tidy),
        gaps=tuple(gap for gap in find_gaps(asked, encode, lambda _: False, tidy) if gap.label)[:TOPICS],
    )


def _days(since: datetime, questions: Sequence[Asked], cases: Sequence[Case]) -> tuple[Day, ...]:
    refused = Counter(_day(each.turn.message.sent) for each in questions if is_unanswered(each.turn))
    whole = Counter(_day(each.turn.message.sent) for each in questions)
    handed = Counter(_day(case.opened) for case in cases)
    days = sorted({_day(since) + timedelta(days=n) for n in range(DAYS)} | set(whole) | set(handed))
    return tuple(Day(day, whole[day] - refused[day], refused[day], handed[day]) for day in days)


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _until_answered(case: Case, lines: Sequence[Entry]) -> float | None:
    """Seconds until somebody answered, or ended it; None where nobody did."""
    done = [line.at for line in lines if line.kind in (Kind.ANSWERED, Kind.RESOLVED)]
    return (min(done) - case.opened).total_seconds() if done else None


def _topics(questions: Sequence[Asked], encode: Encode, tidy: Callable[[str], str]) -> tuple[Topic, ...]:
    """The most frequent topics that more than one person asked about."""
    if len(questions) < FEWEST:
        return ()
    texts = [each.turn.message.text for each in questions]
    groups = together(encode(texts))
    common = common_words(questions)
    labels = telling_words([only(tidy(text), common) for text in texts], groups)
    found = []
    for group, label in enumerate(labels):
        members = [questions[i] for i in np.nonzero(groups == group)[0].tolist()]
        people = {each.turn.message.author.id for each in members}
        if len(members) >= FEWEST and len(people) > 1 and re.search(r"\w", label):
            moods = Counter(each.turn.understanding.sentiment for each in members)
            shares = (
                moods[each] / len(members) for each in (Sentiment.NEGATIVE, Sentiment.NEUTRAL, Sentiment.POSITIVE)
            )
            found.append(Topic(label, len(members), *shares))
    return tuple(sorted(found, key=lambda topic: (-topic.questions, topic.label))[:TOPICS])
