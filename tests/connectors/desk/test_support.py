"""A question goes to a person and comes back: both platforms, and from one to the other."""

from typing import Any

import pytest

from connectors.desk import passing
from tests.connectors.desk.chats import Chat, Room, SlackChat, TelegramChat
from tests.connectors.desk.doors import Doors, Scripted
from tests.connectors.desk.handing import HUMAN, cases, desk_for, rest, section
from tests.connectors.desk.meetings import Meeting, hurry


@pytest.fixture(params=["slack-telegram", "telegram-slack"])
def sides(request: pytest.FixtureRequest, slack: SlackChat, telegram: TelegramChat) -> tuple[Chat, Chat]:
    """Where it is asked, and where the agents are."""
    named: dict[str, Chat] = {"slack": slack, "telegram": telegram}
    asked, taken = request.param.split("-")
    return named[asked], named[taken]


def texts(chat: Chat, who: Any) -> list[str]:
    return [each.text for each in chat.shown(who) if each.is_final]


async def test_a_case_from_its_first_word_to_its_rating(doors: Doors, sides: tuple[Chat, Chat]) -> None:
    asking, taking = sides
    generator = Scripted("The office opens at nine.")
    ann, mara, max_ = asking.person("Ann"), taking.person("Mara"), taking.person("Max")
    desk = desk_for(taking, mara, max_)
    await doors.open(generator, support=section(desk))
    asking.says(ann, "When does the office open?")
    await rest(doors)
    asking.says(ann, HUMAN)
    await rest(doors)
    (case,) = cases(doors)
    told = next(each for each in asking.shown(ann) if f"case #{case.number}" in each.text)
    assert "I am asking a person" in told.text
    assert "cannot call" not in told.text
    assert "I need nobody any more" in told.buttons
    card = desk.card()
    for part in (f"Case #{case.number}", "a person is asked for", "Ann", HUMAN[:30], "direct"):
        assert part in card.text
    assert "When does the office open?" in card.text
    assert "Atelier:" in card.text

    asking.says(ann, "It is about my contract.")  # nobody has it yet, so Atelier answers
    await rest(doors)
    taking.presses(mara, card, "Take it")
    await rest(doors)
    assert any("A person has taken up case" in text for text in texts(asking, ann))
    claimed = next(each for each in desk.shown() if "Return" in each.buttons)
    assert "It is about my contract." in claimed.text
    silent = len(generator.prompts)
    before = len(texts(asking, ann))

    asking.says(ann, "Are you there?")
    asking.says(ann, "Hello?")
    await rest(doors)
    assert len(texts(asking, ann)) == before
    assert len(generator.prompts) == silent
    passed = [each.text for each in desk.shown() if "the asker:" in each.text]
    assert [text.rpartition(": ")[2].rpartition("** ")[2] for text in passed] == ["Are you there?", "Hello?"]

    desk.replies(mara, claimed, "Yes, see https://acme.example/contract now.")
    desk.replies(mara, claimed, "// she is new here")
    desk.replies(max_, claimed, "Shall I help?")  # talk at the desk
    await rest(doors)
    heard = texts(asking, ann)[before:]
    assert len(heard) == 1
    assert "From our team:" in heard[0]
    assert "https://acme.example/contract" in heard[0]

    taking.presses(mara, claimed, "Resolve")
    await rest(doors)
    done = asking.shown(ann)[-1]
    assert f"Case #{case.number} is done" in done.text
    assert {"👍", "👎"} <= set(done.buttons)
    asking.presses(ann, done, "👍")
    asking.says(ann, "Thanks, when does it close?")
    await rest(doors)
    assert len(generator.prompts) == silent + 1
    assert [(each.state, each.rating) for each in cases(doors)] == [("resolved", 1)]


