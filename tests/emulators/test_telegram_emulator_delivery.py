"""The Telegram emulator's updates, webhook, wire, faults and threads, with the unmodified python-telegram-bot."""

import asyncio
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from aiohttp import web
from telegram import (
    Bot,
    Update,
)
from telegram.error import BadRequest, Conflict, InvalidToken, NetworkError, RetryAfter, TimedOut

from tests.emulators.telegram import FloodLimits, Seen, TelegramEmulator
from tests.emulators.telegram_faults import Flood
from tests.emulators.telegram_library import BUTTONS, connected, drain
from tests.emulators.telegram_values import ApiError

# Updates


async def test_an_update_comes_again_until_it_is_confirmed(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann", language="de")
    for text in ("one", "two", "three"):
        ann.writes(text)
    first = await bot.get_updates(limit=2, timeout=0)
    again = await bot.get_updates(timeout=0)
    assert [update.message.text for update in first] == ["one", "two"]
    assert [update.message.text for update in again] == ["one", "two", "three"]
    assert again[0].effective_user.language_code == "de"
    rest = await bot.get_updates(offset=first[1].update_id + 1, timeout=0)
    assert [update.message.text for update in rest] == ["three"]
    assert [update.update_id for update in await bot.get_updates(timeout=0)] == [rest[0].update_id]
    assert emulator.pending() == 1
    assert (await bot.get_updates(offset=-1, timeout=0))[0].message.text == "three"


async def test_a_long_poll_ends_when_something_arrives_or_at_its_time(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann")
    began = time.monotonic()
    assert await bot.get_updates(timeout=1) == ()
    assert 0.9 < time.monotonic() - began < 10
    poll = asyncio.create_task(bot.get_updates(timeout=20))
    await asyncio.sleep(0.1)
    await asyncio.to_thread(ann.writes, "hello")
    began = time.monotonic()
    assert [update.message.text for update in await poll] == ["hello"]
    assert time.monotonic() - began < 5


async def test_a_second_poller_ends_the_first(emulator: TelegramEmulator, bot: Bot) -> None:
    first = asyncio.create_task(bot.get_updates(timeout=20))
    await asyncio.sleep(0.1)
    async with connected(emulator) as second:
        await second.get_updates(timeout=0)
    with pytest.raises(Conflict):
        await first


async def test_allowed_updates_hold_for_what_comes_later(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann")
    await bot.get_updates(timeout=0, allowed_updates=["callback_query"])
    ann.writes("unheard")
    await bot.get_updates(timeout=0, allowed_updates=[])
    ann.writes("heard")
    assert [update.message.text for update in await drain(bot)] == ["heard"]


async def test_any_raw_update_can_be_injected(emulator: TelegramEmulator, bot: Bot) -> None:
    injected = emulator.inject({"message": {"message_id": "x"}, "update_id": "ignored"})
    response = await bot._request[0].do_request(f"{emulator.base_url}{emulator.token}/getUpdates", "GET")
    assert json.loads(response[1])["result"] == [{"message": {"message_id": "x"}, "update_id": injected}]


# The wire


async def test_json_form_and_query_are_taken_and_nonsense_refused(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann")
    ann.starts()

    def ask(path: str, body: str | None = None, kind: str = "application/json") -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", int(emulator.base_url.split(":")[2].split("/")[0]))
        connection.request("POST" if body else "GET", path, body, {"Content-Type": kind})
        response = connection.getresponse()
        found = response.status, json.loads(response.read())
        connection.close()
        return found

    message = json.dumps({"chat_id": ann.id, "text": "json", "reply_markup": BUTTONS.to_dict()})
    form = f"chat_id={ann.id}&text=form"
    for path, body, kind in (
        ("/bot123:abc/sendMessage", message, "application/json"),
        ("/bot123:abc/SENDMESSAGE", form, "application/x-www-form-urlencoded"),
        (f"/bot123:abc/sendMessage?{form}".replace("form", "query"), None, "text/plain"),
    ):
        assert (await asyncio.to_thread(ask, path, body, kind))[0] == 200
    assert [(message.text, message.buttons) for message in emulator.seen(ann)[1:]] == [
        ("json", (("👍", "👎"),)), ("form", ()), ("query", ()),
    ]  # fmt: skip
    for path, body, status in (
        ("/bot123:abc/flyToTheMoon", "{}", 404),
        ("/bot999:xyz/getMe", None, 401),
        ("/botnonsense/getMe", None, 404),
        ("/bot123:abc/sendMessage", "[]", 400),
        ("/bot123:abc/sendMessage", "{" * 100_000, 400),
        ("/bot123:abc/sendMessage", '{"chat_id": "x", "text": "y"}', 400),
        ("/bot123:abc/getUpdates", '{"limit": 1000}', 400),
    ):
        answered, reply = await asyncio.to_thread(ask, path, body)
        assert (answered, reply["ok"], reply["error_code"]) == (status, False, status)
    with pytest.raises(InvalidToken):
        async with connected(emulator, "999:xyz"):
            pass


async def test_half_a_request_of_a_dead_bot_has_no_effect(
    emulator: TelegramEmulator, bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    ann = emulator.person("Ann")
    ann.starts()
    port = int(emulator.base_url.split(":")[2].split("/")[0])
    for kind in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /bot123:abc/sendMessage HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: 99\r\n\r\n"
        writer.write(f'{head}{{"chat_id": {ann.id}'.encode())
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()
    await bot.send_message(ann.id, "whole")
    assert [message.text for message in emulator.seen(ann)[1:]] == ["whole"]
    assert [call.status for call in emulator.calls("sendMessage")] == [200]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_webhook_posts_in_order_until_each_is_taken(emulator: TelegramEmulator, bot: Bot) -> None:
    ann, bob = emulator.person("Ann"), emulator.person("Bob")
    got: list[tuple[str, str]] = []
    refusals = [500, 401, 503]

    async def take(request: web.Request) -> web.Response:
        update = Update.de_json(await request.json(), bot)
        if refusals:
            return web.Response(status=refusals.pop())
        got.append((update.message.text, request.headers["X-Telegram-Bot-Api-Secret-Token"]))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    ann.writes("a1")
    await bot.set_webhook(url, secret_token="open-sesame", allowed_updates=["message"])
    with pytest.raises(Conflict):
        await bot.get_updates()
    for index in range(2, 6):
        ann.writes(f"a{index}")
        bob.writes(f"b{index}")
    await emulator.until(lambda: len(got) == 9, timeout=10)
    assert [text for text, _ in got if text[0] == "a"] == ["a1", "a2", "a3", "a4", "a5"]
    assert [text for text, _ in got if text[0] == "b"] == ["b2", "b3", "b4", "b5"]
    assert {secret for _, secret in got} == {"open-sesame"}
    info = await bot.get_webhook_info()
    assert (info.url, info.pending_update_count, info.allowed_updates) == (url, 0, ("message",))
    assert info.last_error_message.startswith("Wrong response from the webhook")
    await runner.cleanup()
    ann.writes("nobody takes it")
    await asyncio.sleep(0.15)
    assert (await bot.get_webhook_info()).last_error_message == "Connection refused or closed"
    await bot.delete_webhook()
    assert [update.message.text for update in await drain(bot)] == ["nobody takes it"]
    ann.writes("dropped")
    await bot.delete_webhook(drop_pending_updates=True)
    assert await drain(bot) == []
    with pytest.raises(BadRequest, match=r"(?i)HTTPS"):
        await bot.set_webhook("ftp://x")
    with pytest.raises(BadRequest, match=r"(?i)secret"):
        await bot.set_webhook(url, secret_token="open sesame")


# Trouble


async def test_flood_control_is_off_until_asked_for(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann")
    ann.starts()
    group = emulator.group("Team", [ann])
    for index in range(25):
        await bot.send_message(group.id, str(index))
    emulator.flood = True
    emulator.flood_limits = FloodLimits(private_seconds=60, group_per_minute=2)
    sent = [await bot.send_message(ann.id, str(index)) for index in range(3)]
    with pytest.raises(RetryAfter) as refused:
        await bot.edit_message_text("edits count", ann.id, sent[0].message_id)
    assert 30 < refused.value.retry_after.total_seconds() <= 60
    assert emulator.calls("editMessageText")[-1].retry_after == refused.value.retry_after.total_seconds()
    for _ in range(2):
        await bot.send_message(group.id, "x")
    with pytest.raises(RetryAfter):
        await bot.send_message(group.id, "x")
    assert emulator.history(sent[0].message_id, ann) == ["0"]


@pytest.mark.parametrize(
    ("chats", "step", "taken", "retry_after"),
    [
        ([7], 0.0, 3, 1),  # one chat: a burst of three, then one a second
        ([7], 0.5, 5, 1),
        ([7], 1.0, 100, None),
        ([-7], 0.0, 20, 60),  # a group: 20 a minute
        ([-7], 1.0, 20, 40),
        ([-7], 3.0, 100, None),
        (range(1, 101), 0.0, 30, 1),  # overall: 30 a second
        (range(1, 101), 0.05, 100, None),
    ],
)
def test_the_limits_of_flood_control(chats: Sequence[int], step: float, taken: int, retry_after: int | None) -> None:
    flood = Flood()
    refusal = None
    count = 0
    while count < 100 and refusal is None:
        try:
            flood.check(chats[count % len(chats)], 1000 + count * step)
            count += 1
        except ApiError as error:
            refusal = error.retry_after
    assert (count, refusal) == (taken, retry_after)


async def test_ordered_faults(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann")
    ann.starts()
    emulator.fail_next("sendMessage", 429, retry_after=7)
    with pytest.raises(RetryAfter) as refused:
        await bot.send_message(ann.id, "x")
    assert refused.value.retry_after.total_seconds() == 7
    emulator.fail_next("sendMessage", 500, times=2)
    for _ in range(2):
        with pytest.raises(NetworkError, match="Internal Server Error"):
            await bot.send_message(ann.id, "x")
    emulator.outage(0.5)
    with pytest.raises(NetworkError, match="Bad Gateway"):
        await bot.get_me()
    await asyncio.sleep(0.55)
    await bot.send_message(ann.id, "y")
    assert [message.text for message in emulator.seen(ann)[1:]] == ["y"]
    assert [call.status for call in emulator.calls("sendMessage")] == [429, 500, 500, 200]


async def test_a_call_lands_after_the_bot_gave_up_or_never(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann")
    ann.starts()
    emulator.delay("sendMessage", 1.0)
    with pytest.raises(TimedOut):
        await bot.send_message(ann.id, "late", read_timeout=0.1)
    assert len(emulator.seen(ann)) == 1
    shown: list[Seen] = await emulator.until(lambda: emulator.seen(ann)[1:], timeout=5)
    assert shown[0].text == "late"
    emulator.delay("sendMessage", 0.1, lands=False)
    with pytest.raises(NetworkError):
        await bot.send_message(ann.id, "lost")
    assert len(emulator.seen(ann)) == 2


async def test_hooks_hear_each_phase(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann")
    ann.starts()
    heard: list[tuple[str, str, int]] = []
    emulator.on_call(lambda method, params, phase: heard.append((params["text"], phase, len(emulator.seen(ann)))))
    await bot.send_message(ann.id, "x")
    with pytest.raises(BadRequest):
        await bot.send_message(ann.id, "x" * 5000)
    await emulator.until(lambda: len(heard) == 5, timeout=2)
    assert heard[:3] == [("x", "received", 1), ("x", "applied", 2), ("x", "answered", 2)]
    assert [phase for _, phase, _ in heard[3:]] == ["received", "answered"]


async def test_a_mistake_of_the_emulator_is_not_passed_over() -> None:
    def wrong(method: str, params: object, phase: str) -> None:
        raise ZeroDivisionError(method)

    async def scene() -> None:
        async with TelegramEmulator() as emulator:
            emulator.on_call(wrong)
            async with connected(emulator):
                pass

    with pytest.raises(ZeroDivisionError, match="getMe"):
        await scene()


# A thread of its own


@pytest.fixture
def threaded() -> Iterator[TelegramEmulator]:
    with TelegramEmulator.threaded() as running:
        yield running


BOT = """
import json, sys, urllib.request
base = sys.argv[1]
def call(method, **params):
    request = urllib.request.Request(base + method, json.dumps(params).encode(), {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))["result"]
offset = 0
while True:
    for update in call("getUpdates", offset=offset, timeout=20):
        chat = update["message"]["chat"]["id"]
        call("sendMessage", chat_id=chat, text="echo " + update["message"]["text"])
        offset = update["update_id"] + 1
"""


def test_a_bot_killed_at_each_phase_gets_its_update_again(threaded: TelegramEmulator) -> None:
    """The echo bot resends blindly, so a kill before its send arrives twice: what the contract is there to prevent."""
    url = f"{threaded.base_url}{threaded.token}/"
    people = {phase: threaded.person(phase) for phase in ("received", "applied", "answered")}
    for phase, person in people.items():
        bot = subprocess.Popen([sys.executable, "-c", BOT, url])
        killed = threading.Event()

        def kill(
            method: str, params: Any, now: str, bot: subprocess.Popen[bytes] = bot,
            phase: str = phase, killed: threading.Event = killed,
        ) -> None:  # fmt: skip
            if method == "sendMessage" and now == phase and not killed.is_set():
                bot.send_signal(signal.SIGKILL)
                killed.set()

        threaded.on_call(kill)
        person.writes("hi")
        assert killed.wait(20)
        assert bot.wait(5) == -signal.SIGKILL
        threaded.wait_until(lambda person=person: len(threaded.seen(person)) == 2, timeout=5)
        bot = subprocess.Popen([sys.executable, "-c", BOT, url])
        try:
            threaded.wait_until(lambda: threaded.pending() == 0, timeout=20)
        finally:
            bot.kill()
            bot.wait()
        # With the answer on the wire the bot may still have confirmed before it died; until then it cannot.
        echoes = [message.text for message in threaded.seen(person)][1:]
        assert echoes == ["echo hi"] * 2 or (phase == "answered" and echoes == ["echo hi"])
    with pytest.raises(TimeoutError, match="sendMessage 200"):
        threaded.wait_until(lambda: False, timeout=0.05)


def test_people_write_from_many_threads_and_the_log_stays_cheap(threaded: TelegramEmulator) -> None:
    people = [threaded.person(f"P{index}") for index in range(500)]

    def write(part: int) -> None:
        for person in people[part::5]:
            for index in range(20):
                person.writes(f"{person.name} {index}")

    workers = [threading.Thread(target=write, args=(part,)) for part in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert threaded.pending() == 10_000
    began = time.monotonic()
    for person in people:
        assert [message.text for message in threaded.seen(person)] == [f"{person.name} {index}" for index in range(20)]
    assert time.monotonic() - began < 2  # 500 looks at 10,000 messages
    assert len({message.message_id for person in people for message in threaded.seen(person)}) == 10_000


async def test_waiting_in_the_servers_own_loop_is_refused(emulator: TelegramEmulator) -> None:
    with pytest.raises(RuntimeError, match=r"await emulator\.until"):
        emulator.wait_until(lambda: True, timeout=1)
