"""A sentence is shown only if the passages say it: its numbers, dates and names, and neither more nor the opposite."""

import pytest

from agent.generation.facts import broken_names, figures, lacking_figures, names
from agent.generation.support import Evidence, read, supported
from retrieval.passage import Passage

LEAVE = (
    "Every employee of Brightwater has 28 days of paid leave a year. Unused days expire on 31 March 2025. "
    "Dogs are not allowed in the laboratory, but they are allowed in the office. Ms. Okafor approves requests "
    "within two weeks. The budget is 1,200 euros."
)


def passage(text: str, number: int = 1) -> Passage:
    return Passage(number, text, "handbook/leave.md", "Leave", None, 1, "acme/everyone", 0.9, 0.6)


@pytest.fixture(scope="module")
def evidence(encoder) -> list[Evidence]:
    return [read(passage(LEAVE), encoder)]


@pytest.mark.parametrize(
    "sentence",
    [
        "Every employee of Brightwater has 28 days of paid leave a year. [1]",
        "You have **28 days** of paid leave a year.",
        "- Employees of Brightwater get twenty-eight days of paid leave each year",
        "Unused days expire on 2025-03-31.",
        "Unused leave expires on March 31, 2025.",
        "Dogs are not allowed in the laboratory.",
        "Dogs are allowed in the office.",
        "Okafor approves requests within 2 weeks.",
        "The budget is €1200.",
    ],
)
def test_what_the_passage_says_is_shown_however_its_numbers_are_written(evidence, encoder, sentence: str) -> None:
    assert supported(sentence, evidence, (0,), encoder).holds


@pytest.mark.parametrize(
    ("sentence", "lacks"),
    [
        ("Every employee of Brightwater has 30 days of paid leave a year.", "30"),
        ("Every employee of Brightwater has thirty days of paid leave a year.", "thirty"),
        ("Unused days expire on 31 May 2025.", "May"),
        ("Unused days expire on 2025-03-30.", "2025-03-30"),
        ("Ms. Ramirez approves requests within two weeks.", "Ramirez"),
        ("The budget is 12,000 euros.", "12,000"),
        ("The badge B-52 opens the laboratory.", "B-52"),
    ],
)
def test_a_number_date_or_name_that_is_not_there_is_named(evidence, encoder, sentence: str, lacks: str) -> None:
    found = supported(sentence, evidence, (0,), encoder)
    assert not found.holds
    assert lacks in found.lacks


@pytest.mark.parametrize(
    "sentence",
    [
        "Dogs are allowed in the laboratory.",
        "Dogs are also allowed in the laboratory.",
        "Every employee does not have 28 days of paid leave a year.",
        "Unused days never expire on 31 March 2025.",
        "The canteen serves soup and fresh bread at noon.",
        "Employees may work from abroad as often as they like.",
    ],
)
def test_the_opposite_and_what_nothing_speaks_of_is_not_shown(evidence, encoder, sentence: str) -> None:
    assert not supported(sentence, evidence, (0,), encoder).holds


def test_another_passage_than_the_one_cited_may_say_it(encoder) -> None:
    both = [read(passage("The canteen opens at noon."), encoder), read(passage(LEAVE, 2), encoder)]
    found = supported("Every employee of Brightwater has 28 days of paid leave.", both, (0,), encoder)
    assert found.holds
    assert found.passage == 1
    assert not supported("It opens at 9.", [], (), encoder).holds


def test_in_another_language_numbers_and_codes_alone_can_be_compared_and_it_says_so(encoder) -> None:
    german = (
        "Alle Beschäftigten haben 28 Tage Urlaub im Jahr. Der Antrag steht im Formular HR-12 und geht über das VPN."
    )
    passages = [read(passage(german), encoder)]
    found = supported("Every employee has 28 days of leave in a year.", passages, (), encoder)
    assert found.holds
    assert found.is_foreign
    for wrong, lacks in (
        ("Every employee has 30 days of leave in a year.", "30"),
        ("You can find the request in the form HR-13.", "13, HR-13"),
        ("The request goes through the SAP.", "SAP"),
    ):
        found = supported(wrong, passages, (), encoder)
        assert not found.holds
        assert found.lacks == lacks
    assert supported("You can find the request in the form HR-12, through the VPN.", passages, (), encoder).holds
    assert not supported(german.partition(". ")[0], passages, (), encoder).is_foreign


