"""One contract for every connector: Slack and Telegram against their emulators, and the fake that delivery runs on.

Each platform is looked at through what a person sees there now.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field

import pytest

from agent.events import Event, Outgoing, Post
from agent.message import Place, Source
from connectors.connector import Connector, Received
from connectors.slack.connector import SlackConnector
from connectors.telegram.connector import TelegramConnector
from tests.connectors.delivery.platform import PaperConnector, Platform, Power
from tests.emulators.slack import SlackEmulator
from tests.emulators.telegram import TelegramEmulator

WORDS = "The quick brown fox jumps over the lazy dog. "


@dataclass
class Door:
    """A connector, a private place on its platform, and how to look and write there."""

    connector: Connector
    place: Place
    account: str
    sees: Callable[[], list[str]]
    writes: Callable[[str], object]
    received: list[Received] = field(default_factory=list)

    @property
    def events(self) -> list[Event]:
        read = (self.connector.read(each.payload) for each in self.received)
        return [each for each in read if each is not None]

    async def accept(self, events) -> None:
        self.received += events


async def _slack(stack: AsyncExitStack) -> Door:
    slack = await stack.enter_async_context(SlackEmulator())
    connector = SlackConnector("acme", bot_token=slack.bot_token, app_token=slack.app_token, api=slack.api_url)
    ann = slack.person("U1", "Ann")
    door = Door(
        connector,
        Place("slack", "acme", ann.dm),
        "slack:acme:U1",
        lambda: [each.text for each in slack.seen(ann.dm) if each.author == "bot"],
        ann.writes,
    )
    await _run(stack, door, lambda: bool(slack.connections))
    return door


async def _telegram(stack: AsyncExitStack) -> Door:
    telegram = await stack.enter_async_context(TelegramEmulator())
    connector = TelegramConnector(telegram.token, "acme", api=telegram.base_url.removesuffix("/bot"))
    ann = telegram.person("Ann")
    ann.starts("")
    chat = telegram.seen(ann)[0].chat_id
    door = Door(
        connector,
        Place("telegram", "acme", str(chat)),
        f"telegram:acme:{chat}",
        lambda: [each.text for each in telegram.seen(ann) if each.author == "bot"],
        ann.writes,
    )
    await _run(stack, door, lambda: bool(telegram.calls("getUpdates")))
    return door


async def _paper(stack: AsyncExitStack) -> Door:
    platform = Platform()
    connector = PaperConnector(platform, Power(), edits_only=False)
    place = Place("paper", "team", "ann")
    return Door(connector, place, "paper:team:ann", lambda: [each.text for each in platform.messages], lambda _: None)


async def _run(stack: AsyncExitStack, door: Door, is_up: Callable[[], bool]) -> None:
    running = asyncio.create_task(door.connector.run(door.accept))
    stack.push_async_callback(door.connector.close)

    async def end() -> None:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    stack.push_async_callback(end)
    await _until(is_up)


async def _until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not reached():  # noqa: ASYNC110 - the emulators tell nobody
            await asyncio.sleep(0.01)


OPENERS = {"slack": _slack, "telegram": _telegram, "paper": _paper}


@pytest.fixture(params=sorted(OPENERS))
async def door(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with AsyncExitStack() as stack:
        yield await OPENERS[request.param](stack)


async def test_an_opened_message_is_seen_and_becomes_the_answer(door: Door) -> None:
    handle = await door.connector.open(door.place, door.account, "k")
    assert len(handle) <= 200
    assert len(door.sees()) == 1
    await door.connector.send(Outgoing(door.place, "The answer."), "k-0", handle)
    assert door.sees() == ["The answer."]


async def test_sending_into_an_opened_message_again_changes_nothing(door: Door) -> None:
    handle = await door.connector.open(door.place, door.account, "k")
    sent = [await door.connector.send(Outgoing(door.place, "The answer."), "k-0", handle) for _ in range(3)]
    assert door.sees() == ["The answer."]
    assert len(set(sent)) == 1


async def test_previews_are_replaced_by_the_answer(door: Door) -> None:
    handle = await door.connector.open(door.place, door.account, "k")
    for text in ("The", "The wrong", "The wrong answer"):
        await door.connector.show(door.place, handle, text)
    await door.connector.send(Outgoing(door.place, "Something else."), "k-0", handle)
    assert door.sees() == ["Something else."]


async def test_another_process_finishes_what_one_began(door: Door) -> None:
    """The handle is all that is needed: nothing is kept in memory."""
    handle = await door.connector.open(door.place, door.account, "k")
    await door.connector.show(door.place, handle, "The")
    door.connector.__dict__.get("_previews", {}).clear()
    await door.connector.send(Outgoing(door.place, "The answer."), "k-0", handle)
    assert door.sees() == ["The answer."]


async def test_a_new_message_is_found_by_its_key_or_is_never_sent_blindly(door: Door) -> None:
    if door.connector.edits_only:  # so `send` is always given a handle, and nothing needs finding
        assert await door.connector.find(door.place, "k-0") is None
        return
    message = await door.connector.send(Outgoing(door.place, "News."), "k-0")
    assert await door.connector.find(door.place, "k-0") == message
    assert await door.connector.find(door.place, "k-1") is None


async def test_long_answers_are_cut_and_nothing_is_lost(door: Door) -> None:
    text = WORDS * 400
    sources = (Source(1, "handbook.md: Leave", 7),)
    parts = door.connector.parts(Outgoing(door.place, text, sources))
    for number, part in enumerate(parts):
        handle = await door.connector.open(door.place, door.account, f"k{number}")
        await door.connector.send(part, f"k-{number}", handle)
    shown = " ".join(door.sees())
    assert shown.count("lazy dog") == 400
    if door.connector.name != "paper":
        assert len(parts) > 1
        assert "handbook.md: Leave" in door.sees()[-1]


@pytest.mark.parametrize("door", ["slack", "telegram"], indirect=True)
async def test_what_a_person_writes_is_an_event_after_it_was_accepted(door: Door) -> None:
    await door.connector.check()
    door.writes("How many days of leave?")
    await _until(lambda: any(isinstance(each, Post) for each in door.events))
    [post] = [each for each in door.events if isinstance(each, Post)]
    assert (post.text, post.place, post.account) == ("How many days of leave?", door.place, door.account)
    assert post.direct
    assert {each.conversation for each in door.received if "message" in each.key} == {door.place.key}
