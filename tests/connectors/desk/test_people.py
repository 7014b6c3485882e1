"""Who somebody is, what they agreed to, and how they are spoken to."""

import re
from pathlib import Path

import pytest

from agent.memory import Memory
from connectors.desk import orders
from connectors.privacy import finish_joinings
from retrieval.errors import StoreError
from retrieval.shelf import Shelf
from tests.connectors.desk.chats import Chat, Room, SlackChat, SlackPerson, TelegramChat
from tests.connectors.desk.doors import Doors, Scripted


async def code_of(doors: Doors, chat: SlackChat, person: SlackPerson) -> str:
    """The code that `link` gives somebody."""
    chat.orders(person, "link")
    await doors.settle()
    found = re.search(r"code is \**([A-Z0-9]+)", chat.shown(person)[-1].text)
    assert found is not None
    return found[1]


async def test_consent_is_asked_once_in_private(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted("Gladly."))
    ann = chat.person("Ann")
    for _ in range(2):
        chat.says(ann, "Hello!")
        await doors.settle()
    questions = [shown for shown in chat.shown(ann) if "One question, asked once" in shown.text]
    assert [question.buttons for question in questions] == [("Yes", "No")]
    assert not doors.held(chat.account(ann)).person.consent
    chat.presses(ann, questions[0], "Yes")
    await doors.settle()
    assert doors.held(chat.account(ann)).person.consent
    assert chat.shown(ann)[-1].text.startswith("Thank you.")
    chat.orders(ann, "consent no")
    await doors.settle()
    assert not doors.held(chat.account(ann)).person.consent
    chat.presses(ann, questions[0], "No")
    await doors.settle()
    assert not doors.held(chat.account(ann)).person.consent


async def test_consent_is_not_asked_in_a_channel(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted("Gladly."))
    ann = chat.person("Ann")
    room = chat.room(ann)
    chat.says(ann, "Hello!", room, called=True)
    await doors.settle()
    assert [shown.text for shown in chat.shown(room)] == ["Gladly."]


async def test_linked_accounts_are_one_person_and_forget_reaches_both(
    doors: Doors, slack: SlackChat, telegram: TelegramChat
) -> None:
    await doors.open(Scripted("Gladly."))
    here, there = slack.person("Ann"), telegram.person("Ann")
    slack.says(here, "I wrote this in Slack.")
    telegram.says(there, "I wrote this in Telegram.")
    await doors.settle()
    code = await code_of(doors, slack, here)
    telegram.orders(there, f"link {code}")
    await doors.settle()
    assert "one person" in telegram.shown(there)[-1].text
    held = doors.held(slack.account(here))
    assert held == doors.held(telegram.account(there))
    assert len(held.turns) == 2
    telegram.orders(there, "forget")
    await doors.settle()
    assert len(doors.held(slack.account(here)).turns) == 2
    telegram.orders(there, "forget yes")
    await doors.settle()
    assert doors.held(slack.account(here)).turns == ()
    assert doors.held(telegram.account(there)).turns == ()


