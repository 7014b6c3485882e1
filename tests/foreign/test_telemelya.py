"""Telegram by webhook against telemelya: a person writes, presses, sends files and sees what the core answers."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from telemelya.client import TelegramTestClient

from connectors.telegram import connector
from tests.foreign.servers import HOST, Served, answering, free_port, serving, until

TOKEN, SECRET = "123456789:foreign", "a-secret-of-the-webhook"
VACATION = "# Vacation\n\nEverybody has thirty days of vacation a year.\n"
QUESTION = "How many days of vacation do we have a year?"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(64)
_chats = itertools.count(int(time.time()))

Json = dict[str, Any]  # a message or a call as telemelya notes it


class Person:
    """Somebody in a private chat with the bot. webhook: where telemelya would deliver an update."""

    def __init__(self, server: str, webhook: str) -> None:
        self.id = next(_chats)
        self._webhook = webhook
        self._client = TelegramTestClient(server, "no key is set", TOKEN)

    async def writes(self, text: str) -> None:
        given = (self._client.send_command if text.startswith("/") else self._client.send_message, self.id, text)
        answer = await asyncio.to_thread(*given)
        assert answer["delivery"]["status_code"] == 200

    async def presses(self, message: Json, label: str) -> None:
        rows = message["reply_markup"]["inline_keyboard"]
        (data,) = (button["callback_data"] for row in rows for button in row if button["text"] == label)
        answer = await asyncio.to_thread(self._client.send_callback_query, self.id, data, message["message_id"])
        assert answer["delivery"]["status_code"] == 200

    async def sends_photo(self, path: Path) -> None:
        await asyncio.to_thread(self._client.send_photo, self.id, str(path))

    async def sends_document(self, path: Path, caption: str) -> None:
        """telemelya can upload any file but delivers photos only: Telegram sends other files as `document`."""
        file_id = await asyncio.to_thread(self._client.upload_media, str(path))
        number = int(time.time() * 1000) % 1_000_000
        document = {"file_id": file_id, "file_unique_id": "unique", "file_name": path.name}
        someone = {"id": self.id, "is_bot": False, "first_name": "Ann"}
        chat = {"id": self.id, "type": "private"}
        message = {"message_id": number, "from": someone, "chat": chat, "date": int(time.time())}
        update = {"update_id": number, "message": message | {"document": document, "caption": caption}}
        async with aiohttp.ClientSession() as session, session.post(self._webhook, json=update) as answer:
            assert answer.status == 200

    async def calls(self) -> list[Json]:
        """What the bot did in this chat, in order."""
        return await asyncio.to_thread(self._client.get_responses)

    async def seen(self) -> list[Json]:
        """The bot's messages as they stand in the chat now."""
        messages: dict[int, Json] = {}
        for call in await self.calls():
            if call["method"] in ("sendMessage", "editMessageText"):
                messages[call["message_id"]] = call
            elif call["method"] == "deleteMessage":
                messages.pop(call["message_id"], None)
        return list(messages.values())

    async def sees(self, words: str) -> Json:
        """The first message of the bot's with these words."""

        async def look() -> Json | None:
            return next((message for message in await self.seen() if words in message["text"]), None)

        return await until(look)

    def close(self) -> None:
        self._client.close()


@pytest.fixture
async def served(telemelya_server: str, furnished: Path, tmp_path: Path) -> AsyncIterator[tuple[Served, str]]:
    """The house, and the address under which it has told Telegram to deliver."""
    port, doors = free_port(), ""

    async def deliver(request: web.Request) -> web.Response:
        """telemelya drops the secret; Telegram sends it along (https://core.telegram.org/bots/api#setwebhook)."""
        headers = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
        body = await request.read()
        async with session.post(f"{doors}{request.path}", data=body, headers=headers) as answer:
            return web.Response(status=answer.status)

    webhook = f"http://{HOST}:{port}/telegram"
    given = {"telegram_token": TOKEN, "telegram_api": telemelya_server}
    given |= {"telegram_webhook": webhook, "telegram_secret": SECRET}
    async with (
        aiohttp.ClientSession() as session,
        answering(port, deliver),
        serving(furnished, tmp_path / "home", **given) as house,
    ):
        doors = house.url

        async def is_set() -> bool:
            async with session.post(f"{telemelya_server}/bot{TOKEN}/getWebhookInfo") as answer:
                return (await answer.json())["result"]["url"] == webhook

        await until(is_set)
        yield house, webhook


@pytest.fixture
def ann(telemelya_server: str, served: tuple[Served, str]) -> Iterator[Person]:
    person = Person(telemelya_server, served[1])
    yield person
    person.close()


@pytest.fixture
def house(served: tuple[Served, str]) -> Served:
    return served[0]


def labels(message: Json) -> list[str]:
    return [button["text"] for row in (message["reply_markup"] or {}).get("inline_keyboard", []) for button in row]


async def test_a_placeholder_becomes_the_answer_with_its_buttons(
    house: Served, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connector, "_TYPING", 0.0)  # as for an answer that takes long: a quick one needs no "typing"
    house.add("vacation.md", VACATION)
    await ann.writes(QUESTION)
    answer = await ann.sees("thirty days")
    assert "vacation.md" in answer["text"]
    assert labels(answer) == ["👍", "👎", "Why?"]
    shown = [call for call in await ann.calls() if call.get("message_id") == answer["message_id"]]
    assert (shown[0]["method"], shown[0]["text"], labels(shown[0])) == ("sendMessage", "…", ["Stop"])
    assert {call["method"] for call in shown[1:]} == {"editMessageText"}
    assert "sendChatAction" in {call["method"] for call in await ann.calls()}

    async def consent_is_asked() -> bool:
        return labels((await ann.seen())[-1]) == ["Yes", "No"]

    await until(consent_is_asked)


async def test_a_pressed_thumb_is_acknowledged_noted_and_thanked_for(house: Served, ann: Person) -> None:
    house.add("vacation.md", VACATION)
    await ann.writes(QUESTION)
    await ann.presses(await ann.sees("thirty days"), "👍")
    await ann.sees("Thank you, noted.")
    (rating,) = house.ratings(f"telegram:{ann.id}")
    assert rating.rating == 1
    assert "answerCallbackQuery" in {call["method"] for call in await ann.calls()}


async def test_commands_are_carried_out(house: Served, ann: Person) -> None:
    house.add("vacation.md", VACATION)
    await ann.writes(QUESTION)
    await ann.sees("thirty days")
    await ann.writes("/sources")
    await ann.sees("[1] vacation.md")
    await ann.writes("/help")
    await ann.sees("/forget")


async def test_a_file_is_fetched_and_answered_from(house: Served, ann: Person, tmp_path: Path) -> None:
    path = tmp_path / "fair.md"
    path.write_text("# Fair\n\nThe stand at the fair in Leipzig has the number 4711.\n")
    await ann.writes("Hello!")  # so that telemelya knows whose chat it is
    await ann.sees("")
    await ann.sends_document(path, "What number has the stand at the fair?")
    answer = await ann.sees("4711")
    assert "I have read fair.md for this conversation" in answer["text"]
    assert any(source.endswith("/fair.md") for source in house.documents())


async def test_a_picture_that_cannot_be_read_is_said_to_be(house: Served, ann: Person, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(PICTURE)
    await ann.sends_photo(path)
    await ann.sees("Pictures cannot be read yet, so photo.jpg was left out.")
    assert not any("photo" in source for source in house.documents())
