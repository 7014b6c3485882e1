"""Techniques are chosen by name when a person names one, and vary within a conversation."""

import pytest

from agent.ideation.techniques import about, choose, named, spoken, techniques, used
from agent.message import Line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("let's use SCAMPER on our onboarding", "scamper"),
        ("can we do six thinking hats?", "six_hats"),
        ("a round of 6-3-5 please", "brainwriting"),
        ("crazy 8s!", "crazy_eights"),
        ("brainstorm names for a coffee shop", None),
        ("that is a great chatbot", None),  # "hat" inside a word names nothing
    ],
)
def test_a_named_technique_is_taken(text: str, expected: str | None) -> None:
    found = named(text)
    assert (found.id if found else None) == expected


def test_a_conversation_meets_every_technique_before_it_meets_one_again() -> None:
    lines: list[Line] = []
    for _ in techniques():
        chosen = choose("names for a coffee shop", lines)
        assert chosen not in used(lines)
        lines.append(Line("assistant", f"Let us take *{chosen.title}*."))
    assert choose("names for a coffee shop", lines) in techniques()


def test_a_topic_meets_a_technique_that_suits_it_first() -> None:
    chosen = choose("names for a coffee shop", [])
    assert "names" in chosen.suits
    assert choose("something nobody has a word for", []) in techniques()


def test_every_round_speaks_of_the_topic_or_of_what_was_just_said() -> None:
    for technique in techniques():
        assert technique.rounds
        for number in range(len(technique.rounds)):
            asked = technique.ask(number, "our onboarding")
            assert "{" not in asked
        assert "our onboarding" in technique.ask(0, "our onboarding").replace("Our", "our")


def test_every_technique_is_said_in_german_with_the_same_questions_and_slots() -> None:
    for english in techniques():
        german = spoken(english, "de-AT")
        assert german != english
        assert english.about
        assert german.about
        assert len(german.rounds) == len(english.rounds)
        assert len(german.stages) == len(english.stages)
        assert len(german.roles) == len(english.roles)
        for own, other in zip(german.stages, english.stages, strict=True):
            slots = [slot for slot in ("{spark}", "{item}", "{cell}", "{role}") if slot in other.ask]
            assert [slot for slot in slots if slot in own.ask] == slots
            assert own.takes is other.takes
            assert bool(own.begins) == bool(other.begins)
    assert spoken(techniques()[0], "fr") == techniques()[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("what is scamper?", "scamper"),
        ("What's 6-3-5?", "brainwriting"),
        ("how does the six hats method work?", "six_hats"),
        ("please explain crazy eights", "crazy_eights"),
        ("Was ist die Kopfstandmethode?", "reverse"),
        ("wie funktioniert Brainwriting denn?", "brainwriting"),
        ("what is the reverse technique?", "reverse"),
        ("what is an analogy?", None),  # a word of every day
        ("what are the dimensions?", None),
        ("what is scamper doing in our handbook on page four?", None),
        ("let's use scamper", None),
    ],
)
def test_a_question_about_a_technique_is_told_from_one_that_uses_its_words(text: str, expected: str | None) -> None:
    found = about(text)
    assert (found.id if found else None) == expected
