"""Slack by HTTP events against emulate: people write in channels, threads and directly; the core answers; they see."""

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from connectors import compose
from tests.connectors.desk.doors import Scripted
from tests.foreign.servers import HOST, Served, answering, serving, until

BOT, SECRET = "UBOT", "the-signing-secret"
VACATION = "# Vacation\n\nEverybody has thirty days of vacation a year.\n"
QUESTION = "How many days of vacation do we have a year?"

Json = dict[str, Any]  # a message or a payload of Slack's


@dataclass
class Slack:
    """emulate behind a go-between that does what Slack does and emulate does not. calls: the methods called."""

    port: int
    front: int
    session: aiohttp.ClientSession
    doors: str = ""
    calls: list[str] = field(default_factory=list)

    async def forward(self, request: web.Request) -> web.Response:
        where, body = str(request.rel_url), await request.read()
        verb, kept = request.method, ("Authorization", "Content-Type")
        headers = {name: request.headers[name] for name in kept if name in request.headers}
        is_method = request.path.startswith("/api/")
        if is_method:
            self.calls.append(request.path.removeprefix("/api/"))
        if is_method and not body:
            # emulate reads bodies only; Slack also the query (https://docs.slack.dev/apis/web-api/#basics).
            verb, where, body = "POST", request.path, request.query_string.encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        url = f"http://{HOST}:{self.port}{where}"
        async with self.session.request(verb, url, data=body, headers=headers) as answer:
            if is_method and answer.status == 404:
                # Slack names the error, with status 200 (https://docs.slack.dev/apis/web-api/#responses).
                return web.json_response({"ok": False, "error": "unknown_method"})
            back = {
                name: answer.headers[name] for name in ("Content-Type", "Content-Disposition") if name in answer.headers
            }
            return web.Response(status=answer.status, body=await answer.read(), headers=back)

    async def delivers(self, payload: Json, secret: str = SECRET) -> int:
        """Slack's request to us (https://docs.slack.dev/apis/events-api); its status. emulate, run, sends none."""
        is_event = payload["type"] == "event_callback"
        text = json.dumps(payload)
        data = (text if is_event else urlencode({"payload": text})).encode()
        now = str(int(time.time()))
        digest = hmac.new(secret.encode(), f"v0:{now}:".encode() + data, hashlib.sha256).hexdigest()
        kind = "application/json" if is_event else "application/x-www-form-urlencoded"
        headers = {"X-Slack-Request-Timestamp": now, "X-Slack-Signature": f"v0={digest}", "Content-Type": kind}
        async with self.session.post(f"{self.doors}/slack/events", data=data, headers=headers) as answer:
            return answer.status

    async def tells(self, event: Json, secret: str = SECRET) -> int:
        team, number = "T000000001", f"Ev{uuid.uuid4().hex}"
        envelope = {"type": "event_callback", "team_id": team, "event_id": number, "event_time": int(time.time())}
        return await self.delivers(envelope | {"event": event}, secret)


@dataclass
class Person:
    slack: Slack
    client: AsyncWebClient
    id: str = ""
    direct: str = ""
    team: str = ""

    @classmethod
    async def named(cls, name: str, slack: Slack) -> "Person":
        client = AsyncWebClient(f"xoxp-{name}", f"http://{HOST}:{slack.front}/api/", session=slack.session)
        user = (await client.auth_test())["user_id"]
        direct = (await client.conversations_open(users=BOT))["channel"]["id"]
        channels = (await client.api_call("conversations.list", json={}))["channels"]
        return cls(slack, client, user, direct, next(each["id"] for each in channels if each["name"] == "team"))

    async def writes(self, text: str, channel: str = "", thread: str | None = None, *, told: bool = True) -> str:
        """told: whether Slack tells the app; else it was written before the app was there."""
        channel = channel or self.direct
        posted = await self.client.chat_postMessage(channel=channel, text=text, thread_ts=thread)
        if told:
            await self._told(posted["message"], channel)
        return str(posted["ts"])

    async def shares(self, path: Path, comment: str) -> None:
        await self.client.files_upload_v2(file=str(path), channel=self.direct, initial_comment=comment)
        history = await self.client.conversations_history(channel=self.direct)
        await self._told(next(each for each in history["messages"] if each.get("files")), self.direct)

    async def _told(self, message: Json, channel: str) -> None:
        """emulate's event lacks the channel's type; a mention is told twice, by two events."""
        event = message | {"channel": channel, "channel_type": "im" if channel.startswith("D") else "channel"}
        assert await self.slack.tells(event) == 200
        if f"<@{BOT}>" in message["text"]:
            assert await self.slack.tells(event | {"type": "app_mention"}) == 200

    async def presses(self, message: Json, channel: str, sign: str) -> None:
        """https://docs.slack.dev/reference/interaction-payloads/block_actions-payload; emulate has no buttons."""
        pair = next(
            each for block in message["blocks"] for each in block.get("elements", ()) if "positive_button" in each
        )
        half = pair["positive_button" if sign == "👍" else "negative_button"]
        action = {"type": "feedback_buttons", "action_id": pair["action_id"], "value": half["value"]}
        where = {"type": "message", "message_ts": message["ts"], "channel_id": channel}
        payload = {"type": "block_actions", "team": {"id": "T000000001"}, "user": {"id": self.id}, "container": where}
        payload |= {"channel": {"id": channel}, "message": message, "actions": [action], "trigger_id": uuid.uuid4().hex}
        assert await self.slack.delivers(payload) == 200

    async def seen(self, channel: str, thread: str = "") -> list[Json]:
        """The bot's messages in a channel, or in a thread of it, as they stand there now; oldest first."""
        given = {"channel": channel, "ts": thread} if thread else {"channel": channel}
        answer = await self.client.api_call("conversations.replies" if thread else "conversations.history", json=given)
        return sorted((each for each in answer["messages"] if each["user"] == BOT), key=lambda each: each["ts"])

    async def sees(self, words: str, channel: str = "", thread: str = "") -> Json:
        async def look() -> Json | None:
            messages = await self.seen(channel or self.direct, thread)
            return next((each for each in messages if words in json.dumps(each, ensure_ascii=False)), None)

        return await until(look)


