"""What sends a conversation to a person, and what does not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from agent.message import (
    Decision,
    History,
    Intent,
    Message,
    Move,
    Person,
    Place,
    Reply,
    Sentiment,
    Source,
    Turn,
    Understanding,
)
from agent.support.triggers import Reason, concerns, mood, reason_of

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
FOUND = (Source(1, "a.md", 1),)
BAD, GOOD, SO_SO = Sentiment.NEGATIVE, Sentiment.POSITIVE, Sentiment.NEUTRAL


def turn(
    text: str = "When?",
    feeling: Sentiment = SO_SO,
    sure: float = 0.9,
    *,
    sources: tuple[Source, ...] = FOUND,
    move: Move = Move.ANSWER,
    intent: Intent = Intent.ASK,
    minutes: float = 0,
) -> Turn:
    understood = Understanding(np.zeros(2, np.float32), intent, 0.9, feeling, sure, ())
    message = Message("m", Place("p", "t", "c"), Person("p-1"), text, NOW - timedelta(minutes=minutes), frozenset())
    return Turn("id", "", History(), message, understood, Decision(move, ""), (), Reply("…", sources))


def test_a_request_and_a_bitter_complaint_go_to_a_person_at_once() -> None:
    assert reason_of([turn(move=Move.ESCALATE, intent=Intent.HUMAN)], ()) is Reason.REQUEST
    assert reason_of([turn(move=Move.ESCALATE, intent=Intent.COMPLAINT)], ()) is Reason.ANGER
    assert reason_of([], ()) is None


def test_two_questions_in_a_row_without_an_answer() -> None:
    failed, answered, chat = turn(sources=()), turn(), turn(sources=(), move=Move.CHAT)
    assert reason_of([failed, failed], ()) is Reason.DOUBT
    assert reason_of([failed], ()) is None
    assert reason_of([failed, answered, failed], ()) is None
    assert reason_of([failed, chat], ()) is None
    assert reason_of([turn(sources=(), minutes=90), failed], ()) is None  # that was another conversation


@pytest.mark.parametrize(
    ("feelings", "is_angry"),
    [
        ([(BAD, 1.0)], False),  # one message is no trend
        ([(BAD, 0.9), (BAD, 0.9)], True),
        ([(BAD, 0.6), (BAD, 0.7), (BAD, 0.7)], True),
        ([(BAD, 0.9), (GOOD, 0.9), (BAD, 0.9)], False),
        ([(BAD, 0.9), (BAD, 0.9), (SO_SO, 0.9)], False),  # calm again
        ([(SO_SO, 0.9), (SO_SO, 0.9), (BAD, 0.9)], False),
    ],
)
def test_anger_is_a_trend(feelings: list[tuple[Sentiment, float]], is_angry: bool) -> None:
    turns = [turn(feeling=feeling, sure=sure) for feeling, sure in feelings]
    assert (reason_of(turns, ()) is Reason.ANGER) == is_angry
    assert -1 <= mood(turns) <= 1


def test_topics_are_words_whatever_their_case() -> None:
    topics = ("parental leave", "refund*")
    for text in ("Parental-Leave?", "two REFUNDS please", "About parental\nleave."):
        assert concerns(text, topics)
        assert reason_of([turn(text)], topics) is Reason.TOPIC
    for text in ("grandparental leave", "parental and leave", "a fund", "leave parental"):
        assert not concerns(text, topics)
    assert not concerns("anything", ())
    assert not concerns("a+b (c)", ("*",))
    assert concerns("is a+b right", ("a+b",))


def test_a_turn_of_long_ago_makes_nobody_angry_today() -> None:
    old = replace(turn(feeling=BAD, sure=1.0, minutes=600))
    assert reason_of([old, old, turn(feeling=BAD, sure=0.9)], ()) is None
