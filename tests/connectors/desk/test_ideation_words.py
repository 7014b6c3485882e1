"""What is written behind `/ideate`, and which ideas a message holds."""

import pytest

from connectors.desk.ideation_wishes import action_of
from connectors.desk.ideation_words import Wish, ideas_in, ordered, wish_of


@pytest.mark.parametrize(
    ("words", "wish"),
    [
        ("", Wish("board")),
        ("Next", Wish("next", text="next")),
        ("vote", Wish("phase", text="vote")),
        ("vote 1 #2, 5", Wish("vote", ("1", "2", "5"))),
        ("merge 3 and 7: one buddy for all", Wish("merge", ("3", "7"), "one buddy for all")),
        ("edit 3 two words, and 5 more", Wish("edit", ("3",), "two words, and 5 more")),
        ("decide 3 7 because it is cheap", Wish("decide", ("3", "7"), "because it is cheap")),
        ("deeper 3", Wish("deeper", ("3",))),
        ("cell 3 free, online", Wish("cell", ("3",), "free, online")),
        ("more 5", Wish("more", ("5",))),
        ("join K7QX2A", Wish("join", text="K7QX2A")),
        ("export csv", Wish("export", text="csv")),
        ("nxt", Wish("near", text="next")),
        ("recomend", Wish("near", text="recommend")),
        ("use six hats", Wish("technique", text="six hats")),
        ("take 1", Wish("decide", ("1",))),
        ("Take 1 and 3 because they are cheap", Wish("decide", ("1", "3"), "because they are cheap")),
        ("rename 2 to A map for all 5 floors", Wish("edit", ("2",), "A map for all 5 floors")),
        ("change 2: A map", Wish("edit", ("2",), "A map")),
        ("rename 2 A map", Wish("edit", ("2",), "A map")),
        ("rename 2 as A map", Wish("edit", ("2",), "A map")),
        ("rephrase 2 to: A map", Wish("edit", ("2",), "A map")),
        ("remove 4", Wish("withdraw", ("4",))),
        ("combine 3 7", Wish("merge", ("3", "7"))),
        ("Stop", Wish("close", text="close")),
        ("Ende", Wish("close", text="close")),
        ("idea a map\nof who knows what", Wish("idea", text="a map\nof who knows what")),
        ("new blind dots 5 how might we", Wish("new", text="how might we", options={"blind": "yes", "dots": "5"})),
    ],
)
def test_a_wish_is_understood_as_people_write_it(words: str, wish: Wish) -> None:
    assert wish_of(words, is_running=True) == wish


@pytest.mark.parametrize(
    "topic",
    [
        "map our customers' journey",
        "close the gap between teams",
        "next year's offsite",
        "board games for kids",
        "vote for our new name",
        "merge two teams",
        "export our cheese",
        "nxt year",
        "lighthouses",
        "take 2 minutes to breathe",
        "remove 3 steps from checkout",
        "change 2 things about the office",
        "rephrase 2 in simpler words",
        "stop the noise",
    ],
)
def test_a_topic_that_begins_like_a_wish_is_a_topic(topic: str) -> None:
    assert wish_of(topic, is_running=True) is None


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("merge 1 and 3", Wish("merge", ("1", "3"))),
        ("Please combine ideas 2, 4 and #7 together.", Wish("merge", ("2", "4", "7"))),
        ("verbinde 1 und 3", Wish("merge", ("1", "3"))),
        ("vote for 2 and 5", Wish("vote", ("2", "5"))),
        ("drop 2", Wish("withdraw", ("2",))),
        ("take 1", Wish("decide", ("1",))),
        ("Let's take 1 and 3!", Wish("decide", ("1", "3"))),
        ("wir nehmen Nummer 2", Wish("decide", ("2",))),
        ("rename 2 to a map of the house", Wish("edit", ("2",), "a map of the house")),
        ("Please change idea 2 to: A map", Wish("edit", ("2",), "A map")),
        ("nenne Idee 2 um in Ein Plan", Wish("edit", ("2",), "Ein Plan")),
        ("rename 2 as a map of the house", Wish("edit", ("2",), "a map of the house")),
        ("benenne 2 in Ein Plan um", Wish("edit", ("2",), "Ein Plan")),
        ("nenne 2 in Ein Plan um", Wish("edit", ("2",), "Ein Plan")),
        ("rename 2 to “A map”", Wish("edit", ("2",), "A map")),
        ('rename 2 to a map called "Home"', Wish("edit", ("2",), 'a map called "Home"')),
        ("rephrase 2 in simpler words", None),
        ("reword 3 as a question", None),
        ("nenne 2 in München", None),
        ("change 2 to 4 people a team", None),
        ("rename 2 rooms to tea kitchens", None),
        ("take 2 days off", None),
        ("merge 2", None),
        ("drop 20 and 30", None),
        ("merge 2 teams", None),
        ("vote 1 day a week on lunch", None),
        ("open 24", None),
        ("vote " + "1" * 5000 + "x", None),
    ],
)
def test_an_order_in_plain_words_is_no_idea(text: str, wish: Wish | None) -> None:
    assert ordered(text) == wish