@pytest.fixture
async def slack(emulate_ports: tuple[int, int]) -> AsyncIterator[Slack]:
    async with aiohttp.ClientSession() as session:
        made = Slack(*emulate_ports, session)
        async with answering(made.front, made.forward):
            yield made


@pytest.fixture
def scripted() -> Scripted:
    return Scripted("Gladly, and at once.")


@pytest.fixture
async def house(
    request: pytest.FixtureRequest, slack: Slack, furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Served]:
    if "scripted" in request.fixturenames:
        generator = request.getfixturevalue("scripted")
        monkeypatch.setattr(compose, "make_generator", lambda *_: generator)
    given = {"slack_bot_token": "xoxb-bot", "slack_signing_secret": SECRET}
    given |= {"slack_api": f"http://{HOST}:{slack.front}/api/"}
    async with serving(furnished, tmp_path / "home", **given) as served:
        slack.doors = served.url
        yield served


@pytest.fixture
async def ann(slack: Slack) -> Person:
    return await Person.named("ann", slack)


@pytest.fixture
async def bob(slack: Slack) -> Person:
    return await Person.named("bob", slack)


async def test_a_direct_message_is_answered_by_one_message_that_is_edited(
    house: Served, slack: Slack, ann: Person
) -> None:
    house.add("vacation.md", VACATION)
    asked = await ann.writes(QUESTION)
    answer = await ann.sees("thirty days")
    assert "vacation.md" in json.dumps(answer["blocks"])
    assert [block["type"] for block in answer["blocks"]][-2:] == ["context_actions", "actions"]  # ratings, Why?
    assert answer["edited"]["user"] == BOT
    assert float(answer["ts"]) > float(asked)
    assert "chat.update" in slack.calls


async def test_called_into_a_thread_it_has_read_it_and_answers_there_without_streams(
    house: Served, slack: Slack, scripted: Scripted, ann: Person, bob: Person
) -> None:
    thread = await ann.writes("The fair is on the ninth of May.", ann.team, told=False)
    await bob.writes("I book the train.", bob.team, thread, told=False)
    await ann.writes(f"<@{BOT}> Did we forget anything?", ann.team, thread)
    answer = await bob.sees("Gladly", bob.team, thread)
    assert answer["thread_ts"] == thread
    assert "edited" in answer
    lines = [line.text for line in scripted.prompts[0].history.lines]
    assert lines == ["The fair is on the ninth of May.", "I book the train."]
    await bob.writes(f"<@{BOT}> And what shall I pack?", bob.team, thread)

    async def both() -> bool:
        answers = await bob.seen(bob.team, thread)
        return len(answers) == 2 and all("edited" in each for each in answers)

    await until(both)
    assert slack.calls.count("chat.startStream") == 1  # refused once, it is not asked for again
    assert slack.calls.count("chat.stopStream") == 0


async def test_a_pressed_thumb_is_noted_and_thanked_for(house: Served, ann: Person) -> None:
    house.add("vacation.md", VACATION)
    before = len(await ann.seen(ann.direct))  # emulate keeps what other tests' houses answered: their buttons are void
    await ann.writes(QUESTION)

    async def answered() -> Json | None:
        messages = [each for each in (await ann.seen(ann.direct))[before:] if "thirty days" in json.dumps(each)]
        return next((each for each in messages if "edited" in each), None)

    await ann.presses(await until(answered), ann.direct, "👍")
    await ann.sees("Thank you, noted.")
    (rating,) = house.ratings(f"slack:{ann.id}")
    assert rating.rating == 1


async def test_a_file_is_fetched_and_answered_from(house: Served, bob: Person, tmp_path: Path) -> None:
    path = tmp_path / "fair.md"
    path.write_text("# Fair\n\nThe stand at the fair in Leipzig has the number 4711.\n")
    await bob.shares(path, "What number has the stand at the fair?")
    answer = await bob.sees("4711")
    assert "I have read fair.md for this conversation" in json.dumps(answer["blocks"])
    assert any(source.endswith("/fair.md") for source in house.documents())


async def test_what_is_not_signed_is_refused(house: Served, slack: Slack, ann: Person) -> None:
    event = {"type": "message", "channel": ann.direct, "channel_type": "im", "user": ann.id, "text": "Hello!"}
    before = len(await ann.seen(ann.direct))
    assert await slack.tells(event | {"ts": f"{time.time():.6f}"}, secret="another") == 401
    await asyncio.sleep(0.2)
    assert len(await ann.seen(ann.direct)) == before
    assert (await house.delivery.counts()).get("new", 0) == 0
