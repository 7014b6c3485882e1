"""A row of a table answers what its cells, its columns or its table name, and nothing else about whom it is of."""

import pytest

from agent.generation.asked_row import lacks_asked
from retrieval.passage import Passage

ROW = "Name: Ada Roth; Role: Guide; E-mail: ada@camp.example; Working days: Monday to Wednesday; Desk: 3"
TENT = "Tent: Fox; Sleeps: 2; Weight: 4 kg; Price: 12 EUR"


def lacks(question: str, text: str = ROW, heading: str = "") -> bool:
    return lacks_asked(question, Passage(1, text, "camp.csv", heading, None, 2, "t/everyone", 0.5, 0.5), text)


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("what is Ada Roth's e-mail address?", ROW),
        ("what is the email of Ada Roth?", ROW),
        ("who is Ada Roth?", ROW),
        ("which desk has Ada Roth?", ROW),
        ("when does Ada Roth work?", ROW),
        ("does Ada Roth work on Tuesdays?", ROW),
        ("how much is the Fox?", TENT),
        ("how heavy is the Fox tent?", TENT),
        ("wie schwer ist Fox?", TENT),
        ("was kostet Fox?", TENT),
    ],
)
def test_what_a_row_has_may_be_answered_by_it(question: str, text: str) -> None:
    assert not lacks(question, text)


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("what is the birthday of Ada Roth?", ROW),
        ("what is Ada Roth's address?", ROW),
        ("how old is Ada Roth?", ROW),
        ("does Ada Roth work on Fridays?", ROW),
        ("who trained Ada Roth?", ROW),
        ("how tall is the Fox?", TENT),
        ("what colour is the Fox?", TENT),
        ("how many poles has the Fox?", TENT),
        ("welche Farbe hat Fox?", TENT),
    ],
)
def test_what_a_row_lacks_is_not(question: str, text: str) -> None:
    assert lacks(question, text)


def test_prose_may_say_it_in_other_words() -> None:
    assert not lacks("who trained Ada Roth?", "Ada Roth learned her trade from Ben; since then she guides.")
    long = "Topic: Parking; Rule: Guests may leave their cars behind the barn, if they tell the desk before noon."
    assert not lacks("where can visitors park their vehicle?", long)
    assert lacks("where can visitors park?", "Topic: Parking; Rule: behind the barn")
    assert not lacks("where can visitors park?", "Topic: Parking; Rule: behind the barn", "Visitors")