@pytest.mark.parametrize(
    ("words", "meant"),
    [("nxt", "next"), ("exprot csv", "export csv"), ("mrege 1 3", "merge 1 3"), ("vot 2", "vote 2")],
)
def test_a_mistyped_order_is_answered_with_the_nearest(words: str, meant: str) -> None:
    assert wish_of(words, is_running=True) == Wish("near", text=meant)


def test_a_mistyped_order_of_one_word_is_known_without_a_session_too() -> None:
    assert wish_of("nxt", is_running=False) == Wish("near", text="next")
    assert wish_of("mrege 1 3", is_running=False) is None
    assert wish_of("cheese", is_running=False) is None


def test_where_no_session_runs_ideas_and_actions_are_topics() -> None:
    assert wish_of("idea management for a small team", is_running=False) is None
    assert wish_of("action films for Friday", is_running=False) is None
    assert wish_of("", is_running=False) == Wish("help")


@pytest.mark.parametrize(
    ("text", "ideas"),
    [
        ("A buddy for everybody", ("A buddy for everybody",)),
        ("Bean There", ("Bean There",)),
        ("- a buddy\n- a map\n3. lunch together", ("a buddy", "a map", "lunch together")),
        ("My ideas:\n* a buddy\n* a map", ("a buddy", "a map")),
        ("two lines\nof one idea", ("two lines of one idea",)),
        ("what if newcomers wrote the guide?", ("what if newcomers wrote the guide?",)),
        ("when does it begin?", ()),
        ("ok", ()),
        ("haha great", ()),
        ("+1", ()),
        ("haha yes that would be fun", ()),
        ("it's a good one!", ()),
        ("das wäre toll", ()),
        ("it should open at nine so that parents can come", ("it should open at nine so that parents can come",)),
        ("@ann can you come", ()),
        ("...", ()),
    ],
)
def test_ideas_are_told_from_talk(text: str, ideas: tuple[str, ...]) -> None:
    assert ideas_in(text) == ideas


def test_where_questions_are_wanted_questions_are_taken() -> None:
    assert ideas_in("who would come?", questions=True) == ("who would come?",)


@pytest.mark.parametrize(
    ("said", "action"),
    [
        ("call the printer @ann by Friday", ("call the printer", "@ann", "Friday")),
        ("@bob book a room", ("book a room", "@bob", "")),
        ("Druckerei anrufen bis 3. Mai", ("Druckerei anrufen", "", "3. Mai")),
        ("write it down", ("write it down", "", "")),
    ],
)
def test_an_action_says_what_who_and_when(said: str, action: tuple[str, str, str]) -> None:
    assert action_of(said) == action


@pytest.mark.parametrize(
    "text",
    [
        "this is stupid", "I have no idea, you tell me", "give me ten ideas", "next", "weiter", "fertig", "that's all",
        "ich brauche ideen für einen namen für unsere neue lampe", "lass mich mit einem menschen reden",
        "can I talk to a human?", "das ist doch blöd", "let's brainstorm names for the lamp",
    ],
)  # fmt: skip
def test_talk_about_the_thinking_and_wishes_to_us_are_no_ideas(text: str) -> None:
    assert ideas_in(text) == ()


@pytest.mark.parametrize(
    "text",
    ["end meetings at noon", "give students a discount", "more plants", "human-sized robots",
     "stop sending mails at night", "a person at the door who says hello", "give everybody ideas on a card",
     "mehr Pflanzen im Flur"],
)  # fmt: skip
def test_ideas_that_sound_like_it_are_ideas(text: str) -> None:
    assert ideas_in(text) == (text,)
