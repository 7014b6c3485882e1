"""Receiving by long polling from a Bot API server: nothing is lost, nothing blocks, nothing is told too early."""

import asyncio
import logging

import pytest

from agent.events import Button, Command, Edited, Joined, Opened, Post, Press, Reaction
from agent.message import Place
from connectors.telegram.connector import TelegramConnector
from retrieval.errors import StoreBusy
from tests.connectors.telegram.conftest import Inbox, connector_to
from tests.emulators.telegram import TelegramEmulator


async def test_a_private_message_arrives_and_is_then_confirmed(emulator: TelegramEmulator, inbox: Inbox) -> None:
    ann = emulator.person("Ann", language="de")
    written = ann.writes("Hallo")
    await emulator.until(lambda: inbox.events, 5)
    (post,) = inbox.events
    assert isinstance(post, Post)
    assert (post.text, post.direct, post.called, post.language) == ("Hallo", True, True, "de")
    assert (post.id, post.account) == (str(written.message_id), f"telegram:acme:{ann.id}")
    assert inbox.stored[0].conversation == post.place.key
    await emulator.until(lambda: emulator.pending() == 0, 5)


async def test_the_command_menu_is_set(emulator: TelegramEmulator, inbox: Inbox) -> None:
    await emulator.until(lambda: emulator.calls("setMyCommands"), 5)
    names = [command["command"] for command in emulator.calls("setMyCommands")[0].params["commands"]]
    assert {"help", "ask", "ideate", "sources", "why", "clear", "link", "consent", "forget", "stop"} <= set(names)


async def test_nothing_is_confirmed_before_it_is_stored(
    emulator: TelegramEmulator, connector: TelegramConnector
) -> None:
    gate = asyncio.Event()
    inbox = Inbox(connector, before=gate.wait)
    running = asyncio.create_task(connector.run(inbox.accept))
    emulator.person("Ann").writes("Keep me")
    await emulator.until(lambda: emulator.calls("getUpdates"), 5)
    await asyncio.sleep(0.2)
    assert emulator.pending() == 1
    running.cancel()  # the process dies here
    await asyncio.gather(running, return_exceptions=True)
    assert emulator.pending() == 1

    inbox.before = None
    again = asyncio.create_task(connector.run(inbox.accept))
    await emulator.until(lambda: inbox.stored and emulator.pending() == 0, 5)
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)
    assert [event.text for event in inbox.events] == ["Keep me"]


async def test_while_the_store_is_away_updates_wait_with_telegram(emulator: TelegramEmulator, inbox: Inbox) -> None:
    failures = iter([True, True])

    async def busy() -> None:
        if next(failures, False):
            raise StoreBusy("Another process is writing.")

    inbox.before = busy
    ann = emulator.person("Ann")
    for number in range(5):
        ann.writes(f"m{number}")
    await emulator.until(lambda: len(inbox.events) == 5, 10)
    assert [event.text for event in inbox.events] == ["m0", "m1", "m2", "m3", "m4"]


@pytest.mark.parametrize("status", [429, 500, 502])
async def test_an_outage_passes(emulator: TelegramEmulator, inbox: Inbox, status: int) -> None:
    await emulator.until(lambda: emulator.calls("getMe"), 5)
    emulator.outage(1.5, status)
    emulator.person("Ann").writes("Still here?")
    await emulator.until(lambda: inbox.events, 10)


async def test_it_begins_during_an_outage(emulator: TelegramEmulator, inbox: Inbox) -> None:
    emulator.outage(1.0)
    emulator.person("Ann").writes("Early")
    await emulator.until(lambda: inbox.events, 10)


async def test_a_lost_poll_is_repeated(emulator: TelegramEmulator, inbox: Inbox) -> None:
    emulator.delay("getUpdates", 0.3, lands=False)
    emulator.person("Ann").writes("Hello")
    await emulator.until(lambda: inbox.events, 10)


