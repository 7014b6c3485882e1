"""Battery 14: the model hangs, drips, breaks off, fails or is away; somebody else answers by the deadline."""

import asyncio
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from tests.battery.kills import settings_of
from tests.battery.process import Stub, free_port
from tests.battery.scenes import EchoWords, TelegramScene
from tests.benchmarks import Report
from tests.emulators.telegram import TelegramEmulator

DEADLINE = 4.0
CHUNK = b'data: {"choices": [{"index": 0, "delta": {"content": "drip "}, "finish_reason": null}]}\n\n'
WAYS = (
    "hangs before its headers",
    "hangs after a word",
    "drips",
    "breaks off",
    "answers 500",
    "answers nonsense",
    "is away",
)


def run(quick: bool) -> Report:
    people = 4 if quick else 15
    rows = [_ask(way, people) for way in WAYS]
    notes = (
        (
            f"The remote generator over an OpenAI-like server, deadline {DEADLINE:g} s, the echo to fall back on; "
            f"{people} people "
            f"on Telegram write at once, {2 if quick else 6} times. by deadline: answers whose last edit came "
            "within the deadline and 2 s of the "
            "placeholder."
        ),
    )
    return Report("battery models", "Does a model in trouble cost anybody the answer?", rows, notes)


def _ask(way: str, people: int) -> dict[str, str | int | float]:
    with tempfile.TemporaryDirectory() as folder, TelegramEmulator.threaded() as emulator, _server(way) as url:
        scene = TelegramScene(emulator, EchoWords(in_one=True), people=people, groups=False)
        settings = settings_of(Path(folder)) | scene.settings()
        settings |= {"ATELIER_GENERATOR": "remote", "ATELIER_REMOTE_URL": url, "ATELIER_REMOTE_MODEL": "made-up"}
        settings |= {"ATELIER_DEADLINE": str(DEADLINE), "ATELIER_ANSWERS_AT_ONCE": "64"}
        with Stub(settings, Path(folder) / "log", lease=30.0) as bot:
            bot.start()
            for _ in range(2 if people < 15 else 6):
                for conversation in scene.conversations:
                    scene.write(conversation)
                ends = time.monotonic() + 60
                while time.monotonic() < ends and scene.judge().lost:
                    time.sleep(0.2)
            bot.end()
        took = _seconds(emulator)
        verdict = scene.judge()
    by_deadline = sum(each <= DEADLINE + 2 for each in took)
    counts = verdict.cells()
    cells: dict[str, str | int | float] = {
        "the model": way,
        "messages": counts["messages"],
        "answered": counts["answered"],
    }
    return cells | {"by deadline": by_deadline, "slowest s": round(max(took), 2), "twice": counts["twice"]}


def _seconds(emulator: TelegramEmulator) -> list[float]:
    """Of each answer: from its placeholder to its final edit."""
    opened: dict[int, list[float]] = {}
    took = []
    for call in sorted(emulator.calls(), key=lambda call: call.at):
        chat = int(call.params.get("chat_id") or 0)
        text = str(call.params.get("text"))
        if call.method == "sendMessage" and text == "…":
            opened.setdefault(chat, []).append(call.at)
        elif (
            call.method == "editMessageText"
            and re.search(r"End of [a-z]+-\d+\.", text)
            and call.params.get("reply_markup")
        ) and "👍" in str(call.params["reply_markup"]):
            took.append(call.at - max(at for at in opened[chat] if at < call.at))
    return took


@contextmanager
def _server(way: str) -> Iterator[str]:
    """The root of an API that behaves so."""
    if way == "is away":
        yield f"http://127.0.0.1:{free_port()}/v1"
        return

    async def answer(request: web.Request) -> web.StreamResponse:
        if way == "hangs before its headers":
            await asyncio.sleep(3600)
        if way == "answers 500":
            return web.Response(status=500, text="no")
        if way == "answers nonsense":
            return web.Response(body=b"\x00\xff nonsense" * 100, content_type="text/event-stream")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(CHUNK)
        while way == "drips":
            await asyncio.sleep(0.2)
            await response.write(CHUNK)
        if way == "hangs after a word":
            await asyncio.sleep(3600)
        assert request.transport is not None
        request.transport.abort()
        return response

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    try:
        yield f"http://127.0.0.1:{asyncio.run_coroutine_threadsafe(start(), loop).result(10)}/v1"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
