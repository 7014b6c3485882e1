"""What holds nothing of the kind that is asked for, or not the thing, is never given as a sure answer."""

import pytest

from agent.generation.answer import HOLDS
from agent.generation.asked_kind import lacks_kind, lacks_thing, of_kind
from agent.generation.evidence import Reading, Scored
from agent.generation.sentences import cut
from retrieval.passage import Passage


@pytest.mark.parametrize(
    ("question", "holding", "lacking"),
    [
        ("how often must I change my password?", "Passwords expire every 180 days.", "Open the portal to reset it."),
        ("How often is the pool cleaned?", "It is cleaned twice a week.", "It is cleaned by Per Lund."),
        ("how many times a year is it cleaned?", "It is cleaned monthly.", "The link is valid for 20 minutes."),
        ("how often can I rent one?", "One rental per quarter is free.", "A racket costs 5 EUR a day."),
        ("wie oft werden die Filter getauscht?", "Sie werden monatlich getauscht.", "Sie liegen im Keller."),
        ("how long may I borrow it?", "It may be borrowed for two weeks.", "It costs 5 EUR a day."),
        ("how long is the key kept?", "It is kept until the owner calls.", "Keys are kept at the desk."),
        ("how many days do I have?", "Three days a week are free.", "We open from 7:00 to 20:00."),
        ("how many guests may I bring?", "Guests are not allowed.", "Guests cost 8 euros."),
        ("how much does the office cost?", "The rent is 900 euros.", "It is open from 7:00 to 20:00."),
        ("how much parental pay do I get?", "Pay is 60 % of the salary.", "Leave lasts up to 14 months."),
        ("what does a visit cost?", "Visits are free.", "A visit takes two hours."),
        ("when does it open?", "It opens after the service.", "It opens with a card."),
        ("at what time does it open?", "It opens at noon.", "It opens after the service."),
        ("wann wird geheizt?", "Ab Oktober wird geheizt.", "Es wird mit Gas geheizt."),
    ],
)
def test_a_sentence_without_the_kind_that_is_asked_for_is_told(question: str, holding: str, lacking: str) -> None:
    assert not lacks_kind(question, holding)
    assert lacks_kind(question, lacking)
    assert not lacks_kind("who does that?", lacking)  # of which kind that is, no shape tells


@pytest.mark.parametrize(
    ("question", "text", "is_lacking"),
    [
        ("can I bring my cat to the office?", "Dogs are welcome on Fridays.", True),
        ("are parrots allowed?", "Dogs are welcome on Fridays.", True),
        ("can I bring my dog?", "Dogs are welcome on Fridays.", False),
        ("is there a gym in the building?", "The building has a canteen.", True),
        ("do we have a canteen?", "The building has a canteen.", False),
        ("may I take a day off?", "Leave is granted by the team lead.", False),
        ("kann ich meine Katze mitbringen?", "Hunde dürfen freitags ins Büro.", True),
        ("darf ich meinen Hund mitbringen?", "Hunde dürfen freitags ins Büro.", False),
        ("who may bring a cat?", "Dogs are welcome on Fridays.", False),
    ],
)
def test_a_page_that_does_not_name_the_thing_is_told(question: str, text: str, *, is_lacking: bool) -> None:
    assert lacks_thing(question, Passage(1, text, "page.md", "", None, 1, "t/everyone", 0.9, 0.6)) is is_lacking


def test_of_two_sentences_the_one_that_holds_it_is_the_likelier() -> None:
    text = "To reset your password, open the portal. Passwords expire every 180 days."
    passage = Passage(1, text, "page.md", "Passwords", None, 1, "t/everyone", 0.9, 0.6)
    units = tuple(
        Scored(unit, 0, at, chance) for at, (unit, chance) in enumerate(zip(cut(text), (0.9, 0.4), strict=True))
    )
    read = of_kind("how often must I change my password?", Reading(units, (0.0,)), [passage])
    assert [each.probability for each in read.units] == [HOLDS - 0.01, 0.4]
    other = Passage(2, "To reset it, open the portal.", "page.md", "Password", None, 1, "t/everyone", 0.9, 0.6)
    assert of_kind("how often must I change it?", Reading((), (0.9,)), [other]).sections[0] < HOLDS
