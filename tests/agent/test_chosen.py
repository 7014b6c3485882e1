"""A condition is held against all rows of a table, and only where every word of the question is the table's."""

from collections.abc import Callable
from functools import partial

import pytest

from agent.generation.asked_on import AskedOn
from agent.generation.cells import told
from agent.generation.chosen import chosen, of_days
from agent.generation.phrases import phrase
from retrieval.passage import Passage
from tests.agent.test_superlatives import rows

TENTS = [
    ["Tent", "Sleeps", "Awning", "Floor", "Fee"],
    ["Fox", "2", "no", "canvas", "free"],
    ["Elk", "4", "yes", "rubber", "12 EUR"],
    ["Hare", "4", "yes", "canvas", "9 EUR"],
    ["Owl", "6", "no", "rubber and canvas", "15 EUR"],
]
STAFF = [
    ["Name", "Role", "Working days", "Desk"],
    ["Ada Roth", "Guide", "Monday to Wednesday", "3"],
    ["Ben Oduya", "Guide", "Friday, Saturday", "4"],
    ["Cleo Varga", "Cook", "daily", "7"],
]
KURSE = [["Kurs", "Tag", "Anfänger"], ["Knoten", "Montag", "ja"], ["Karte", "Freitag", "nein"]]
HOURS = [["Day", "Morning", "Evening"], ["Monday", "8 to 12", "closed"], ["Tuesday", "9 to 12", "17 to 20"]]
TABLES = {"tents.csv": TENTS, "staff.csv": STAFF, "kurse.csv": KURSE, "hours.csv": HOURS}
SHELF = {source: rows(table, source) for source, table in TABLES.items()}
Way = Callable[..., AskedOn | None]
SAY = partial(phrase, "answer", language="en")


def found_in(source: str) -> list[Passage]:
    return SHELF[source][:1]


def names(question: str, source: str, way: Way = chosen) -> list[str]:
    on = way(question, found_in(source), SHELF.__getitem__, SAY)
    return [] if on is None else [line.split("**")[1] for line in on.said.split("\n")]


@pytest.mark.parametrize(
    ("question", "source", "rows"),
    [
        ("which tents sleep four?", "tents.csv", ["Elk", "Hare"]),
        ("which tent has an awning?", "tents.csv", ["Elk", "Hare"]),
        ("which tents have no awning?", "tents.csv", ["Fox", "Owl"]),
        ("which tents come without an awning?", "tents.csv", ["Fox", "Owl"]),
        ("which tents have a canvas floor?", "tents.csv", ["Fox", "Hare", "Owl"]),
        ("which tents have a canvas floor and an awning?", "tents.csv", ["Hare"]),
        ("which tents are free?", "tents.csv", ["Fox"]),
        ("who has no working days on Saturdays?", "staff.csv", ["Ada Roth"]),  # of a column of two words
        ("who is the cook?", "staff.csv", ["Cleo Varga"]),
        ("who works on Tuesdays?", "staff.csv", ["Ada Roth", "Cleo Varga"]),
        ("who works on Fridays?", "staff.csv", ["Ben Oduya", "Cleo Varga"]),
        ("who has desk 4?", "staff.csv", ["Ben Oduya"]),
        ("welcher Kurs ist am Montag?", "kurse.csv", ["Knoten"]),
        ("welche Kurse sind nicht für Anfänger?", "kurse.csv", ["Karte"]),
    ],
)
def test_all_rows_that_meet_a_condition_are_said_and_no_other(question: str, source: str, rows: list[str]) -> None:
    assert names(question, source) == rows


@pytest.mark.parametrize(
    "question",
    [
        "which tents have a wooden floor?",  # no row has it
        "which tents have a stove?",
        "which tents sleep more than four?",
        "which tents are under 10 EUR?",
        "which tents had an awning last year?",
        "which tent is the cheapest?",
        "which floor do the tents have?",  # asks for cells
        "which boats have an awning?",  # another table's
        "who sells the tents?",
        "why has Elk an awning?",
    ],
)
def test_what_no_cell_tells_is_left_to_the_reader(question: str) -> None:
    assert names(question, "tents.csv") == []


def test_a_condition_that_no_row_meets_lists_no_other_rows() -> None:
    assert told("which tent has a large awning?", found_in("tents.csv"), SHELF.__getitem__, SAY) is None


def test_rows_are_counted() -> None:
    def said(question: str, source: str) -> str:
        on = chosen(question, found_in(source), SHELF.__getitem__, SAY)
        return "" if on is None else on.said

    assert said("how many tents are there?", "tents.csv").startswith("The table lists 4: Fox [1], Elk [2]")
    assert said("how many tents do we have with an awning?", "tents.csv").startswith("The table lists 2: Elk [1]")
    assert not said("how many floors are there?", "tents.csv")
    assert not said("how many tents were there?", "tents.csv")


def test_the_row_of_a_day_is_that_day_alone() -> None:
    assert names("when are we open on Mondays?", "hours.csv", of_days) == ["Monday"]
    assert names("when do we open on Sundays?", "hours.csv", of_days) == []
    assert names("when does the pool open on Mondays?", "hours.csv", of_days) == []  # of a pool it says nothing


def test_two_tables_that_would_tell_tell_nothing() -> None:
    other = [Passage(99, "Tent: Yak; Awning: yes; Sleeps: 3", "old.csv", "", None, 2, "t/everyone", 0.5, 0.5)]
    shelf = SHELF | {"old.csv": other}
    assert chosen("which tent has an awning?", [*found_in("tents.csv"), *other], shelf.__getitem__, SAY) is None
