"""Cells are said by the names of their row and column, and only where every word of the question is the table's."""

from functools import partial

import pytest

from agent.generation.cells import told
from agent.generation.phrases import phrase
from retrieval.passage import Passage
from tests.agent.test_superlatives import rows

BOATS = [
    ["Boat", "Price per hour", "Seats", "Licence", "Length"],
    ["Pike", "18 EUR", "2", "none", "4 m"],
    ["Perch", "25 EUR", "4", "small craft", "5 m"],
    ["Trout", "40 EUR", "8", "small craft and radio", "7 m"],
]
TARIFE = [
    ["Tarif", "Preis", "Nutzer", "Speicher"],
    ["Start", "9 Euro", "3", "10 GB"],
    ["Firma", "89 Euro", "50", "1 TB"],
]
SHELF = {"boats.csv": rows(BOATS, "boats.csv"), "tarife.csv": rows(TARIFE, "tarife.csv")}
TEXT = "Fee per season; Junior: €40; Adult: €90\nGuests; Junior: 0; Adult: 2\nWorkshop; Junior: no; Adult: yes"
SHELF["members.md"] = [Passage(9, TEXT, "members.md", "Memberships", None, 3, "t/everyone", 0.5, 0.5)]


def said_of(question: str, source: str) -> str:
    found = told(question, SHELF[source][:1], SHELF.__getitem__, partial(phrase, "answer", language="en"))
    return "" if found is None else found.said


@pytest.mark.parametrize(
    ("question", "source", "said"),
    [
        ("how many seats does Perch have?", "boats.csv", ["**Perch** – Seats: 4 [1]"]),
        ("does Perch need a radio licence?", "boats.csv", ["**Perch** – Licence: small craft [1]"]),
        ("does the Perch include a radio licence?", "boats.csv", ["**Perch** – Licence: small craft [1]"]),
        (
            "what do Pike and Trout cost?",
            "boats.csv",
            ["**Pike** – Price per hour: 18 EUR [1]", "**Trout** – Price per hour: 40 EUR [2]"],
        ),
        ("wie viele Nutzer umfasst Firma?", "tarife.csv", ["**Firma** – Nutzer: 50 [1]"]),
        ("was kosten die Tarife?", "tarife.csv", ["**Start** – Preis: 9 Euro [1]", "**Firma** – Preis: 89 Euro [2]"]),
        ("how many guests does Adult include?", "members.md", ["**Adult** – Guests: 2 [1]"]),
        ("what does Junior cost?", "members.md", ["**Junior** – Fee per season: €40 [1]"]),
        ("does Junior include the workshop?", "members.md", ["**Junior** – Workshop: no [1]"]),
        (
            "what do the memberships cost?",
            "members.md",
            ["**Junior** – Fee per season: €40 [1]", "**Adult** – Fee per season: €90 [1]"],
        ),
    ],
)
def test_the_cells_that_are_named_are_said(question: str, source: str, said: list[str]) -> None:
    assert said_of(question, source).split("\n") == said


def test_of_all_rows_none_is_left_out_and_another_while_is_no_sure_answer() -> None:
    assert said_of("what do the boats cost?", "boats.csv").count("Price per hour") == 3
    yearly = said_of("what do the boats cost per year?", "boats.csv")
    assert yearly.startswith(phrase("answer", "unsure"))
    assert yearly.count("Price per hour") == 3


@pytest.mark.parametrize(
    "question",
    [
        "how many oars does Perch have?",  # no column of it
        "does Perch include insurance?",
        "what does Perch cost for members?",  # a word that the table does not have
        "what did the boats cost last year?",
        "which boats do not need a licence?",
        "which boat comes with a radio licence?",  # asks for the row
        "what do they cost?",  # of what, nothing tells
        "what does Shark cost?",
        "what does Perch cost and how many seats has it?",  # two columns
        "what is the cheapest boat?",
        "why does Perch cost 25 EUR?",
        "tell the boats apart",
    ],
)
def test_what_is_more_than_its_cells_is_left_to_the_reader(question: str) -> None:
    assert not said_of(question, "boats.csv")


def test_a_question_that_was_answered_once_goes_before_a_table() -> None:
    faq = Passage(8, "They cost 10 EUR for crews.", "faq.csv", "What do boats cost?", None, 1, "t/everyone", 0.9, 0.9)
    found = [faq, *SHELF["boats.csv"]]
    assert told("what do the boats cost?", found, SHELF.__getitem__, partial(phrase, "answer")) is None
