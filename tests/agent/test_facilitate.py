"""Thinking together without a model: one question a turn, people's ideas first, sparks from documents after."""

from dataclasses import replace

import pytest

from agent.generation.facilitate import facilitate, just_over, running
from agent.generation.phrases import small_talk
from agent.generation.topics import topic_of
from agent.message import History, Intent, Line, Move, Prompt
from tests.agent.brainstorms import SPARKS, Conversation


@pytest.mark.parametrize(
    ("message", "topic"),
    [
        ("let's brainstorm names for the new product", "names for the new product"),
        ("/ideate cheaper packaging", "cheaper packaging"),
        ("names for the new product", "names for the new product"),
        ("Use SCAMPER on our onboarding", "your onboarding"),
        ("let's use six hats on the question whether we should move", "the question whether we should move"),
        ("give me some ideas for a team event in winter", "a team event in winter"),
        ("How could we reduce waste in our office?", "reducing waste in your office"),
        ("we need new ways to attract customers", "attracting customers"),
        ("I want to brainstorm about how we can plan meetings", "planning meetings"),
        ("Can you help me come up with a slogan for my bakery?", "a slogan for your bakery"),
        ("any ideas for gifts?", "gifts"),
        ("ideas for a logo please", "a logo"),
        ("think of 10 creative uses for a brick", "10 creative uses for a brick"),
        ("what could we do about churn?", "churn"),
        ("write me a haiku about autumn", "a haiku about autumn"),
        ("draft a toast for our retirement party", "a toast for your retirement party"),
        ("brainstorm", ""),
        ("I need ideas", ""),
        ("I need a slogan for a bicycle repair shop", "a slogan for a bicycle repair shop"),
        ("six hats", ""),
        ("brainstorm: a mascot for a library", "a mascot for a library"),
        ("ideas please: packaging without plastic", "packaging without plastic"),
        ("how do we keep people?", "keeping people"),
        ("what are good names for a cat?", "good names for a cat"),
        ("how might a museum welcome us?", 'the question "How might a museum welcome you?"'),
        ("I'm stuck with my presentation on soil", "your presentation on soil"),
        ("Ich stecke bei meiner Präsentation über Moore fest", "deiner Präsentation über Moore"),
        ("Hilfe, wir kommen mit der Abrechnung nicht weiter!", "der Abrechnung"),
        ("Ideen für ein Fest", "ein Fest"),
        ("I'm stuck, give me some ideas", ""),
        ("I'm stuck, give me some ideas for a logo", "a logo"),
        ("how can we reduce meetings? I need fresh ideas", "reducing meetings"),
        ("Lass uns ein Brainstorming machen: wie können wir Kollegen begrüßen?", "wie können wir Kollegen begrüßen"),
    ],
)
def test_the_topic_is_put_so_that_it_fits_into_a_sentence(message, topic):
    assert topic_of(message) == topic


def test_without_a_topic_it_asks_for_one_and_goes_on_from_the_answer():
    talk = Conversation()
    assert "What would you like ideas for?" in talk.say("let's brainstorm")
    assert "names for your cat café" in talk.say("names for our cat café")


@pytest.mark.parametrize(
    "asking",
    [
        "I'm stuck, give me some ideas",
        "I'm out of ideas",
        "more sparks please",
        "no idea, give us a few more",
        "thanks, that was helpful!",
        "I want to talk to a human",
        "Danke, das war sehr hilfreich",
        "ich möchte mit einem Menschen sprechen",
    ],
)
def test_what_is_said_to_us_is_no_idea(asking: str) -> None:
    talk = Conversation()
    talk.say("use scamper on our onboarding")
    talk.say("a plant on every desk")
    talk.say(asking)
    assert "2 ideas" in talk.say("a cake on day one")


@pytest.mark.parametrize("idea", ["thank everybody by name", "thanks cards from the whole team", "a human at the door"])
def test_an_idea_about_thanks_or_humans_is_one(idea: str) -> None:
    talk = Conversation()
    talk.say("use scamper on our onboarding")
    talk.say("a plant on every desk")
    assert "2 ideas" in talk.say(idea)


def test_people_come_first_and_documents_spark_later():
    talk = Conversation()
    opening = talk.say("use scamper on our café", SPARKS)
    assert "*SCAMPER*" in opening
    assert "your café" in opening
    assert "spark from your documents" not in opening
    second = talk.say("swap the tables\nswap the coffee", SPARKS)
    assert "2 ideas" in second
    assert '"Visitors spend most of their time near the windows, not at the tables." [1]' in second


