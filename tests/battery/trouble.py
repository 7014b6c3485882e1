"""Battery 5: the platform is down, or asks for pauses, for a minute."""

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.battery.kills import settings_of
from tests.battery.process import Stub
from tests.battery.scenes import EchoWords, SlackScene, TelegramScene
from tests.benchmarks import Report
from tests.emulators.slack import SlackEmulator
from tests.emulators.telegram import TelegramEmulator

PAUSE = 7  # seconds that a 429 asks for
SLACK_METHODS = ("chat.postMessage", "chat.startStream", "chat.stopStream", "chat.update", "auth.test")


def run(quick: bool) -> Report:
    seconds = 6 if quick else 60
    checks = [partial(telegram, 429), partial(telegram, 502), partial(slack, 429), partial(slack, 503)]
    with ThreadPoolExecutor() as pool:
        rows = list(pool.map(lambda check: check(seconds), checks))
    notes = (
        (
            f"Telegram 429: every call is refused for {seconds} s with what is left of them. Slack 429: calls of "
            f"{', '.join(SLACK_METHODS)} are refused with Retry-After {PAUSE} again and again for {seconds} s. "
            "5xx: every request, and on Slack the sockets are cut."
        ),
        "early: calls of one method in one chat (Slack: thread and message too) before the pause asked for was over.",
    )
    return Report("battery trouble", "Is nothing lost while a platform refuses, and are its pauses kept?", rows, notes)


def telegram(status: int, seconds: int) -> dict[str, str | int | float]:
    with tempfile.TemporaryDirectory() as folder, TelegramEmulator.threaded() as emulator:
        scene = TelegramScene(emulator, EchoWords(), people=20)
        settings = settings_of(Path(folder)) | scene.settings()
        with Stub(settings, Path(folder) / "log", lease=30.0) as bot:
            bot.start()
            _write(scene, 2.0)
            emulator.outage(seconds, status)
            cells = _finish(scene, bot, seconds)
        calls = [
            (f"{call.method} {call.params.get('chat_id')}", call.at, call.retry_after) for call in emulator.calls()
        ]
        refused = sum(call.status == status for call in emulator.calls())
    return {"platform": "telegram", "status": status, "refused": refused, "early": _early(calls)} | cells


def slack(status: int, seconds: int) -> dict[str, str | int | float]:
    with tempfile.TemporaryDirectory() as folder, SlackEmulator.threaded() as emulator:
        scene = SlackScene(emulator, EchoWords(), people=10, channels=10)
        settings = settings_of(Path(folder)) | scene.settings()
        with Stub(settings, Path(folder) / "log", lease=30.0) as bot:
            bot.start()
            _write(scene, 2.0)
            if status == 429:
                ends = time.monotonic() + seconds
                for method in SLACK_METHODS:
                    emulator.fail_next(method, status=429, retry_after=PAUSE, times=1_000_000)
                while time.monotonic() < ends:
                    _write(scene, 1.0)
                emulator.faults._faults.clear()
            else:
                emulator.outage(seconds)
            cells = _finish(scene, bot, seconds)
        calls = [
            (f"{call.method} {call.params.get('channel')} {call.params.get('thread_ts')} {call.params.get('ts')}",
             call.at, PAUSE if call.error == "ratelimited" else None)
            for call in emulator.calls()
        ]  # fmt: skip
        refused = sum(call.status == status for call in emulator.calls())
    return {"platform": "slack", "status": status, "refused": refused, "early": _early(calls)} | cells


def _write(scene: TelegramScene | SlackScene, seconds: float) -> None:
    for conversation in list(scene._open()):
        if scene.waiting(conversation) < 2:
            scene.write(conversation)
        time.sleep(seconds / 25)


def _finish(scene: TelegramScene | SlackScene, bot: Stub, seconds: int) -> dict[str, int | float]:
    began = time.monotonic()
    for _ in range(3):
        _write(scene, 2.0)
    ends = time.monotonic() + seconds + 180
    while time.monotonic() < ends and scene.judge().lost:
        time.sleep(0.5)
    time.sleep(3)
    bot.end()
    return {**scene.judge().cells(), "seconds": round(time.monotonic() - began, 1)}


def _early(calls: Sequence[tuple[str, float, float | None]]) -> int:
    """calls: where, when, and the pause that the answer asked for."""
    until: dict[str, float] = {}
    early = 0
    for where, at, pause in sorted(calls, key=lambda call: call[1]):
        early += at < until.get(where, 0.0) - 0.05
        if pause is not None:
            until[where] = at + pause
    return early
