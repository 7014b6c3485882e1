"""Battery 3: a call times out at the bot and takes effect later all the same."""

import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.battery.kills import settings_of
from tests.battery.process import Stub
from tests.battery.scenes import EchoWords, SlackScene, TelegramScene
from tests.benchmarks import Report
from tests.emulators.slack import SlackEmulator
from tests.emulators.telegram import TelegramEmulator

# Seconds until a call lands: more than the bot waits for it (a preview 3 or 5, a send 10 or 15), less than its grace
# and less than a preview is still reckoned with (20).
TELEGRAM = {"sendMessage": 17.0, "editMessageText": 17.0}
TELEGRAM_PREVIEWS = {"editMessageText": 8.0}
SLACK = dict.fromkeys(("chat.postMessage", "chat.startStream", "chat.stopStream", "chat.update"), 12.0)
SLACK_PREVIEWS = {"chat.appendStream": 5.0, "chat.update": 5.0}
QUIET = 150.0  # seconds: two tries and the longest pauses before them


def run(quick: bool) -> Report:
    times = 3 if quick else 25
    checks = [
        partial(telegram, "sends", TELEGRAM),
        partial(telegram, "previews", TELEGRAM_PREVIEWS),
        partial(slack, "sends", SLACK),
        partial(slack, "previews", SLACK_PREVIEWS),
    ]
    with ThreadPoolExecutor() as pool:
        rows = list(pool.map(lambda check: check(times), checks))
    notes = (
        "late calls: those that took effect after the bot had given them up. A stub house behind the real serve().",
        "lost, of previews: a preview landed over the final answer, which stays cut.",
    )
    return Report("battery late", "Is what lands late shown twice, or over the final answer?", rows, notes)


def telegram(what: str, delays: Mapping[str, float], times: int) -> dict[str, str | int | float]:
    with tempfile.TemporaryDirectory() as folder, TelegramEmulator.threaded() as emulator:
        scene = TelegramScene(emulator, EchoWords(in_one=what == "sends"), people=2 * times, groups=False)
        settings = settings_of(Path(folder)) | scene.settings()
        for method, seconds in delays.items():
            emulator.delay(method, seconds, times=times)
        return {"platform": "telegram", "late": what} | _watch(scene, settings, len(delays) * times, folder)


def slack(what: str, delays: Mapping[str, float], times: int) -> dict[str, str | int | float]:
    with tempfile.TemporaryDirectory() as folder, SlackEmulator.threaded() as emulator:
        scene = SlackScene(emulator, EchoWords(in_one=what == "sends"), people=times, channels=times)
        settings = settings_of(Path(folder)) | scene.settings()
        for method, seconds in delays.items():
            emulator.delay(method, seconds, times=times)
        return {"platform": "slack", "late": what} | _watch(scene, settings, len(delays) * times, folder)


def _watch(
    scene: TelegramScene | SlackScene, settings: dict[str, str], ordered: int, folder: str
) -> dict[str, int | float]:
    """Three messages in each conversation."""
    with Stub(settings, Path(folder) / "log", lease=30.0) as bot:
        bot.start()
        began = time.monotonic()
        for _ in range(3):
            for conversation in list(scene.conversations):
                scene.write(conversation)
        _until_answered(scene)
        time.sleep(20)  # longer than the latest landing
        verdict = scene.judge()
        bot.end()
    left = _left(scene)
    return {"late calls": ordered - left, **verdict.cells(), "seconds": round(time.monotonic() - began, 1)}


def _until_answered(scene: TelegramScene | SlackScene) -> None:
    """Until all is answered, or nothing moves any more: an answer whose every try meets a late call has to wait."""
    before, since = (len(scene.judge().lost), _left(scene)), time.monotonic()
    while before[0] and time.monotonic() < since + QUIET:
        time.sleep(0.5)
        if (now := (len(scene.judge().lost), _left(scene))) != before:
            before, since = now, time.monotonic()


def _left(scene: TelegramScene | SlackScene) -> int:
    """Delays that no call met."""
    if isinstance(scene, TelegramScene):
        return sum(map(len, scene.emulator._server.faults._delays.values()))
    return len(scene.emulator.faults._delays)
