"""In a brainstorm what is plainly asked of Atelier is no idea, and ideas in the imperative are no errands."""

import pytest

from agent.generation.steering import ENDS, asks_us, handles, lets_go, lists, undone
from agent.message import History, Line, Move
from agent.policy import decide
from agent.surface import looks_like_question
from agent.under_way import UnderWay
from agent.understanding import Understander
from retrieval.encoder import TransformerEncoder
from tests.agent.brainstorms import Conversation


@pytest.fixture(scope="module")
def understander(encoder: TransformerEncoder) -> Understander:
    return Understander(encoder)


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    talk = Conversation()
    talk.say("let's brainstorm ways to welcome new colleagues")
    talk.say("a slide")
    return talk.lines


def move(text: str, understander: Understander, lines: list[Line], last: Move) -> Move:
    """What is decided where the last reply was `last`."""
    way, understanding = UnderWay.of(lines, last), understander.understand(text)
    adds = way.adds(text, understanding)
    return way.wanted(text) or decide(understanding, text=text, thinking=adds, replied=True).move


@pytest.mark.parametrize("last", [Move.IDEATE, Move.ANSWER])
@pytest.mark.parametrize(
    "text",
    [
        "send the numbers before the meeting",
        "cancel it when there is no agenda",
        "book a room with windows",
        "ask somebody from outside to join",
        "talk to a human first instead of a form",
        "connect each newcomer with a human from another team",
        "find a mentor in another team",
        "translate the handbook into pictures",
        "explain the jargon on a poster",
        "summarise each meeting in three sentences",
        "list the people who can help",
        "skip the slides",
        "less is more",
        "close the door and open the windows",
    ],
)
def test_an_idea_in_the_imperative_is_an_idea_also_after_a_question(text, last, understander, lines):
    assert move(text, understander, lines, last) is Move.IDEATE
    assert handles(text) is None
    assert not any(order(text) for order in (ENDS.match, lists, asks_us))


@pytest.mark.parametrize("last", [Move.IDEATE, Move.ANSWER])
@pytest.mark.parametrize(
    "text",
    [
        "summarise the leave policy",
        "tell me the deadline",
        "explain the travel policy please",
        "look up the opening hours",
        "search the handbook for parking",
        "show me the handbook",
        "I'd like to ask something about leave",
        "question: when does the office open",
        "waht is the deadline",
        "hwo many days of leave do we have",
        "cna you tell me the wifi password",
    ],
)
def test_what_is_asked_of_the_documents_is_no_idea(text, last, understander, lines):
    assert move(text, understander, lines, last) is Move.ANSWER


def test_an_errand_for_oneself_after_a_question_is_no_idea(understander, lines):
    assert move("remind me to call Bob tomorrow", understander, lines, Move.ANSWER) is Move.CHAT


@pytest.mark.parametrize(
    "text", ["I want to talk to a human", "get a human on the line please", "can I speak to someone?"]
)
def test_who_calls_for_a_person_in_a_brainstorm_gets_one(text, understander, lines):
    assert move(text, understander, lines, Move.IDEATE) is Move.ESCALATE


@pytest.mark.parametrize(
    "text",
    [
        "whta time is lunch",
        "coudl you repeat",
        "wher is the kitchen",
        "wich one do we take",
        "shoudl we book it",
    ],
)
def test_a_question_with_a_slip_in_its_first_word_is_a_question(text):
    assert looks_like_question(text)


@pytest.mark.parametrize(
    "text",
    [
        "cold drinks in summer",
        "wee small gifts",
        "dos and don'ts",
        "wheels for kids",
        "dose of fun",
        "hat day",
        "aws credits",
        "waht",
    ],
)
def test_a_word_that_is_near_a_question_word_asks_nothing(text):
    assert not looks_like_question(text)


