"""A length of time is the same in every unit and wording, and another one is not."""

import pytest

from agent.generation.durations import told_otherwise


@pytest.mark.parametrize(
    ("sentence", "text", "figure"),
    [
        ("The break lasts 30 minutes.", "The break lasts half an hour.", "30"),
        ("It lasts 15 minutes.", "It lasts a quarter of an hour.", "15"),
        ("The meeting takes 90 minutes.", "The meeting takes one and a half hours.", "90"),
        ("The meeting takes 90 minutes.", "The meeting takes an hour and a half.", "90"),
        ("The trial runs 14 days.", "The trial runs two weeks.", "14"),
        ("The trial runs two weeks.", "There is a 14-day trial.", "two"),
        ("The warranty is 24 months.", "The warranty is 2 years.", "24"),
        ("The limit is 1.5 hours.", "The limit is 90 minutes.", "1.5"),
        ("The discount is 50%.", "Half is taken off.", "50"),
        ("Die Pause dauert 30 Minuten.", "Die Pause dauert eine halbe Stunde.", "30"),
        ("Es dauert 90 Minuten.", "Das dauert anderthalb Stunden.", "90"),
        ("Die Frist beträgt 14 Tage.", "Die Frist beträgt zwei Wochen.", "14"),
        ("Die Garantie beträgt zwei Jahre.", "Die Garantie beträgt 24 Monate.", "zwei"),
        ("Der Rabatt beträgt 50 Prozent.", "Der Rabatt ist die Hälfte.", "50"),
    ],
)
def test_the_same_length_in_other_words(sentence: str, text: str, figure: str) -> None:
    assert told_otherwise(sentence, [text]) == {figure}


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        ("The break lasts 25 minutes.", "The break lasts half an hour."),
        ("You have 6 weeks of leave.", "You have 30 days of leave."),  # of work, perhaps
        ("It costs 15 euros.", "It lasts a quarter of an hour."),
        ("The discount is 25 percent.", "It lasts a quarter of an hour."),
        ("30 people meet for 30 minutes.", "They meet for half an hour."),  # which 30 is meant?
        ("Die Pause dauert 20 Minuten.", "Die Pause dauert eine halbe Stunde."),
        ("It takes a day.", "It takes 24 hours."),  # no figure of its own
    ],
)
def test_another_length_or_another_thing(sentence: str, text: str) -> None:
    assert told_otherwise(sentence, [text]) == frozenset()
