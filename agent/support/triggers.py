"""When a conversation goes to a person: asked for, not answered twice, anger, a topic that the team wants to hear of.

Pure: from one person's latest turns in one place to the reason, or none.
"""

import re
from collections.abc import Collection, Sequence
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache

from agent.generation.answer import refuses
from agent.message import Intent, Move, Sentiment, Turn, Understanding


class Reason(StrEnum):
    REQUEST = "request"  # a person was asked for
    DOUBT = "doubt"  # twice in a row the documents had no answer
    ANGER = "anger"  # the latest messages are clearly negative
    TOPIC = "topic"  # the team wants a person to see this


LATELY = timedelta(minutes=60)  # older messages say nothing about this conversation
FAILURES = 2  # questions in a row without an answer
WEIGHTS = (1.0, 0.5, 0.25)  # of the latest messages, newest first: one alone is no trend
ANGRY = 0.6  # the weighted mood from which somebody is angry; one message reaches 0.57 at most


def reason_of(turns: Sequence[Turn], topics: Collection[str]) -> Reason | None:
    """Why a person should see this now. turns: of one author in one place, oldest first, the present one last."""
    if not turns:
        return None
    now = turns[-1]
    if now.decision.move is Move.ESCALATE:
        return escalated(now.understanding)
    if concerns(now.message.text, topics):
        return Reason.TOPIC
    lately = [turn for turn in turns if turn.message.sent >= now.message.sent - LATELY]
    if mood(lately) >= ANGRY and now.understanding.sentiment is Sentiment.NEGATIVE:
        return Reason.ANGER
    if len(lately) >= FAILURES and all(is_unanswered(turn) for turn in lately[-FAILURES:]):
        return Reason.DOUBT
    return None


def escalated(understanding: Understanding) -> Reason:
    """Why the policy sends a message to a person."""
    return Reason.ANGER if understanding.intent is Intent.COMPLAINT else Reason.REQUEST


def is_unanswered(turn: Turn) -> bool:
    """Whether the documents were searched for an answer and held none, also where the nearest of them are named."""
    return turn.decision.move is Move.ANSWER and (not turn.reply.sources or refuses(turn.reply.text))


def mood(turns: Sequence[Turn]) -> float:
    """How negative the latest of these messages are, -1 to 1; missing ones count as neutral."""
    latest = zip(WEIGHTS, reversed(turns), strict=False)
    return sum(weight * _negative(turn.understanding) for weight, turn in latest) / sum(WEIGHTS)


def _negative(understanding: Understanding) -> float:
    sign = {Sentiment.NEGATIVE: 1, Sentiment.NEUTRAL: 0, Sentiment.POSITIVE: -1}[understanding.sentiment]
    return sign * understanding.sentiment_confidence


def concerns(text: str, topics: Collection[str]) -> bool:
    """Whether a text is about one of the topics: its words stand in it one after the other; `refund*` is a beginning.

    Upper and lower case are the same.
    """
    return bool(topics) and _shape(tuple(sorted(topics))).search(text) is not None


@lru_cache(maxsize=64)
def _shape(topics: tuple[str, ...]) -> re.Pattern[str]:
    shapes = []
    for topic in topics:
        words = [re.escape(word.rstrip("*")) + (r"\w*" if word.endswith("*") else "") for word in topic.split()]
        if words and all(word.strip("*") for word in topic.split()):  # a lone star would be about everything
            shapes.append(r"\W+".join(words))
    return re.compile(rf"(?<!\w)(?:{'|'.join(shapes) or '(?!)'})(?!\w)", re.IGNORECASE)
