"""From many ideas to a choice, as people do it: merging, splitting, pairs, criteria, and what may help besides."""

import pytest

from agent.ideation.acts import Ballot
from connectors.desk.ideation_ballots import criteria_of
from tests.connectors.desk.chats import SlackChat, TelegramChat
from tests.connectors.desk.doors import TENANT, Doors
from tests.connectors.desk.meetings import Meeting, hurry


@pytest.fixture
async def meeting(doors: Doors, slack: SlackChat, telegram: TelegramChat, monkeypatch: pytest.MonkeyPatch) -> Meeting:
    hurry(monkeypatch, telegram)
    await doors.open()
    return Meeting(doors, slack, 2)


async def collects(meeting: Meeting, *ideas: str, held: str = "") -> None:
    await meeting.opens(f"{held} how might we welcome new colleagues?".strip())
    await meeting.presses("Keep it as it is")
    await meeting.says(*ideas)


async def test_ideas_are_merged_and_split_and_their_votes_go_along(meeting: Meeting) -> None:
    await collects(meeting, "A buddy for everybody", "A buddy for everyone", "A map and a tour")
    await meeting.orders("ideate split 3 A map | A tour", who=0)
    assert meeting.texts() == ["A buddy for everybody", "A buddy for everyone", "A map", "A tour"]
    await meeting.orders("ideate vote")
    await meeting.presses("1")
    await meeting.presses("2", who=1)
    await meeting.orders("ideate merge")
    await meeting.presses("Merge 1 + 2")
    assert meeting.texts() == ["A map", "A tour", "A buddy for everybody"]
    await meeting.orders("ideate decide")
    assert "A buddy for everybody · 2 votes" in meeting.board.text
    told = (await meeting.orders("ideate results", who=1)).text
    assert "**6** A buddy for everybody · 2 votes (2 to 2), first in 100%" in told
    assert "another group like this one" in told


async def test_too_many_votes_at_once_are_given_as_far_as_they_go(meeting: Meeting) -> None:
    await collects(meeting, "A buddy", "A map", "A tour", held="new dots 2")
    await meeting.orders("ideate vote")
    await meeting.orders("ideate vote 1 2 3", who=1)
    told = meeting.whispers(meeting.people[1])[-1].text
    assert "Your vote for 1 is in" in told
    assert "All your votes are given" in told
    assert sum(each.value for each in meeting.session.votes) == 2


async def test_pairs_are_asked_one_after_the_other_by_nobody_but_who_chooses(meeting: Meeting) -> None:
    await collects(meeting, "A buddy", "A map", "A tour", held="new pairs")
    await meeting.orders("ideate vote")
    told = await meeting.presses(meeting.board.buttons[0], who=1)
    assert "Which of the two is better?" in told
    (vote,) = meeting.session.votes
    assert vote.ballot is Ballot.PAIRS
    assert "1 person voted" in meeting.board.text


async def test_it_is_voted_by_criteria_that_the_facilitator_sets_in_the_chat(meeting: Meeting) -> None:
    await collects(meeting, "A buddy", "A map")
    assert "Only who opened" in (await meeting.orders("ideate criteria cost", who=1)).text
    await meeting.orders("ideate criteria cost 2, fun")
    await meeting.orders("ideate vote")
    assert "on cost ×2, fun" in meeting.board.text
    told = await meeting.presses("⭐ Rate", who=1)
    for _ in range(4):  # two ideas on two criteria
        assert "1 to 5?" in told
        asked = meeting.whispers(meeting.people[1])[-1]
        told = await meeting.presses("5" if "A map" in asked.text else "2", who=1, on=asked)
    assert told == "You have rated everything, thank you."
    assert len(meeting.session.votes) == 4
    await meeting.presses("▶ Work out the favourites")
    assert meeting.board.text.index("A map") < meeting.board.text.index("A buddy")
    assert "5.0" in meeting.board.text


def test_criteria_are_read_as_people_write_them() -> None:
    assert [(each.name, each.weight) for each in criteria_of("cost 2, fun; effort x0.5, Spaß: 1,5")] == [
        ("cost", 2.0),
        ("fun", 1.0),
        ("effort", 0.5),
        ("Spaß", 1.0),
    ]  # fmt: skip - a comma sets criteria apart


async def test_earlier_ideas_are_recommended_for_what_somebody_wrote(meeting: Meeting) -> None:
    await collects(meeting, "A welcome breakfast with pancakes")
    await meeting.orders("ideate close")
    again = Meeting(meeting.doors, meeting.chat, 0)
    again.people, again.room = meeting.people, meeting.room
    again.room.thread = None
    await again.opens("what could we eat together on Fridays?")
    await again.presses("Keep it as it is")
    told = (await again.orders("ideate recommend", who=1)).text
    assert "nothing to recommend" in told  # Ann has not agreed that later sessions find what she gave
    await again.orders("consent yes")
    told = (await again.orders("ideate recommend", who=1)).text  # of Bob nothing is known yet
    assert "pancakes\n  as it is near to our question" in told
    again.chat.says(again.people[1], "A breakfast with waffles and pancakes", again.room)
    await meeting.doors.settle()
    told = (await again.orders("ideate recommend", who=1)).text
    assert "pancakes" in told
    assert "as you wrote" in told


async def test_ideas_and_documents_are_recommended_for_what_somebody_voted_for_and_looked_at(meeting: Meeting) -> None:
    """Bob writes nothing: what he chose and what he asked about speak for him, and to each its reason."""
    bread = "Our bakery in the cellar sells fresh bread and warm pancakes from six in the morning."
    await meeting.orders("consent yes")
    meeting.doors.add("bakery.md", f"# The bakery\n\n{bread}\n", "everyone")
    await collects(meeting, "- A welcome breakfast with pancakes\n- A guided bicycle tour of the city")
    await meeting.orders("ideate close")
    again = Meeting(meeting.doors, meeting.chat, 0)
    again.people, again.room = meeting.people, meeting.room
    again.room.thread = None
    await again.opens("what could we do together on Fridays?")
    await again.presses("Keep it as it is")
    for idea in ("Pancakes for breakfast", "A bicycle ride"):
        again.chat.says(again.people[0], idea, again.room)
    await meeting.doors.settle()
    await again.orders("ideate deeper 1", who=1)
    told = (await again.orders("ideate recommend", who=1)).text
    assert "A welcome breakfast with pancakes" in told
    assert "as you looked at “Pancakes for breakfast”" in told
    assert "sells fresh bread" in told
    assert "as it is near to 1, “Pancakes for breakfast”" in told
    await again.orders("ideate vote")
    await again.presses("2", who=1)
    told = (await again.orders("ideate recommend", who=1)).text
    assert "A guided bicycle tour of the city" in told
    assert "as you voted for “A bicycle ride”" in told


async def test_people_are_called_by_their_names(meeting: Meeting) -> None:
    await collects(meeting, "A buddy")
    await meeting.orders(f"ideate action call the printer <@{meeting.people[1].id}> by Friday")
    assert meeting.session.actions[0].owner == "@Bob"
    await meeting.says(f"<@{meeting.people[0].id}> could you come?")  # talk to somebody is no idea
    await meeting.says(f"ask <@{meeting.people[0].id}> for a cake")
    assert meeting.texts()[-1] == "ask @Ann for a cake"
    assert meeting.session.session.tenant == TENANT
