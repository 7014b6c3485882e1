"""What holds nothing of the kind that is asked for, or not the thing, is never given as a sure answer."""

import pytest

from agent.generation.answer import HOLDS
from agent.generation.asked_kind import has_hours, lacks_kind, lacks_thing, of_kind
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
        ("when do we open on Mondays?", "Doors open on Mondays at 8.", "Doors open on Fridays at 8."),
        ("when is the shop open at the weekend?", "On Saturdays from 9.", "Monday to Friday from 9."),
        ("when is the deadline for the Friday letter?", "It is due on Wednesday.", "Send it to Ann."),
        ("wann muss ich für den Montag bestellen?", "Bis Donnerstag um 12.", "Online."),
        ("wann wird geheizt?", "Ab Oktober wird geheizt.", "Es wird mit Gas geheizt."),
        ("how long is the code valid?", "It expires after 20 minutes.", "Press the button for five seconds."),
        ("wie lange ist der Code gültig?", "Er gilt bis zu 20 Minuten und verfällt dann.", "Drück fünf Sekunden."),
        ("when is it open on Mondays?", "Open Monday to Thursday, 9:00 to 17:00.", "Open on Friday from 9:00."),
        ("where is the fair?", "The fair is in hall B on 3 May.", "The fair takes place on 3 May."),
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
        ("is the sauna open on Mondays?", "The pool is open from Monday to Friday.", True),
        ("is the pool open on Mondays?", "The pool is open from Monday to Friday.", False),
        ("when does the sauna close?", "The pool closes at 20:00.", True),
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


def test_when_something_closes_is_told_by_its_hours_where_there_are_some() -> None:
    def page(text: str) -> Passage:
        return Passage(1, text, "boats.md", "Boathouse", None, 1, "t/everyone", 0.9, 0.6)

    hours, winter = page("The boathouse closes at 19:00."), page("The boathouse closes for winter on 31 October.")
    assert has_hours("when does the boathouse close?", [winter, hours])
    assert not has_hours("when does the boathouse close for the season?", [winter, hours])
    assert not has_hours("when does the boathouse close?", [winter]), "then the day is the best there is"
    units = tuple(Scored(cut(each.text)[0], at, 0, 0.9 - at / 10) for at, each in enumerate((winter, hours)))
    read = of_kind("when does the boathouse close?", Reading(units, (0.0, 0.0)), [winter, hours])
    assert read.units[0].probability < HOLDS < read.units[1].probability
    begins = page("The boathouse opens on 3 May."), hours
    units = tuple(Scored(cut(each.text)[0], at, 0, 0.9 - at / 10) for at, each in enumerate(begins))
    read = of_kind("when does the boathouse open?", Reading(units, (0.0, 0.0)), begins)
    assert read.units[0].probability == 0.9, "a day is an answer, unless it is that of a season"