async def test_a_joining_that_broke_off_is_finished_when_its_event_comes_again(
    doors: Doors, slack: SlackChat, telegram: TelegramChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    await doors.open(Scripted("Gladly."))
    here, there = slack.person("Ann"), telegram.person("Ann")
    for chat, ann in ((slack, here), (telegram, there)):
        chat.says(ann, "Hello!")
    await doors.settle()
    code = await code_of(doors, slack, here)
    failures = [StoreError("The disk is full.")]

    def broken(memory: Memory, shelf: Shelf, home: Path) -> None:
        if failures:
            raise failures.pop()
        finish_joinings(memory, shelf, home)

    monkeypatch.setattr(orders, "finish_joinings", broken)
    telegram.orders(there, f"link {code}")
    await doors.settle()
    assert not failures
    assert "one person" in telegram.shown(there)[-1].text
    assert doors.house.store.memory.people.joinings() == []


async def test_a_link_code_is_not_given_where_others_read(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted())
    ann = chat.person("Ann")
    room = chat.room(ann)
    if isinstance(chat, TelegramChat):
        ann.starts()
        await doors.settle()  # being greeted there is another conversation, whose answer may come later
    chat.orders(ann, "link", room)
    await doors.settle()
    assert "direct message" in chat.told(ann, room)[-1].text


async def test_who_is_not_on_the_list_is_not_answered(doors: Doors, chat: Chat) -> None:
    generator = Scripted("Gladly.")
    ann, eve = chat.person("Ann"), chat.person("Eve")
    await doors.open(generator, allowed=(chat.account(ann),))
    room = chat.room(ann, eve)
    chat.says(eve, "Hello!", room, called=True)
    chat.orders(eve, "rule always", room)
    chat.says(eve, "Hello!")
    await doors.settle()
    assert generator.prompts == []
    chat.says(ann, "Hello!", room, called=True)
    await doors.settle()
    assert len(generator.prompts) == 1
    chat.says(eve, "Me too!", room)
    await doors.settle()
    assert len(generator.prompts) == 1


async def test_a_channel_on_the_list_is_answered_whoever_asks(doors: Doors, slack: SlackChat) -> None:
    generator = Scripted("Gladly.")
    eve = slack.person("Eve")
    room, other = slack.room(eve), slack.room(eve)
    await doors.open(generator, allowed=(f"slack:{room.channel}",))
    slack.says(eve, "Hello!", room, called=True)
    slack.says(eve, "Hello!", other, called=True)
    await doors.settle()
    assert len(generator.prompts) == 1


async def test_who_writes_too_much_is_told_once(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted("Gladly."), messages_per_minute=2)
    ann, bob = chat.person("Ann"), chat.person("Bob")
    room = chat.room(ann, bob)
    for _ in range(4):
        chat.says(ann, "Hello!", room, called=True)
    chat.says(bob, "Hello!", room, called=True)
    await doors.settle()
    texts = [shown.text for shown in chat.shown(room)]
    assert texts.count("Gladly.") == 3
    assert sum("more than 2 messages in a minute" in text for text in texts) == 1
    assert len(texts) == 4


async def test_a_german_is_spoken_to_in_german(doors: Doors, telegram: TelegramChat) -> None:
    await doors.open(Scripted("Gern."))
    ann = telegram.person("Anna", "de")
    ann.starts()
    await doors.settle()
    assert telegram.shown(ann)[0].text.startswith("Hallo! Ich bin Atelier")
    telegram.says(ann, "Hallo!")
    await doors.settle()
    assert "Eine Frage, nur einmal" in telegram.shown(ann)[-1].text
    telegram.presses(ann, telegram.shown(ann)[-1], "Nein")
    await doors.settle()
    assert telegram.shown(ann)[-1].text.startswith("Verstanden.")
    answer = next(shown for shown in telegram.shown(ann) if "👍" in shown.buttons)
    telegram.presses(ann, answer, "👍")
    await doors.settle()
    assert telegram.shown(ann)[-1].text == "Danke, notiert."
    telegram.orders(ann, "help")
    await doors.settle()
    assert telegram.shown(ann)[-1].text.startswith("Stell eine Frage")


async def test_slack_greets_at_the_first_look_and_not_at_each(doors: Doors, slack: SlackChat) -> None:
    await doors.open(Scripted("Gladly."))
    ann = slack.person("Ann")
    for tab in ("messages", "messages", "home"):
        ann.opens_app(tab)
        await doors.settle()
    (greeting,) = slack.shown(ann)
    assert greeting.text.startswith("Hello! I am Atelier")
    assert len(slack.emulator.prompts(ann.dm)) == 3


async def test_in_a_group_where_it_cannot_read_along_it_says_so(doors: Doors, telegram: TelegramChat) -> None:
    await doors.open(Scripted("Gladly."))
    ann = telegram.person("Ann")
    group = telegram.emulator.group("Group", [ann], privacy=True)
    await doors.settle()
    (greeting,) = telegram.shown(Room(group))
    assert "privacy mode is on" in greeting.text
    assert "/setprivacy" in greeting.text


async def test_brought_into_a_channel_it_says_how_to_be_called(doors: Doors, slack: SlackChat) -> None:
    await doors.open(Scripted("Gladly."))
    ann = slack.person("Ann")
    channel = slack.emulator.channel("C98", "new", members=[ann], bot_in=False)
    ann.adds_bot(channel)
    await doors.settle()
    (greeting,) = slack.shown(Room(channel))
    assert "Mention me" in greeting.text