async def test_an_answer_is_corrected_and_the_case_returned_waits_again_and_atelier_answers(
    doors: Doors, slack: SlackChat, telegram: TelegramChat
) -> None:
    generator = Scripted("At nine.")
    ann, mara = slack.person("Ann"), telegram.person("Mara")
    desk = desk_for(telegram, mara)
    await doors.open(generator, support=section(desk))
    slack.says(ann, HUMAN)
    await rest(doors)
    telegram.presses(mara, desk.card(), "Take it")
    await rest(doors)
    claimed = next(each for each in desk.shown() if "Return" in each.buttons)
    said = mara.writes("Come at ten.", desk.room.channel, reply_to=claimed.ref)
    await rest(doors)
    mara.edits(said, "Come at eleven.")
    await rest(doors)
    heard = [text for text in texts(slack, ann) if "From our team" in text]
    assert [("ten" in text, "eleven" in text) for text in heard] == [(True, False), (False, True)]
    telegram.presses(mara, claimed, "Return")
    await rest(doors)
    assert any("Until then I answer here again" in text for text in texts(slack, ann))
    slack.says(ann, "When does it open?")
    await rest(doors)
    assert generator.prompts[-1].message == "When does it open?"
    assert [each.state for each in cases(doors)] == ["open"]


async def test_what_stays_at_the_desk_stays_there_when_it_is_changed(
    doors: Doors, chat: Chat, slack: SlackChat
) -> None:
    ann, mara = slack.person("Ann"), chat.person("Mara")
    desk = desk_for(chat, mara)
    await doors.open(Scripted("At nine."), support=section(desk))
    slack.says(ann, HUMAN)
    await rest(doors)
    chat.presses(mara, desk.card(), "Take it")
    await rest(doors)
    claimed = next(each for each in desk.shown() if "Return" in each.buttons)
    said = desk.replies(mara, claimed, "// A dificult one")
    chat.edits(mara, said, "// A difficult one")
    await rest(doors)
    chat.edits(mara, said, "  // A most difficult one")
    await rest(doors)
    assert not [text for text in texts(slack, ann) if "difficult" in text or "dificult" in text]


async def test_in_a_thread_everybody_is_heard_and_elsewhere_atelier_goes_on(doors: Doors, chat: Chat) -> None:
    generator = Scripted("At nine.")
    ann, bob, mara = chat.person("Ann"), chat.person("Bob"), chat.person("Mara")
    desk = desk_for(chat, mara)
    room = chat.room(ann, bob)
    await doors.open(generator, support=section(desk))
    chat.says(ann, HUMAN, room, called=True)
    await rest(doors)
    chat.presses(mara, desk.card(), "Take it")
    await rest(doors)
    asked = len(generator.prompts)
    chat.says(bob, "Same for me, please.", room)
    chat.says(ann, "Anybody?", room, called=True)
    await rest(doors)
    assert len(generator.prompts) == asked
    assert sum("somebody else there:" in each.text or "the asker:" in each.text for each in desk.shown()) == 2
    chat.says(bob, "When does it open?", chat.another_thread(room), called=True)
    await rest(doors)
    assert len(generator.prompts) == asked + 1


async def test_nothing_found_twice_anger_and_topics(doors: Doors, telegram: TelegramChat, slack: SlackChat) -> None:
    chat = telegram
    ann, mara = chat.person("Ann"), slack.person("Mara")
    desk = desk_for(slack, mara)
    support = section(desk, topics=["parental leave"], ask_first=["anger"])
    await doors.open(Scripted("I do not know that."), support=support)
    chat.says(ann, "How much does the heliotrope budget grow?")
    await rest(doors)
    first = [each for each in chat.shown(ann) if each.is_final and "do not know" in each.text][-1]
    assert "Ask a person" in first.buttons
    assert cases(doors) == []
    chat.says(ann, "What is the budget for heliotropes next year?")
    await rest(doors)
    assert [each.reason for each in cases(doors)] == ["doubt"]
    assert any("no answer twice" in text for text in texts(chat, ann))
    ben = chat.person("Ben")
    chat.says(ben, "Who decides on PARENTAL  leave?")
    cleo = chat.person("Cleo")
    for text in ("This is terrible, your answers are awful.", "Horrible! I hate this, it is the worst service ever."):
        chat.says(cleo, text)
    await rest(doors)
    assert [each.reason for each in cases(doors)] == ["doubt", "topic"]
    offers = [each for each in chat.shown(cleo) if "Ask a person" in each.buttons]
    assert any("Would you like a person" in each.text for each in offers)
    chat.presses(cleo, offers[-1], "Ask a person")
    chat.presses(ann, first, "Ask a person")  # she has a case already
    await rest(doors)
    assert [each.reason for each in cases(doors)] == ["doubt", "topic", "request"]