async def test_another_process_that_polls_is_named_in_the_log(
    emulator: TelegramEmulator, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.fail_next("getUpdates", 409)
    emulator.person("Ann").writes("Hello")
    await emulator.until(lambda: inbox.events, 10)
    await emulator.until(lambda: "Another process polls Telegram" in caplog.text, 10)  # perhaps of the next poll


async def test_one_poisoned_update_among_many(emulator: TelegramEmulator, inbox: Inbox) -> None:
    ann = emulator.person("Ann")
    for number in range(99):
        if number == 40:
            emulator.inject({"message": {"message_id": "x", "chat": [], "date": {}, "text": 7}})
        ann.writes(f"m{number}")
    await emulator.until(lambda: len(inbox.stored) == 100 and emulator.pending() == 0, 10)
    read, broken = [], []
    for stored in inbox.stored:
        try:
            read.append(inbox.connector.read(stored.payload))
        except ValueError:
            broken.append(stored)
    assert len(read) == 99
    (poison,) = broken
    assert poison.conversation == poison.key  # so it keeps nobody waiting


async def test_a_group_is_read_by_its_rules(emulator: TelegramEmulator, inbox: Inbox) -> None:
    ann, bo = emulator.person("Ann"), emulator.person("Bo")
    group = emulator.group("Tea", [ann, bo], privacy=False)
    ann.writes("just talking", group)
    ann.writes("@atelier_bot how long?", group)
    bo.writes("/ideate@atelier_bot cake", group)
    bo.writes("/ideate@other_bot cake", group)
    await emulator.until(lambda: len(inbox.stored) >= 6, 5)
    joined, talk, asked, command = inbox.events
    assert isinstance(joined, Joined)
    assert joined.sees_all
    assert isinstance(talk, Post)
    assert (talk.text, talk.called, talk.direct) == ("just talking", False, False)
    assert isinstance(asked, Post)
    assert (asked.text, asked.called) == ("how long?", True)
    assert isinstance(command, Command)
    assert (command.name, command.argument, command.account) == ("ideate", "cake", f"telegram:acme:{bo.id}")
    assert {event.place for event in inbox.events} == {Place("telegram", "acme", str(group.id))}


async def test_topics_are_places_of_their_own(emulator: TelegramEmulator, inbox: Inbox) -> None:
    ann = emulator.person("Ann")
    group = emulator.group("Tea", [ann], topics=True, privacy=False)
    green, black = group.topic("Green"), group.topic("Black")
    ann.writes("one", group, thread=green)
    ann.writes("two", group, thread=black)
    ann.writes("three", group)
    await emulator.until(lambda: sum(isinstance(event, Post) for event in inbox.events) == 3, 5)
    posts = [event for event in inbox.events if isinstance(event, Post)]
    assert [post.place.thread for post in posts] == [str(green), str(black), ""]
    assert not any(post.called for post in posts)


async def test_a_deep_link_and_an_edit(emulator: TelegramEmulator, inbox: Inbox) -> None:
    ann = emulator.person("Ann")
    ann.starts("link-7")
    written = ann.writes("teh")
    ann.edits(written, "the")
    await emulator.until(lambda: len(inbox.events) == 3, 5)
    opened, _, edited = inbox.events
    assert isinstance(opened, Opened)
    assert opened.parameter == "link-7"
    assert isinstance(edited, Edited)
    assert (edited.text, edited.message) == ("the", str(written.message_id))


async def test_a_press_is_acknowledged_once_it_is_stored(emulator: TelegramEmulator, inbox: Inbox) -> None:
    ann = emulator.person("Ann")
    written = ann.writes("Hello")
    place = Place("telegram", "acme", str(ann.id))
    await inbox.connector.open(place, "", "k", Button("s1", "Stop"))
    shown = emulator.seen(ann)[-1]
    query = ann.presses(shown, "Stop")
    await emulator.until(lambda: emulator.calls("answerCallbackQuery"), 5)
    told = ann.was_told(query)
    assert told is not None
    assert (told.text, told.alert) == ("", False)
    press = next(event for event in inbox.events if isinstance(event, Press))
    assert (press.button, press.message, press.place) == ("s1", str(shown.message_id), place)
    assert written.message_id < shown.message_id


async def test_reactions_arrive_where_the_bot_is_an_administrator(emulator: TelegramEmulator, inbox: Inbox) -> None:
    ann = emulator.person("Ann")
    group = emulator.group("Tea", [ann], privacy=False)
    group.promotes_bot()
    written = ann.writes("Let us brew", group)
    await emulator.until(lambda: inbox.events, 5)  # it has asked for reactions by now: older ones are not kept
    ann.reacts(written, "🔥")
    await emulator.until(lambda: inbox.events and isinstance(inbox.events[-1], Reaction), 5)
    reaction = inbox.events[-1]
    assert (reaction.emoji, reaction.message, reaction.is_added) == ("🔥", str(written.message_id), True)


async def test_neither_the_token_nor_a_word_of_anybody_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with TelegramEmulator(token="987:sEcReT") as emulator:
            connector = connector_to(emulator)
            inbox = Inbox(connector)
            running = asyncio.create_task(connector.run(inbox.accept))
            emulator.person("Ann").writes("my private words")
            emulator.fail_next("getUpdates", 500)
            await emulator.until(lambda: inbox.events, 5)
            emulator.outage(0.5)
            await asyncio.sleep(0.5)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await connector.close()
    ours = [record.getMessage() for record in caplog.records if record.name != "aiohttp.access"]
    assert not any("sEcReT" in message or "private words" in message for message in ours)
