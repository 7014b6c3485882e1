"""Of the rows of one table, that which has the question's words comes first; nothing else moves."""

from time import process_time

import pytest

from agent.rows import rows_named, spoken_rows, told_apart
from retrieval.loading.table import sections_of
from retrieval.passage import Passage

PLANS = [
    ["Plan", "Price per month", "Users included", "Support"],
    ["Seedling", "19 euros", "3", "e-mail"],
    ["Grove", "79 euros", "15", "e-mail and chat"],
    ["Forest", "249 euros", "60", "phone around the clock"],
]
TARIFE = [
    ["Tarif", "Preis", "Hilfe"],
    ["Klein", "19 Euro", "per E-Mail"],
    ["Gross", "249 Euro", "per Telefon und Chat"],
]


def rows(table: list[list[str]], source: str = "plans.csv") -> list[Passage]:
    """As the search finds them, the likeliest first: as they stand in the file, and wrongly so."""
    sections = list(sections_of(list(enumerate(table, 1))))
    return [
        Passage(
            number, section.text, source, "", None, section.line, "t/everyone", 0.8 - number / 10, 0.5 - number / 20
        )
        for number, section in enumerate(sections)
    ]


@pytest.mark.parametrize(
    ("table", "question", "first"),
    [
        (PLANS, "which plan includes phone support?", "Forest"),
        (PLANS, "Is there a plan with a chat?", "Grove"),
        (PLANS, "how much is the Grove plan?", "Grove"),
        (PLANS, "which plan is for 60 users?", "Forest"),
        (PLANS, "which plans are there?", "Seedling"),  # nothing tells them apart: as found
        (TARIFE, "Welcher Tarif hat Hilfe per Telefon?", "Gross"),
    ],
)
def test_the_row_that_has_what_was_asked_comes_first(table: list[list[str]], question: str, first: str) -> None:
    found = rows(table)
    told = told_apart(question, found)
    assert f": {first};" in told[0].text
    assert [each.score for each in told] == [each.score for each in found]
    assert {each.id for each in told} == {each.id for each in found}
    assert all(each.text == next(other for other in found if other.id == each.id).text for each in told)


def test_what_is_no_row_of_the_same_table_keeps_its_place() -> None:
    first, second, third = rows(PLANS)
    prose = Passage(9, "We answer the phone: always; at once.", "help.md", "", None, 1, "t/everyone", 0.7, 0.4)
    other = rows(TARIFE, "tarife.csv")[0]
    told = told_apart("which plan includes phone support?", [first, prose, second, other, third])
    assert [each.id for each in told] == [third.id, prose.id, first.id, other.id, second.id]
    assert told_apart("which plan includes phone support?", []) == []


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("how much is the Grove?", "Plan Grove – Price per month: 79 euros; Users included: 15; Support: chat [1]"),
        ("which support has Grove?", "Plan Grove – Support: chat; Price per month: 79 euros; Users included: 15 [1]"),
        ("what is Grove?", "Plan Grove – Price per month: 79 euros; Users included: 15; Support: chat [1]"),
    ],
)
def test_a_row_is_said_with_what_was_asked_for_first(question: str, said: str) -> None:
    row = "Plan: Grove; Price per month: 79 euros; Users included: 15; Support: chat [1]"
    before = "I am not sure this answers it; the nearest I found is:\n\n"
    assert spoken_rows(before + row, question) == before + said


def test_what_is_no_row_is_said_as_it_stands() -> None:
    for text in (
        "We open at nine: at once; always. [1]",
        "Note: bring a coat. [2]",
        "Plan | Price [1]",
        "Mon: 9 to 5; Tue: closed. [1]",
        "",
    ):
        assert spoken_rows(text, "when do you open?") == text


def test_of_two_names_that_begin_alike_the_longer_one_is_meant_where_it_is_said() -> None:
    names = ["K2", "K2 Pro", "Mini"]
    assert rows_named("how much is the K2 Pro?", names) == ["K2 Pro"]
    assert rows_named("how much is the k2?", names) == ["K2"]
    assert rows_named("is the K2 Pro heavier than the K2?", names) == ["K2 Pro", "K2"]
    assert rows_named("which is the minimum?", names) == []
    assert rows_named("can I ask it about sales?", ["IT", "HR"]) == []
    assert rows_named("who leads IT?", ["IT", "HR"]) == ["IT"]


@pytest.mark.parametrize("run", ["[1]", "[1] ", " [1]", "a: b; ", " "])
def test_a_long_line_is_said_at_once(run: str) -> None:
    began = process_time()
    spoken_rows(run * (30_000 // len(run)) + "x", "how much is it?")
    assert process_time() - began < 1
