"""In a brainstorm of one person orders do what they say, and are no ideas; ideas that begin like orders are ideas."""

import pytest

from agent.generation.facilitate import latest, running
from agent.message import Line
from tests.agent.brainstorms import Conversation


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ("translate that into German", "in your own words"),
        ("what was the question again?", "The question was:"),
        ("why?", "no answer to it is wrong"),
        ("hmm, wait", "Take your time"),
        ("I don't like that one", "stays on the list"),
        ("remove idea 7", "no idea of that number"),
        ("how many ideas do we have?", "1. a slide"),
        ("what have we got?", "1. a slide"),
        ("show me the list", "1. a slide"),
        ("vote 1", "1. a slide"),
        ("that's enough, thanks", "What you have so far"),
        ("never mind", "Nothing is lost: the list holds one idea"),
        ("forget it", "Nothing is lost"),
        ("make it funnier please", '"a slide"'),
        ("something wilder", '"a slide"'),
        ("merge 1 and 7", "no idea of that number"),
        ("which one is best?", "1. a slide"),
        ("let's vote", "1. a slide"),
        ("can you save this?", "Here is the list"),
        ("number 1", 'Let us look at "a slide".'),
        ("ok", "The question is still:"),
        ("back to the brainstorm", "The question was:"),
        ("I don't like the first one", "stays on the list"),
        ("none of these help", "stays on the list"),
        ("just give me some ideas please", "starting points"),
        ("you suggest something", "starting points"),
        ("mir fällt nichts ein", "starting points"),
        ("machs lustiger", '"a slide"'),
        ("vergiss es", "Nothing is lost"),
    ],
)
def test_an_order_in_a_brainstorm_is_obeyed_and_is_no_idea(order, says):
    talk = Conversation()
    talk.say("let's brainstorm names for our cat café")
    talk.say("a slide")
    assert says in talk.say(order)
    assert latest(talk.lines).ideas == ("a slide",)


def test_an_idea_is_taken_back():
    talk = Conversation()
    talk.say("let's brainstorm names for our cat café")
    talk.say("a slide\na swing\na pond")
    assert 'Taken back: "a pond". Left: 2 ideas.' in talk.say("undo")
    assert 'Taken back: "a slide". Left: one idea.' in talk.say("delete idea 1")
    assert running(talk.lines).ideas == ("a swing",)
    talk.say("remove the queue at the till")
    assert running(talk.lines).ideas == ("a swing", "remove the queue at the till")
    talk.say("undo")
    assert 'Taken back: "a swing". Left: no idea yet.' in talk.say("undo")


def test_ideas_are_put_together_and_taken_apart_again():
    talk = Conversation()
    talk.say("let's brainstorm names for our cat café")
    talk.say("Purr\nPaws\nTail End")
    assert 'Put together: "Purr + Tail End". That makes 2 ideas' in talk.say("merge 1 and 3")
    assert running(talk.lines).ideas == ("Purr + Tail End", "Paws")
    assert "3 ideas" in talk.say("undo")
    assert running(talk.lines).ideas == ("Purr", "Paws", "Tail End")
    talk.say("combine ideas 2 and 3")
    talk.say("Whiskers")
    assert 'Taken back: "Whiskers"' in talk.say("undo"), "what came last is taken back first"
    assert 'Taken back: "Paws + Tail End"' in talk.say("delete the second one")


def test_starting_over_clears_the_list_and_keeps_the_topic():
    talk = Conversation()
    first = talk.say("use scamper on our café").split("\n\n")[1]
    talk.say("a\nb")
    assert first in talk.say("let's start over")
    assert running(talk.lines).ideas == ()
    assert "one idea" in talk.say("a swing")


def test_what_was_answered_otherwise_is_no_idea():
    talk = Conversation()
    talk.say("use scamper on our café")
    talk.say("a\nb")
    talk.lines += [Line("user", "it still doesn't work"), Line("assistant", "I am sorry.")]
    assert running(talk.lines).ideas == ("a", "b")


@pytest.mark.parametrize(
    "idea",
    ["make it blue", "save water", "start with a song", "take 2 minutes of silence", "vote for the ugliest mug"],
)
def test_an_idea_that_begins_like_an_order_is_one(idea: str) -> None:
    talk = Conversation()
    talk.say("use scamper on our café")
    talk.say(idea)
    assert running(talk.lines).ideas == (idea,)