@pytest.mark.parametrize(
    "text",
    [
        "quit",
        "cancel this",
        "end the brainstorm",
        "let's call it a day",
        "ok that will do",
        "I don't want to do this anymore",
        "I've had enough",
        "can we stop?",
        "lass uns aufhören",
        "ich will nicht mehr",
        "ich glaube, wir sind fertig",
    ],
)
def test_a_brainstorm_ends_in_many_words(text):
    talk = Conversation()
    talk.say("use scamper on our café")
    talk.say("a slide")
    assert "1. a slide" in talk.say(text)
    assert UnderWay.of(talk.lines, Move.IDEATE).thinking is False


@pytest.mark.parametrize(
    "text", ["end the meeting", "cancel Friday", "finish at noon", "stop sending emails", "no end", "exit interviews"]
)
def test_an_idea_about_ends_ends_nothing(text):
    assert not ENDS.match(text)


@pytest.mark.parametrize("text", ["is it done?", "ok, is that enough?", "are you finished", "ist genug da?"])
def test_who_asks_whether_something_is_done_ends_nothing(text):
    assert not ENDS.match(text)


@pytest.mark.parametrize("text", ["I've had enough", "I give up", "I don't want this anymore"])
def test_where_no_brainstorm_is_on_weary_words_are_a_complaint(text, understander):
    assert move(text, understander, [], Move.ANSWER) is Move.ESCALATE
    assert UnderWay.of([], Move.ANSWER).aside(text, History("", ()), "en") == ""


@pytest.mark.parametrize(
    "text",
    ["Wie wäre es mit einem Schnuppertag?", "warum nicht ein Frühstück im Hof?", "Was wäre, wenn wir zusammen kochen?"],
)
def test_a_proposal_put_as_a_question_is_an_idea_in_german_too(text, understander, lines):
    assert move(text, understander, lines, Move.IDEATE) is Move.IDEATE


def test_what_is_wanted_of_the_list_is_known_in_german_too():
    assert handles("kannst du die Ideen sortieren?") == "group"
    assert lists("zeig mir bitte alle Ideen")
    assert lists("mach eine Zusammenfassung")
    assert lists("wie viele Ideen haben wir schon?")


@pytest.mark.parametrize("text", ["never mind", "forget about it all", "let's do something else", "vergiss es"])
def test_who_lets_go_twice_means_the_end(text):
    talk = Conversation()
    talk.say("use scamper on our café")
    talk.say("a slide")
    assert "Nothing is lost" in talk.say(text)
    assert UnderWay.of(talk.lines, Move.IDEATE).thinking
    assert "1. a slide" in talk.say(text)
    assert not UnderWay.of(talk.lines, Move.IDEATE).thinking
    assert lets_go(text)


def test_who_lets_go_twice_before_any_idea_is_offered_no_other_way_in():
    talk = Conversation()
    talk.say("use scamper on our café")
    talk.say("never mind")
    assert talk.say("never mind").startswith("All right, we leave it there")
    assert not UnderWay.of(talk.lines, Move.IDEATE).thinking


@pytest.mark.parametrize(
    "text",
    ["summarise what we have", "show me what we have so far", "read the ideas back to me", "list them", "my ideas"],
)
def test_the_list_is_shown_in_many_words(text):
    talk = Conversation()
    talk.say("use scamper on our café")
    talk.say("a slide")
    assert "1. a slide" in talk.say(text)


def test_list_them_after_an_answer_asks_on(lines):
    assert UnderWay.of(lines, Move.ANSWER).wanted("list them") is None
    assert UnderWay.of(lines, Move.ANSWER).wanted("list our ideas") is Move.IDEATE
    assert UnderWay.of([], None).wanted("list them") is None


@pytest.mark.parametrize(
    "said",
    ["take that back", "oh no, not that", "that was a slip, remove it", "Das war ein Versehen, nimm das zurück."],
)
def test_a_slip_is_taken_back_in_other_words(said: str) -> None:
    assert undone(said, ["tents on the boats", "a boat parade"]) == 1
    assert undone(f"{said} of the shop", ["tents on the boats", "a boat parade"]) is None
