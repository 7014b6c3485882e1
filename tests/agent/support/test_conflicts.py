"""Documents that say different things of the same thing are both shown; nothing else is called a contradiction."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine

from agent.settled import Written, differing, written_of
from agent.support.conflicts import between, conflict
from agent.support.dates import stated
from retrieval.ingest import ingest
from retrieval.passage import Passage
from tests.retrieval.knowing import opened
from tests.retrieval.test_ingest import write

QUESTION = "How many days of paid leave do we get?"
OLD = Passage(1, "Every employee has 28 days of paid leave a year.", "handbook-2023.md", "Leave", None, 1, "a/e", 0.9)
NEW = replace(OLD, id=2, text="All employees get 30 days of paid leave a year.", source="handbook-2024.md")


def unknown(_sources: Collection[str]) -> Written:
    return Written({}, {})


def said_of(
    question: str, texts: Mapping[str, str], days: Mapping[str, datetime] | None = None, *, heading: str = ""
) -> list[str]:
    """What is said of documents by name, the first one found best; the lines without their marks."""
    passages = [
        Passage(number, text, source, heading, None, 1, "a/e", 0.9 if number == 1 else 0.05)
        for number, (source, text) in enumerate(texts.items(), 1)
    ]
    said = differing(question, passages, "en", lambda _: Written(days or {}, {}))
    return [line.partition(": ")[2].rpartition(" [")[0] for line in said.split("\n")[1:]]


def test_both_are_quoted_the_newer_first() -> None:
    said = differing(QUESTION, [OLD, NEW], "en", unknown)
    assert said.split("\n") == [
        "Two documents differ on this, the newer one first:",
        "- **handbook-2024.md** (2024-01-01): All employees get 30 days of paid leave a year. [2]",
        "- **handbook-2023.md** (2023-01-01): Every employee has 28 days of paid leave a year. [1]",
    ]
    german = differing(QUESTION, [OLD, NEW], "de", unknown)
    assert german.startswith("Zwei Dokumente widersprechen sich")


def test_an_earlier_version_that_the_search_holds_for_unlikely_is_not_quoted_alone() -> None:
    lists = (
        "- Meals: 28 euros a day.\n- Receipts are handed in within 30 days.",
        "- Receipts are handed in within 14 days.",
    )
    old, new = (
        replace(OLD, id=year, text=text, source=f"travel-{year}.md", heading=f"Travel policy {year}", score=score)
        for text, year, score in zip(lists, (2024, 2026), (0.14, 0.05), strict=True)
    )
    said = differing("how many days do I have to hand in receipts?", [old, new], "en", unknown)
    assert said.startswith("Two documents differ on this, the newer one first:\n- **travel-2026.md**")


def test_without_a_date_in_the_name_the_file_s_own_counts_and_the_guide_is_left_out() -> None:
    one, other = replace(OLD, source="a.md"), replace(NEW, source="b.md")
    dates = {"a.md": datetime(2025, 5, 2, tzinfo=UTC), "b.md": datetime(2025, 5, 1, tzinfo=UTC)}
    assert "newer" in differing(QUESTION, [one, other], "", lambda _: Written(dates, {})).split("\n")[0]
    assert "**a.md** (2025-05-02)" in differing(QUESTION, [other, one], "", lambda _: Written(dates, {})).split("\n")[1]
    same = dict.fromkeys(dates, datetime(2025, 5, 2, tzinfo=UTC))
    assert "newer" not in differing(QUESTION, [one, other], "", lambda _: Written(same, {}))
    guide = replace(NEW, id=3, source="guide/leave.md", text="Every employee has 5 days of paid leave a year.")
    said = differing(QUESTION, [guide, one, other], "", unknown)
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
    assert conflict(QUESTION, [replace(OLD, score=0.3), replace(NEW, score=0.2)]) is None
    assert conflict(QUESTION, [OLD, replace(NEW, score=0.1)])  # where two say the same, the second one's score is low
    assert conflict(QUESTION, [replace(OLD, heading="Leave > Interns"), replace(NEW, heading="Leave > Board")]) is None


OLD_POLICY = (
    "Passwords must have at least 8 characters and are changed every 90 days. The help desk is open from 9:00 to 17:00."
)
TODAY = datetime(2026, 11, 27, tzinfo=UTC)


@pytest.mark.parametrize(
    ("question", "old", "new"),
    [
        ("How often must passwords be changed?", OLD_POLICY, "Passwords are not changed on a schedule."),
        ("How often must passwords be changed?", OLD_POLICY, "Passwords are long. They are not changed."),
        ("How many characters must a password have?", OLD_POLICY, "Passwords must have at least 14 characters."),
        ("When is the help desk open?", OLD_POLICY, "The help desk is staffed Monday to Friday from 8:00 to 18:00."),
        ("When do passwords expire?", "Passwords change every 90 days.", "Passwords expire after 180 days."),
        ("May I bring my dog to the office?", "Dogs are allowed in the office.", "Dogs are not allowed in the office."),
        ("How much may a hotel cost?", "Hotel rooms cost at most 120 euros.", "Hotels are paid up to 150 euros."),
        ("When is the launch?", "The launch is planned for 5 May.", "The launch was moved to 12 June."),
        ("Wann öffnet das Büro?", "Das Büro ist von 8 bis 18 Uhr geöffnet.", "Das Büro öffnet um 7 Uhr."),
    ],
)
def test_an_older_document_is_not_quoted_without_the_newer_one_that_says_otherwise(
    question: str, old: str, new: str
) -> None:
    for first, second in (("old-policy-2021.md", "policy-2025.md"), ("policy-2025.md", "old-policy-2021.md")):
        texts = {"old-policy-2021.md": old, "policy-2025.md": new}
        lines = said_of(question, {first: texts[first], second: texts[second]})
        assert len(lines) == 2
        assert lines[0] == new
        assert lines[1] in old
    undated = {"old-policy-2021.md": old, "policy.md": new}
    assert said_of(question, undated, {"policy.md": TODAY})[0] == new  # the newer one by its file


PERHAPS = "Two documents do not agree on this, or speak of two things:"
LUNCH = ("Guests pay 9 euros for lunch.", "Lunch for guests costs 12 euros.")


@pytest.mark.parametrize(
    ("question", "texts", "is_said"),
    [
        ("What does lunch cost for guests?", LUNCH, True),
        ("May I bring a dog?", ("You may bring a dog on Fridays.", "You may not bring a dog to the office."), True),
        ("How often do passwords change?", ("Passwords change every 90 days.", "Change them after 180 days."), False),
        ("When do interns get leave?", ("Interns get leave after 3 months.", "Leave is given after 6 months."), False),
        ("What does lunch cost?", ("Lunch costs 9 euros.", "Lunch costs 9 euros for guests."), False),
        ("Who cooks the lunch for guests?", LUNCH, False),
    ],
)
def test_undated_documents_that_say_otherwise_in_other_words_are_both_shown_and_perhaps_differ(
    question: str, texts: tuple[str, str], is_said: bool
) -> None:
    named = zip(texts, ("Canteen", "Building"), strict=True)
    one, other = (replace(OLD, text=text, heading=head, source=f"{head}.md") for text, head in named)
    said = differing(question, [one, other], "en", unknown)
    assert said.startswith(PERHAPS) == is_said
    assert all(text in said for text in texts) == is_said


@pytest.mark.parametrize(
    ("question", "old", "new"),
    [
        ("How many days of leave do staff have?", "Full-time staff have 28 days.", "Part-time staff have 14 days."),
        ("How many holidays are there?", "In Berlin there are 9 holidays.", "In Paris there are 11 holidays."),
        ("Who leads the design team?", "Anna leads the design team of 4.", "Ben leads the sales team of 5."),
        ("How often were passwords changed in 2021?", OLD_POLICY, "Passwords are not changed on a schedule."),
        (
            "How long may a password be?",
            "Passwords have at least 8 characters.",
            "Passwords have at most 64 characters.",
        ),
        ("How much leave is there?", "Everybody has 28 days of leave.", "Everybody has 4 weeks of leave."),
        ("How much leave is there?", "Everybody has 28 days of leave.", "All have twenty-eight days of leave."),
    ],
)
def test_an_older_document_about_something_else_says_nothing_against_a_newer_one(
    question: str, old: str, new: str
) -> None:
    assert said_of(question, {"rules-2021.md": old, "rules-2025.md": new}) == []


def test_the_day_that_a_document_gives_itself_at_its_beginning_counts(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    write(folder / "passwords.md", "Version of March 2021\n\n# Passwords\n\nPasswords change every 90 days.\n")
    write(folder / "rules.md", "Last updated: 2 May 2025\n\n# Rules\n\nPasswords expire after 180 days.\n")
    with opened(engine, tmp_path / "index") as base:
        ingest([folder], base, tenant="acme")
        found = base.search("When do passwords expire?", frozenset({"acme/everyone"}), 5)
        said = differing(
            "When do passwords expire?",
            [replace(each, score=0.9) for each in found],
            "en",
            partial(written_of, base.shelf, "acme"),
        )
    assert [line.partition("**: ")[0].partition(": ")[0] for line in said.split("\n")[1:]] == [
        "- **docs/rules.md** (2025-05-02)",
        "- **docs/passwords.md** (2021-03-01)",
    ]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Stand: 01.03.2021", "2021-03-01"),
        ("Gültig ab 1. März 2025", "2025-03-01"),
        ("Rules (effective March 5, 2025)", "2025-03-05"),
        ("*Last reviewed on 3 May 2023*", "2023-05-03"),
        ("Version 2024-06", "2024-06-01"),
        ("Gültig bis 31.12.2026", "None"),
        ("The company was founded in 1999. In 2021 we updated the kitchen.", "None"),
        ("Updated 31.02.2024", "None"),
    ],
)
def test_a_document_s_own_day_is_read_and_no_other(text: str, day: str) -> None:
    assert str(stated("a.md", "", [text])).partition(" ")[0] == day


def test_a_year_in_the_name_gives_way_to_the_day_of_that_year_in_the_text() -> None:
    assert stated("prices-2025.md", "", ["Valid from 1 March 2025."]) == datetime(2025, 3, 1, tzinfo=UTC)
    assert stated("prices-2025.md", "", ["Valid from 1 March 2019."]) == datetime(2025, 1, 1, tzinfo=UTC)
    assert stated("prices-2025-02.md", "", ["Valid from 1 March 2025."]) == datetime(2025, 2, 1, tzinfo=UTC)


def test_of_several_contradictions_the_one_that_was_asked_about_is_shown() -> None:
    old = "Guests pay 9 euros a night in the car park. Visitors pay 2 euros an hour."
    new = "Guests pay 14 euros a night in the car park. Visitors pay 3 euros an hour."
    texts = {"parking-2022.md": old, "parking-2025.md": new}
    assert said_of("how much is parking for visitors?", texts) == [
        "Visitors pay 3 euros an hour.",
        "Visitors pay 2 euros an hour.",
    ]
    assert said_of("what do guests pay for parking?", texts)[0] == "Guests pay 14 euros a night in the car park."


LEAVE = {
    "leave-2026-03-01.md": "Full-time employees have 27 days of paid annual leave per calendar year. Up to 5 unused "
    "days may be carried over into the next year; they must be taken by 31 March.\n\nUnpaid leave of up to three "
    "months is possible after two years of service.",
    "leave-2024-03-01.md": "Full-time employees have 25 days of paid annual leave per calendar year. Up to 3 unused "
    "days may be carried over into the next year.",
}


@pytest.mark.parametrize(
    ("question", "shown"),
    [
        ("How many days of annual leave do I have per year?", "27 days"),
        ("How many unused days can be carried over into the next year?", "Up to 5"),
        ("Can I carry days over into next year?", "Up to 5"),
        ("Is unpaid leave possible in my first year?", ""),
    ],
)
def test_what_they_say_apart_is_shown_only_where_it_is_what_was_asked(question: str, shown: str) -> None:
    said = said_of(question, LEAVE)
    assert [shown in line for line in said[:1]] == [True] * bool(shown)
    assert len(said) == 2 * bool(shown)


HOURS = {
    f"opening-{year}-04-12.md": f"The boathouse opens at {opens}:00 and closes at {closes}:00, Tuesday to Sunday. "
    f"On Mondays it is closed. The café opens at {opens}:30.\n\n"
    f"In winter, from {month} to February, the boathouse is closed."
    for year, opens, closes, month in ((2026, 8, 20, "December"), (2024, 9, 18, "November"))
}


@pytest.mark.parametrize(
    ("question", "shown"),
    [
        ("When does the boathouse open?", "opens at 8:00"),
        ("opening hours?", "opens at 8:"),
        ("What are the current opening hours?", "opens at 8:"),
        ("When is the boathouse closed in winter?", "from December"),
        ("When does the café open?", "café opens at 8:30"),
    ],
)
def test_under_one_heading_the_sentence_with_the_questions_words_is_shown(question: str, shown: str) -> None:
    assert shown in said_of(question, HOURS, heading="Opening hours")[0]


PAGES = {
    "handbook-2025-02-01.md": "Last updated: 1 February 2025\n\nYou get your access card on the first day. A review "
    "takes place in the 1st month. Der Schlüssel wird am ersten Tag übergeben. First aid is given on floor two.",
    "handbook-2026-02-01.md": "Last updated: 1 February 2026\n\nYou get your access card on the third day. A review "
    "takes place in the second month. Der Schlüssel wird am dritten Tag übergeben. Second aid is given on floor two.",
}


@pytest.mark.parametrize(
    ("question", "newer"),
    [
        ("When do I get my access card?", "on the third day"),
        ("On which day do I get the access card?", "on the third day"),
        ("When does the review take place?", "in the second month"),
        ("Wann wird der Schlüssel übergeben?", "am dritten Tag"),
        ("How long is the access card valid?", ""),
        ("What was last updated?", ""),
        ("Where is aid given?", ""),
    ],
)
def test_places_in_time_differ_too_and_no_day_of_a_page_does(question: str, newer: str) -> None:
    said = said_of(question, PAGES)
    assert len(said) == 2 * bool(newer)
    assert newer in "".join(said[:1])