def test_a_technique_goes_through_its_questions_and_ends_with_what_people_said():
    talk = Conversation()
    replies = [talk.say("use reverse brainstorming for fewer meetings")]
    replies += [talk.say(idea) for idea in ("make them longer; invite everybody", "next", "no chairs", "no agenda")]
    assert len(set(replies)) == 5
    assert "1. make them longer\n2. invite everybody\n3. no chairs\n4. no agenda" in replies[-1]
    assert "5 ideas" in talk.say("sing it"), "who has one more after the last question is heard"
    assert "no further question" in talk.say("next")
    assert "5. sing it" in talk.say("done")
    assert running(talk.lines) is None


def test_a_question_stays_until_people_had_time_for_it():
    talk = Conversation()
    question = talk.say("use scamper on our café").split("\n\n")[1]
    assert "**" not in talk.say("swap the tables"), "the first idea is seldom the only one"
    assert question in talk.say("ok")
    assert "**Combine.**" in talk.say("swap the menu")
    assert "**Adapt.**" in talk.say("a library shelf\na cat"), "who writes several has thought about it"


def test_another_technique_keeps_the_topic_and_is_a_new_one():
    talk = Conversation()
    opened = [talk.say("let's brainstorm on slow mornings")]
    opened += [talk.say("another technique please") for _ in range(4)]
    titles = [reply.split("*")[1] for reply in opened]
    assert len(set(titles)) == 5
    assert all("slow mornings" in reply for reply in opened)
    assert "*Six Thinking Hats*" in talk.say("six hats")


def test_an_idea_that_sounds_like_an_order_is_kept_as_an_idea():
    talk = Conversation()
    talk.say("use scamper on packaging")
    assert "one idea" in talk.say("use recycled paper")
    assert "2 ideas" in talk.say("Give students a discount")
    assert "your website" in talk.say("let's brainstorm our website")


def test_stopping_early_lists_what_there_is():
    talk = Conversation()
    talk.say("use six hats on moving")
    assert "No ideas are written down yet" in talk.say("that's enough")
    talk.say("use six hats on moving")
    talk.say("closer to the lake")
    assert "1. closer to the lake" in talk.say("stop")


@pytest.mark.parametrize("wish", ["summarise our ideas", "Can you summarize our ideas so far?", "what do we have?"])
def test_the_ideas_so_far_are_listed_and_the_session_goes_on(wish):
    talk = Conversation()
    talk.say("use scamper on your lobby")
    assert "No ideas are written down yet" in talk.say(wish)
    talk.say("what if we used hammocks?\nWhat about a pond")
    listed = talk.say(wish)
    assert "two ideas" in listed or "2 ideas" in listed
    assert "1. what if we used hammocks?\n2. What about a pond" in listed
    assert "3 ideas" in talk.say("a swing")
    assert "3. a swing" in talk.say("done")
    assert running(talk.lines) is None
    assert "3. a swing" in talk.say(wish)


def test_without_a_session_there_are_no_ideas_to_list():
    assert "no ideas in this conversation yet" in Conversation().say("summarise our ideas")


def test_an_idea_that_speaks_of_summaries_or_lists_is_an_idea():
    talk = Conversation()
    talk.say("use scamper on meetings")
    assert "one idea" in talk.say("summarise each meeting in one line")
    assert "2 ideas" in talk.say("list the decisions on the wall")


def test_the_same_conversation_gives_the_same_words():
    first, second = Conversation(), Conversation()
    for message in ("let's brainstorm gifts", "a book", "next", "stop"):
        assert first.say(message, SPARKS) == second.say(message, SPARKS)


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ("Hello!", "Hello"),
        ("good morning", "Hello"),
        ("thx", "welcome"),
        ("danke", "welcome"),
        ("how are you?", "order"),
        ("are you a bot?", "I am a program"),
        ("bye", "Goodbye"),
        ("tell me a joke", "pun"),
        ("what's up?", "order"),
        ("do you like cats?", "no likes or opinions"),
        ("tell me a cool fact about bees", "rather not invent"),
        ("mm", "listening"),
    ],
)
def test_small_talk(message, part):
    assert part in small_talk(message, History())


@pytest.mark.parametrize(
    "message",
    [
        "I have no idea, you tell me",
        "no idea",
        "keine Ahnung",
        "you tell me",
        "give me ten ideas",
        "help me",
        "Any ideas?",
    ],
)
def test_who_has_no_idea_gets_something_to_argue_with_and_has_given_none(message):
    talk = Conversation()
    asked = talk.say("let's brainstorm cheaper packaging")
    reply = talk.say(message)
    assert "starting points" in reply or "push against" in reply
    assert reply.count("\n- What") == 3
    assert asked.split("\n\n")[1] not in reply  # the technique waits
    assert running(talk.lines).ideas == ()
    talk.say("reuse the suppliers' boxes")
    assert running(talk.lines).ideas == ("reuse the suppliers' boxes",)


