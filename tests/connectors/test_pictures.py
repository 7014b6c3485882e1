"""A picture on each platform: shown once, with its words, whatever happens to the call that put it up."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from agent.events import Outgoing, Picture
from agent.message import Place
from connectors.connector import Unsure
from connectors.delivery.wire import read_outgoing, write_outgoing
from connectors.slack.connector import SlackConnector
from connectors.telegram.connector import TelegramConnector
from tests.emulators.slack import SlackEmulator
from tests.emulators.telegram import TelegramEmulator

PICTURE = Picture(b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "The loss **falls**.")


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


async def _telegram(stack: AsyncExitStack) -> tuple[TelegramEmulator, TelegramConnector, Place]:
    emulator = await stack.enter_async_context(TelegramEmulator())
    connector = TelegramConnector(emulator.token, "acme", api=emulator.base_url.removesuffix("/bot"))
    stack.push_async_callback(connector.close)
    ann = emulator.person("Ann")
    ann.starts("")
    return emulator, connector, Place("telegram", "acme", str(ann.id))


async def _slack(stack: AsyncExitStack) -> tuple[SlackEmulator, SlackConnector, Place]:
    emulator = await stack.enter_async_context(SlackEmulator())
    connector = SlackConnector("acme", bot_token=emulator.bot_token, app_token=emulator.app_token, api=emulator.api_url)
    stack.push_async_callback(connector.close)
    return emulator, connector, Place("slack", "acme", emulator.person("U1", "Ann").dm)


def test_a_picture_survives_the_store() -> None:
    outgoing = Outgoing(Place("slack", "acme", "C1"), "Done.", pictures=(PICTURE,))
    assert read_outgoing(write_outgoing(outgoing)) == outgoing


async def test_telegram_puts_the_picture_into_the_placeholder(stack: AsyncExitStack) -> None:
    emulator, connector, place = await _telegram(stack)
    text, picture = connector.parts(Outgoing(place, "Done.", pictures=(PICTURE,)))
    assert (text.text, text.pictures) == ("Done.", ())
    handle = await connector.open(place, "", "k")
    for _ in range(2):  # as after a crash
        await connector.send(picture, "k-1", handle)
    (shown,) = [line for line in emulator.seen(int(place.channel)) if line.author == "bot"]
    assert (shown.text, shown.file) == ("The loss falls.", "photo")


async def test_a_telegram_that_adds_no_pictures_shows_the_words(stack: AsyncExitStack) -> None:
    emulator, connector, place = await _telegram(stack)
    emulator.fail_next("editMessageMedia", 400)
    handle = await connector.open(place, "", "k")
    await connector.send(connector.parts(Outgoing(place, "", pictures=(PICTURE,)))[-1], "k-1", handle)
    assert emulator.seen(int(place.channel))[-1].text == "The loss falls."


async def test_slack_shares_the_picture_and_finds_it_by_its_key(stack: AsyncExitStack) -> None:
    emulator, connector, place = await _slack(stack)
    text, picture = connector.parts(Outgoing(place, "Done.", pictures=(PICTURE,)))
    assert (text.text, text.pictures) == ("Done.", ())
    assert await connector.find(place, "k-1") is None
    await connector.send(picture, "k-1")
    (shown,) = [line for line in emulator.seen(place.channel) if line.files]
    assert len(shown.files) == 1
    assert await connector.find(place, "k-1") == shown.ts
    assert await connector.find(place, "k-2") is None


@pytest.mark.parametrize("landed", [True, False])
async def test_where_slack_does_not_say_whether_the_picture_arrived_it_can_be_looked_up(
    stack: AsyncExitStack, *, landed: bool
) -> None:
    emulator, connector, place = await _slack(stack)
    picture = connector.parts(Outgoing(place, "", pictures=(PICTURE,)))[-1]
    emulator.fail_next("files.completeUploadExternal", status=500, landed=landed)
    with pytest.raises(Unsure):
        await connector.send(picture, "k-1")
    assert bool(await connector.find(place, "k-1")) == landed  # if not, it is sent again
