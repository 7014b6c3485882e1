"""Techniques are chosen by name when a person names one, and vary within a conversation."""

import pytest

from agent.ideation.techniques import choose, named, techniques, used
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