def test_who_asks_for_ideas_outright_gets_starting_points_beside_the_question():
    reply = Conversation().say("give me five ideas for a team offsite")
    assert "a team offsite" in reply
    assert reply.count("\n- What") == 3


@pytest.mark.parametrize(
    "message", ["are you stupid?", "that's wrong", "this is stupid", "It's a complete waste of time!"]
)
def test_what_scolds_is_no_idea(message):
    talk = Conversation()
    talk.say("let's brainstorm cheaper packaging")
    talk.lines += [Line("user", message), Line("assistant", "I am sorry.")]
    assert running(talk.lines).ideas == ()


@pytest.mark.parametrize(
    "idea", ["give every visitor a map", "help the new ones with a buddy", "no idea box: one idea a day"]
)
def test_an_idea_that_begins_like_a_call_for_help_is_an_idea(idea):
    talk = Conversation()
    talk.say("let's brainstorm welcoming new colleagues")
    talk.say(idea)
    assert running(talk.lines).ideas == (idea,)


class German(Conversation):
    def say(self, message: str, passages=()) -> str:
        history = History("", tuple(self.lines))
        reply = facilitate(Prompt("", history, message, Intent.IDEATE, Move.IDEATE, passages, "de"))
        self.lines += [Line("user", message), Line("assistant", reply)]
        return reply


def test_it_thinks_in_german_from_the_first_question_to_the_list() -> None:
    talk = German()
    assert "*SCAMPER*" in talk.say("lass uns mit Scamper über unsere neue Lampe nachdenken")
    assert "unsere neue Lampe" in talk.lines[-1].text
    assert "**Ersetzen.**" in talk.lines[-1].text
    assert "eine Idee" in talk.say("ein Schirm aus Pilzen")
    assert "**Verbinden.** Womit zusammen wäre beides besser: unsere neue Lampe?" in talk.say("weiter")
    assert "Drei Ausgangspunkte" in talk.say("keine Ahnung, sag du")
    assert "1. ein Schirm aus Pilzen" in talk.say("was haben wir bisher?")
    assert "1. ein Schirm aus Pilzen" in talk.say("fertig")
    assert running(talk.lines) is None


def test_ending_a_session_is_told_from_an_idea_about_ends() -> None:
    talk = Conversation()
    talk.say("use scamper on meetings")
    assert "one idea" in talk.say("end every meeting five minutes early")
    assert "2 ideas" in talk.say("stop at noon on Fridays")
    assert "What you have so far" in talk.say("ok, that's enough for today")


@pytest.mark.parametrize("topic", ["Ideen für ein Sommerfest", "wir brauchen Ideen für ein Sommerfest bitte"])
def test_a_german_topic_is_found(topic: str) -> None:
    assert topic_of(topic) == "ein Sommerfest"


def test_yours_are_given_after_the_last_question_too():
    talk = Conversation()
    talk.say("brainstorm names for a café")
    talk.say("The Daily Grind")
    assert "Which one would you try first?" in talk.say("done")
    assert just_over(talk.lines)
    assert "- " in talk.say("give me some of yours")
    assert "- " in talk.say("more ideas")
    assert 'Let us look at "The Daily Grind". ' in talk.say("I'd take number 1")
    talk.lines += [Line("user", "How do I print?"), Line("assistant", "Press Print. [1]")]
    assert not just_over(talk.lines), "who asks for an example now wants none for the café"


@pytest.mark.parametrize(
    ("topic", "part"),
    [
        ("names for the new canteen", "called"),
        ("a farewell party for Ann", "people still show"),
        ("welcoming new colleagues", "first week"),
        ("fewer meetings", "two weeks"),
        ("our packaging", "the minute before"),
    ],
)
def test_starting_points_suit_the_kind_of_topic_and_one_comes_from_afar(topic: str, part: str) -> None:
    talk = Conversation()
    talk.say(f"let's brainstorm {topic}")
    reply = talk.say("no idea")
    assert part in reply
    assert reply.count("\n- What") == 3
    more = talk.say("more ideas please")
    assert not set(reply.split("\n")[2:5]) & set(more.split("\n")[2:5])


def test_a_row_of_a_table_sparks_nothing():
    talk = Conversation()
    row = replace(SPARKS[0], text="Product: Oak Workbench; Price: 349.00 EUR; Unit: piece; Warranty: 5 years")
    talk.say("use scamper on our café", (row,))
    assert "Oak Workbench" not in talk.say("a\nb", (row,))
