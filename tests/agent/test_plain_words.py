"""What quotes nothing is worded plainly: small talk, complaints, what cannot be done, and what was said before."""

import pytest

from agent.generation.extractive import ExtractiveGenerator
from agent.message import Intent, Line, Move
from tests.agent.prompts import prompt


@pytest.fixture(scope="module")
def generator(encoder):
    return ExtractiveGenerator(encoder)


@pytest.mark.parametrize(
    ("message", "intent", "move", "says"),
    [
        ("hi there!", Intent.SMALL_TALK, Move.CHAT, "Hello"),
        ("thanks a lot", Intent.SMALL_TALK, Move.CHAT, "welcome"),
        ("who are you?", Intent.SMALL_TALK, Move.CHAT, "I am Atelier"),
        ("who are you?", Intent.HELP, Move.CHAT, "I am Atelier"),
        ("are you ChatGPT?", Intent.SMALL_TALK, Move.CHAT, "I am Atelier"),
        ("wer bist du?", Intent.SMALL_TALK, Move.CHAT, "I am Atelier"),
        ("I had a terrible day", Intent.COMPLAINT, Move.CHAT, "sorry to hear that"),
        ("what's up?", Intent.HELP, Move.CHAT, "All in order"),
        ("I'm stuck with my talk on soil", Intent.COMPLAINT, Move.CLARIFY, "About your talk on soil: shall"),
        ("what can you do?", Intent.HELP, Move.CHAT, "atelier ingest"),
        ("book me a flight", Intent.OUT_OF_SCOPE, Move.CHAT, "I cannot do that"),
        ("the last answer was wrong", Intent.COMPLAINT, Move.CAPTURE, "sorry"),
        ("I like the sources", Intent.FEEDBACK, Move.CAPTURE, "kept"),
        ("get me a human", Intent.HUMAN, Move.ESCALATE, "cannot call anyone from here yet"),
        ("my laptop is broken, get me a human", Intent.HUMAN, Move.ESCALATE, "cannot call anyone from here yet"),
        ("my laptop is broken", Intent.COMPLAINT, Move.ESCALATE, "found nothing in the documents that helps"),
        ("pricing", Intent.ASK, Move.CLARIFY, "pricing"),
        ("???", Intent.ASK, Move.CLARIFY, "did not understand"),
    ],
)
def test_the_other_moves_are_worded_plainly(generator, message, intent, move, says):
    reply = generator.reply(prompt(message, move=move, intent=intent))
    assert says in reply
    assert "{" not in reply


TALK = (
    Line("user", "How long is parental leave?"),
    Line("assistant", "16 weeks at full pay. [1]"),
    Line("user", "and for adoptions?"),
    Line("assistant", "The documents do not say.\n\n- Leave [1]"),
)


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("what did I ask before?", "You asked:\n\n> and for adoptions?"),
        ("what was my first question?", "You asked:\n\n> How long is parental leave?"),
        ("what did you just say?", "I said:\n\n> The documents do not say.\n>\n> - Leave"),
        ("can you repeat that please?", "I said:"),
        ("what did we talk about?", "> How long is parental leave?\n\n> and for adoptions?"),
        ("What have I asked so far?", "> How long is parental leave?\n\n> and for adoptions?"),
    ],
)
def test_what_was_said_before_is_answered_from_the_conversation(generator, message, says):
    assert says in generator.reply(prompt(message, move=Move.CHAT, lines=TALK))
    assert "only just begun" in generator.reply(prompt(message, move=Move.CHAT))


def test_a_word_that_the_answer_was_wrong_gets_an_apology_and_an_offer(generator):
    reply = generator.reply(prompt("no, that's wrong", move=Move.CAPTURE, lines=TALK))
    assert reply.startswith("I am sorry.")
    assert "look again" in reply
    assert "ask a person" in reply