async def test_without_a_desk_nothing_is_promised(doors: Doors, slack: SlackChat) -> None:
    chat = slack
    ann = chat.person("Ann")
    await doors.open(Scripted("Please turn to your team."))
    chat.says(ann, HUMAN)
    chat.orders(ann, "human")
    await rest(doors)
    assert "Please turn to your team." in texts(chat, ann)
    assert any("No support team is set up" in text for text in texts(chat, ann))
    assert cases(doors) == []


async def test_where_one_is_helped_a_session_goes_on_in_silence(
    doors: Doors, slack: SlackChat, telegram: TelegramChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a group without topics one person's case and everybody's session share the room."""
    hurry(monkeypatch, telegram)
    mara = slack.person("Mara")
    desk = desk_for(slack, mara)
    meeting = Meeting(doors, telegram, 3)
    ann, bob, _ = meeting.people
    meeting.room = Room(telegram.emulator.group("Team", meeting.people, topics=False, privacy=False))
    await doors.open(Scripted("At nine."), support=section(desk))
    await meeting.opens()
    await meeting.presses("Keep it as it is")
    telegram.says(ann, HUMAN, meeting.room, called=True)
    await rest(doors)
    slack.presses(mara, desk.card(), "Take it")
    await rest(doors)
    before = [each.text for each in meeting.shown]
    telegram.says(bob, "A buddy for everybody", meeting.room)
    telegram.says(ann, "Are you there?", meeting.room)
    await rest(doors)
    assert meeting.texts() == ["A buddy for everybody"]  # nobody's idea is lost
    assert [each.text for each in meeting.shown] == before  # and nothing is said
    passed = [each.text for each in desk.shown() if "the asker:" in each.text]
    assert len(passed) == 1  # Bob's words are nobody's case
    slack.presses(
        mara, next(each for each in desk.shown() if "Resolve" in each.buttons and "Return" in each.buttons), "Resolve"
    )
    await rest(doors)
    await meeting.orders("ideate board")
    assert "A buddy for everybody" in meeting.board.text


async def test_a_case_taken_back_and_one_with_files_whose_asker_leaves(
    doors: Doors, slack: SlackChat, telegram: TelegramChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = telegram
    ann, eve, mara = chat.person("Ann"), chat.person("Eve"), slack.person("Mara")
    desk = desk_for(slack, mara)
    room = chat.room(ann, eve)
    await doors.open(Scripted("Fine."), support=section(desk))
    chat.says(ann, HUMAN, room, called=True)
    await rest(doors)
    told = next(each for each in chat.shown(room) if "I need nobody any more" in each.buttons)
    chat.presses(eve, told, "I need nobody any more")
    await rest(doors)
    assert [each.state for each in cases(doors)] == ["open"]
    chat.presses(ann, told, "I need nobody any more")
    await rest(doors)
    assert [each.state for each in cases(doors)] == ["withdrawn"]
    assert any("needs nobody any more" in each.text for each in desk.shown())
    slack.presses(mara, desk.card(), "Take it")
    await rest(doors)
    assert [each.state for each in cases(doors)] == ["withdrawn"]

    telegram.says(ann, HUMAN)
    await rest(doors)
    slack.presses(mara, [each for each in desk.shown() if "Take it" in each.buttons][-1], "Take it")
    await rest(doors)
    assert any("Mara has case #2" in each.text.replace("`", "") for each in desk.shown())  # by her name
    monkeypatch.setattr(passing, "LARGEST", 20)
    telegram.says(ann, "Here is my contract", files=[("contract.txt", b"four thousand")])
    telegram.says(ann, "And all of it", files=[("all.txt", b"four thousand and one hundred")])
    await rest(doors)
    assert [content for _, content in slack.files()] == [b"four thousand"]
    assert any("all.txt could not be passed on" in each.text.replace("`", "") for each in desk.shown())
    assert any("not got all.txt" in text.replace("`", "") for text in texts(telegram, ann))
    claimed = next(each for each in desk.shown() if "Return" in each.buttons)
    files = [("signed.txt", b"it is signed"), ("large.txt", b"more than twenty bytes")]
    mara.writes("Here you are.", desk.room.channel, claimed.thread or claimed.ref, files)
    await rest(doors)
    assert b"it is signed" in [content for _, content in telegram.files()]
    assert any("not got large.txt" in each.text.replace("`", "") for each in slack.shown(Room(desk.room.channel)))
    telegram.orders(ann, "forget yes")
    await rest(doors)
    assert any("had everything about them deleted" in each.text for each in desk.shown())
