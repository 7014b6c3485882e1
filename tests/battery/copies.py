"""Battery 4: every event arrives four times, copies at once, and is answered once."""

import asyncio
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from tests.battery.kills import settings_of
from tests.battery.process import Stub
from tests.battery.scenes import EchoWords, Scene, SlackScene, TelegramScene, Verdict
from tests.benchmarks import Report
from tests.emulators.slack import SlackEmulator
from tests.emulators.slack_delivery import signed
from tests.emulators.telegram import TelegramEmulator

COPIES, AT_ONCE = 4, 8
SECRET = "made-up-secret"


def run(quick: bool) -> Report:
    events = 24 if quick else 1000
    rows = [slack(events), telegram(events)]
    notes = (
        f"Each event {COPIES} times by {AT_ONCE} senders at once, shuffled within a window of {4 * AT_ONCE} requests.",
        "Telegram's own delivery to the webhook comes on top: each of its updates arrives five times.",
        "requests: those answered 200. A stub house behind the real serve().",
    )
    return Report("battery copies", "Does a repeated event get one answer?", rows, notes)


def slack(events: int) -> dict[str, str | int | float]:
    """HTTP Events."""
    with tempfile.TemporaryDirectory() as folder, SlackEmulator.threaded() as emulator:
        home = Path(folder)
        settings = settings_of(home)
        url = f"http://{settings['ATELIER_LISTEN']}/slack/events"
        emulator.events_url = "http://127.0.0.1:9/"  # nobody is there: the copies are ours to send
        scene = SlackScene(emulator, EchoWords(), people=max(1, events // 4), channels=0)
        emulator.courier.retry_delays = ()
        settings |= scene.settings() | {
            "ATELIER_SLACK_APP_TOKEN": "",
            "ATELIER_SLACK_SIGNING_SECRET": emulator.signing_secret,
        }
        settings["ATELIER_BACKLOG"] = "10000"
        _write(scene, events)
        payloads = [json.dumps(made.payload).encode() for made in emulator.deliveries("events_api")]
        with Stub(settings, home / "log", lease=30.0) as bot:
            bot.start()
            _wait_for(settings)
            began = time.monotonic()
            taken = asyncio.run(_post(url, payloads, signed))
            verdict = _judged(scene)
            bot.end()
        return {"platform": "slack", "events": events, "requests": taken} | _cells(verdict, began)


def telegram(events: int) -> dict[str, str | int | float]:
    """Webhook."""
    with tempfile.TemporaryDirectory() as folder, TelegramEmulator.threaded() as emulator:
        home = Path(folder)
        settings = settings_of(home)
        url = f"http://{settings['ATELIER_LISTEN']}/telegram"
        scene = TelegramScene(emulator, EchoWords(), people=max(1, events // 4), groups=False)
        settings |= scene.settings() | {"ATELIER_TELEGRAM_WEBHOOK": url, "ATELIER_TELEGRAM_SECRET": SECRET}
        settings["ATELIER_BACKLOG"] = "10000"
        _write(scene, events)
        updates = [json.dumps(update).encode() for _, update in emulator._world.updates.pending.values()]
        assert len(updates) == events
        with Stub(settings, home / "log", lease=30.0) as bot:
            bot.start()
            _wait_for(settings)
            began = time.monotonic()
            taken = asyncio.run(_post(url, updates, lambda _: {"X-Telegram-Bot-Api-Secret-Token": SECRET}))
            verdict = _judged(scene)
            bot.end()
        return {"platform": "telegram", "events": events, "requests": taken} | _cells(verdict, began)


def _write(scene: Scene, events: int) -> None:
    for number in range(events):
        scene.write(scene.conversations[number % len(scene.conversations)])


def _wait_for(settings: dict[str, str]) -> None:
    asyncio.run(wait_for_health(f"http://{settings['ATELIER_LISTEN']}/health"))


async def wait_for_health(url: str, seconds: float = 30.0) -> None:
    """Raises TimeoutError."""
    async with asyncio.timeout(seconds), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


async def _post(url: str, bodies: Sequence[bytes], headers: Callable[[bytes], dict[str, str]]) -> int:
    """All copies of all bodies, AT_ONCE at a time, each until it is taken. Returns how many were."""
    draw = random.Random(2)
    window = AT_ONCE  # events whose copies are mixed
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    for start in range(0, len(bodies), window):
        mixed = [body for body in bodies[start : start + window] for _ in range(COPIES)]
        draw.shuffle(mixed)
        mixed.sort(key=lambda body: bodies.index(body, start) // 2)  # the copies of two events fill all senders
        for body in mixed:
            queue.put_nowait(body)
    taken = 0

    async def send(session: aiohttp.ClientSession) -> None:
        nonlocal taken
        while not queue.empty():
            body = queue.get_nowait()
            kind = {"Content-Type": "application/json"}
            for _ in range(100):
                async with session.post(url, data=body, headers=kind | headers(body)) as answer:
                    if answer.status == 200:
                        taken += 1
                        break
                await asyncio.sleep(0.1)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(send(session) for _ in range(AT_ONCE)))
    return taken


def _judged(scene: Scene, seconds: float = 300.0) -> Verdict:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and len(scene.answered) < sum(len(each.tokens) for each in scene.conversations):
        time.sleep(0.2)
    ends = time.monotonic() + 60  # the question for consent comes behind a person's answers, at the platform's pace
    while time.monotonic() < ends and scene.judge().strays:
        time.sleep(0.5)
    time.sleep(3)
    return scene.judge()


def _cells(verdict: Verdict, began: float) -> dict[str, Any]:
    return {**verdict.cells(), "seconds": round(time.monotonic() - began, 1)}