PLACES = (
    "Normandy was given its name by the Norsemen who settled there. William of Normandy defeated Harold near Hastings "
    "in 1066. His brother Odo ruled the county of Kent, and Lanfranc became archbishop of Canterbury in 1070."
)


@pytest.mark.parametrize(
    ("sentence", "holds"),
    [
        ("William of Normandy defeated Harold near Hastings.", True),
        ("Harold was defeated near Hastings by William.", True),
        ("Lanfranc became archbishop of Canterbury.", True),
        ("In 1070 Lanfranc became archbishop of Canterbury.", True),
        ("William of Normandy defeated Lanfranc near Hastings.", False),
        ("William of Normandy defeated Harold near Canterbury.", False),
        ("Odo Lanfranc ruled the county of Kent.", False),
        ("In 1066 Lanfranc became archbishop of Canterbury.", False),
        ("William of Normandy defeated Harold near Hastings in 1070.", False),
    ],
)
def test_a_name_of_another_sentence_is_not_taken_for_the_right_one(encoder, sentence: str, holds: bool) -> None:
    assert supported(sentence, [read(passage(PLACES), encoder)], (), encoder).holds is holds


WATCHES = (
    "A watch at the mill lasts 28 hours (值班). On March 30 the next one begins, and in June there is none. "
    "Two engineers and a cook stand it together."
)


@pytest.mark.parametrize(
    ("sentence", "lacks"),
    [
        ("A watch at the mill lasts 28 hours.", ""),
        ("A watch lasts 28 hours, and two engineers stand it.", ""),
        ("The next watch at the mill begins on March 30.", ""),
        ("In June there is no watch at the mill.", ""),
        ("A watch at the mill lasts 30 hours.", "30"),
        ("28 engineers and a cook stand it together.", "28"),
        ("The next watch at the mill begins in April.", "April"),
        ("A watch at the mill lasts 28 hours; ZnMoO begins the next one.", "ZnMoO"),
        ("A watch at the Lanfranc lasts 28 hours.", "Lanfranc"),
    ],
)
def test_a_number_that_counts_something_else_there_is_lacking_and_a_foreign_word_there_excuses_nothing(
    encoder, sentence: str, lacks: str
) -> None:
    found = supported(sentence, [read(passage(WATCHES), encoder)], (), encoder)
    assert found.lacks == lacks
    assert not found.is_foreign
    assert not (lacks and found.holds)


@pytest.mark.parametrize(
    ("sentence", "lacks"),
    [
        ("Lunch at the mill lasts 30 minutes.", ""),
        ("Trials of the mill end after 14 days.", ""),
        ("Lunch at the mill lasts 35 minutes.", "35"),
        ("Trials of the mill end after 15 days.", "15"),
    ],
)
def test_a_length_of_time_may_stand_there_in_another_unit(encoder, sentence: str, lacks: str) -> None:
    text = "Lunch at the mill lasts half an hour, and a rest 10 minutes. Trials of the mill end after two weeks."
    found = supported(sentence, [read(passage(text), encoder)], (), encoder)
    assert found.lacks == lacks
    assert found.holds is not bool(lacks)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,234.5", "1.234,5"),
        ("1.2 million", "1,200,000"),
        ("two hundred and five", "205"),
        ("twelve hundred", "1200"),
        ("5 May 2020", "2020-05-05"),
        ("May 5th, 2020", "5.5.2020"),
        ("drei", "3"),
        ("三十年", "30"),
        ("at 2 pm", "14:00"),
    ],
)
def test_one_number_is_the_same_in_every_writing(one: str, other: str) -> None:
    assert lacking_figures(figures(one), figures(other)) == []
    assert lacking_figures(figures(other), figures(one)) == []


def test_names_are_told_from_words_that_begin_a_sentence() -> None:
    assert names("However, the team of Ada Lovelace met at NASA.").certain == ("Ada", "Lovelace", "NASA")
    assert names("Requests go to the manager.").certain == ()
    assert names("Der Antrag geht an die Leitung.", is_german=True).certain == ()


def test_names_side_by_side_are_those_of_one_person() -> None:
    texts = ["In Paris Marie Curie met Albert Einstein.", "Anna Adams was late."]
    assert broken_names("Marie Einstein and Anna Curie met in Paris.", texts) == ["Marie Einstein", "Anna Curie"]
    assert broken_names("Albert Einstein met Marie Curie, and Marie was glad.", texts) == []
    assert broken_names("Marie Ramirez was there, and nobody is called that.", texts) == []
