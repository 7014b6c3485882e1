"""What was taken as an idea is said so that it can be undone, and ideas are put into groups on demand."""

import pytest

from agent.generation.facilitate import facilitate, latest
from agent.message import History, Intent, Line, Move, Prompt
from retrieval.encoder import Encoder
from tests.agent.brainstorms import Conversation

CAFE = (
    "a cat tree at each window",
    "a window seat for cats",
    "free coffee on Mondays",
    "half price coffee at noon",
    "coffee for free on Monday",
)


def said(talk: Conversation, message: str, intent: Intent, encoder: Encoder | None = None) -> str:
    reply = facilitate(Prompt("", History("", tuple(talk.lines)), message, intent, Move.IDEATE, ()), encoder)
    talk.lines += [Line("user", message), Line("assistant", reply)]
    return reply


def test_the_first_idea_says_how_it_is_taken_back():
    talk = Conversation()
    talk.say("use scamper on our café")
    assert '"undo" takes it back' in talk.say("a slide")
    assert '"undo"' not in talk.say("a swing")
    assert latest(talk.lines).ideas == ("a slide", "a swing")


def test_what_reads_as_a_question_is_quoted_where_it_was_taken():
    talk = Conversation()
    talk.say("use scamper on our café")
    talk.say("a slide")
    reply = said(talk, "explain the menu on a poster", Intent.ASK)
    assert 'Taken as an idea: "explain the menu on a poster". That makes 2 ideas; "undo" takes it back.' in reply
    assert 'Taken back: "explain the menu on a poster"' in talk.say("undo")
    assert latest(talk.lines).ideas == ("a slide",)


def test_of_a_long_idea_the_beginning_is_quoted_and_all_is_kept():
    talk = Conversation()
    talk.say("use scamper on our café")
    idea = f"explain the menu on a poster, {'in many words, ' * 40}and in colour"
    reply = said(talk, idea, Intent.ASK)
    assert 'Taken as an idea: "explain the menu on a poster, in many' in reply
    assert len(reply) < 400
    assert latest(talk.lines).ideas == (idea,)


@pytest.mark.parametrize(
    "order",
    ["group them", "cluster these please", "put similar ones together", "which ones are alike", "gruppiere sie"],
)
def test_ideas_are_grouped_with_their_numbers(order, encoder):
    talk = Conversation()
    talk.say("use scamper on our café")
    talk.say("\n".join(CAFE))
    reply = said(talk, order, Intent.IDEATE, encoder)
    assert "What belongs together" in reply
    assert all(f"{number}. {idea}" in reply for number, idea in enumerate(CAFE, 1))
    assert '"merge 3 and 5"' in reply
    assert latest(talk.lines).ideas == CAFE


def test_few_ideas_have_no_groups_and_none_stay_none(encoder):
    talk = Conversation()
    talk.say("use scamper on our café")
    assert "No ideas are written down yet" in said(talk, "group them", Intent.IDEATE, encoder)
    talk.say("a slide")
    assert "I see no groups in one idea yet" in said(talk, "group them", Intent.IDEATE, encoder)
