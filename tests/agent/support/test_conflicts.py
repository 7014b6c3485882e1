"""Documents that say different things of the same thing are both shown; nothing else is called a contradiction."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agent.settled import differing
from agent.support.conflicts import between, conflict
from retrieval.passage import Passage

QUESTION = "How many days of paid leave do we get?"
OLD = Passage(1, "Every employee has 28 days of paid leave a year.", "handbook-2023.md", "Leave", None, 1, "a/e", 0.9)
NEW = replace(OLD, id=2, text="All employees get 30 days of paid leave a year.", source="handbook-2024.md")


def test_both_are_quoted_the_newer_first() -> None:
    said = differing(QUESTION, [OLD, NEW], "en", dict)
    assert said.split("\n") == [
        "Two documents differ on this, the newer one first:",
        "- **handbook-2024.md** (2024-01-01): All employees get 30 days of paid leave a year. [2]",
        "- **handbook-2023.md** (2023-01-01): Every employee has 28 days of paid leave a year. [1]",
    ]
    german = differing(QUESTION, [OLD, NEW], "de", dict)
    assert german.startswith("Zwei Dokumente widersprechen sich")


def test_without_a_date_in_the_name_the_file_s_own_counts_and_the_guide_is_left_out() -> None:
    one, other = replace(OLD, source="a.md"), replace(NEW, source="b.md")
    dates = {"a.md": datetime(2025, 5, 2, tzinfo=UTC), "b.md": datetime(2025, 5, 1, tzinfo=UTC)}
    assert "newer" in differing(QUESTION, [one, other], "", lambda: dates).split("\n")[0]
    assert "**a.md** (2025-05-02)" in differing(QUESTION, [other, one], "", lambda: dates).split("\n")[1]
    same = dict.fromkeys(dates, datetime(2025, 5, 2, tzinfo=UTC))
    assert "newer" not in differing(QUESTION, [one, other], "", lambda: same)
    guide = replace(NEW, id=3, source="guide/leave.md", text="Every employee has 5 days of paid leave a year.")
    said = differing(QUESTION, [guide, one, other], "", dict)
    assert "[2]" in said
    assert "[3]" in said
    assert "guide/" not in said


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The deadline for expense reports is 5 May.", "The deadline for expense reports is 12 May."),
        ("Passwords must have at least 8 characters.", "Passwords must have at least 12 characters."),
        ("Die Kantine schließt um 14:00 Uhr.", "Die Kantine schließt um 15:00 Uhr."),
    ],
)
def test_contradictions(one: str, other: str) -> None:
    assert between(replace(OLD, text=one), replace(NEW, text=other)) == [(one, other)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Full-time staff have 28 days of leave.", "Part-time staff have 14 days of leave."),
        ("In Berlin we have 28 days of leave.", "In Paris we have 25 days of leave."),
        ("In 2023 we had 28 days of leave.", "In 2024 we had 30 days of leave."),
        ("Passwords must have at least 8 characters.", "Passwords have at most 64 characters."),
        ("Room 4 has 12 seats.", "Room 5 has 12 seats."),
        ("Every employee has 28 days of leave.", "Every employee has 4 weeks of leave."),
        ("Every employee has 28 days of leave.", "Each employee has twenty-eight days of leave."),
        ("The canteen opens at 11:00.", "The library opens at 9:00."),
        ("Travel costs up to 500 euros need no approval.", "Travel costs above 500 euros need approval within 3 days."),
        ("Interns have 20 days of leave.", "Managers have 32 days of leave."),
    ],
)
def test_what_may_be_about_two_things_is_no_contradiction(one: str, other: str) -> None:
    assert between(replace(OLD, text=one), replace(NEW, text=other)) == []


def test_only_what_was_asked_is_compared_and_only_between_documents() -> None:
    assert conflict("When does the canteen open?", [OLD, NEW]) is None
    assert conflict(QUESTION, [OLD, replace(NEW, source=OLD.source)]) is None
    assert conflict(QUESTION, [OLD, replace(NEW, score=0.2)]) is None
    assert conflict(QUESTION, [replace(OLD, heading="Leave > Interns"), replace(NEW, heading="Leave > Board")]) is None
