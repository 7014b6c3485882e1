"""Who leaves a brainstorm for a question is not taken for having ideas ever after; who comes back is understood."""

from time import process_time

import numpy as np
import pytest

from agent.message import History, Intent, Line, Move, Sentiment, Understanding
from agent.under_way import UnderWay

BEGUN = (
    Line("user", "use scamper on our café"),
    Line("assistant", "*SCAMPER* it is. The topic: your café.\n\nA question."),
)


def read(intent: Intent, confidence: float) -> Understanding:
    return Understanding(np.zeros(1, np.float32), intent, confidence, Sentiment.NEUTRAL, 1.0, ())


@pytest.mark.parametrize(
    ("text", "last", "wanted"),
    [
        ("next", Move.IDEATE, Move.IDEATE),
        ("number 2", Move.IDEATE, Move.IDEATE),
        ("ok", Move.IDEATE, Move.IDEATE),
        ("ok", Move.ANSWER, None),
        ("2", Move.ANSWER, None),
        ("back to the brainstorm", Move.ANSWER, Move.IDEATE),
        ("undo", Move.CHAT, Move.IDEATE),
        ("a swing", Move.IDEATE, None),
    ],
)
def test_an_order_is_obeyed_where_it_is_plain_what_it_is_about(text: str, last: Move, wanted: Move | None) -> None:
    way = UnderWay.of(BEGUN, last)
    assert way.thinking
    assert way.wanted(text) is wanted


@pytest.mark.parametrize(
    ("text", "intent", "confidence", "last", "adds"),
    [
        ("a swing", Intent.ASK, 0.25, Move.IDEATE, True),
        ("a swing", Intent.ASK, 0.25, Move.ANSWER, True),
        ("what about weekends?", Intent.ASK, 0.97, Move.IDEATE, True),
        ("what about weekends?", Intent.ASK, 0.97, Move.ANSWER, False),
        ("my drill won't start", Intent.COMPLAINT, 0.31, Move.ANSWER, False),
        ("it still doesn't work", Intent.COMPLAINT, 0.97, Move.ANSWER, False),
        ("when does it open?", Intent.ASK, 0.99, Move.IDEATE, False),
    ],
)
def test_what_is_said_after_an_answer_is_an_idea_only_if_it_reads_like_one(
    text: str, intent: Intent, confidence: float, last: Move, *, adds: bool
) -> None:
    assert UnderWay.of(BEGUN, last).adds(text, read(intent, confidence)) is adds


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("never mind", "ever mind"),
        ("start over", "/clear"),
        ("reset", ""),  # one word may stand in a manual
        ("done", "All right."),
        ("next", "nothing under way"),
        ("hello", ""),
        ("summarise our ideas", ""),
    ],
)
def test_an_order_to_nothing_is_answered_and_not_searched_for(text: str, part: str) -> None:
    said = UnderWay.of((), None).aside(text, History(), "")
    assert part in said
    assert bool(said) is bool(part)


def test_no_message_keeps_anybody_busy() -> None:
    """A message of 32,000 characters is allowed: each of these forms would look for its end once for each."""
    began = process_time()
    for text in ("ok" + " " * 20_000 + "x", "forget it" + " " * 20_000 + "x", "forget it" + "! " * 10_000 + "x"):
        assert UnderWay.of((), None).aside(text, History(), "") == ""
        assert UnderWay.of(BEGUN, Move.IDEATE).wanted(text) is None
    assert process_time() - began < 1
