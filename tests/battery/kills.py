"""Battery 1-2: SIGKILL at every kind of point, again during recovery; 400 a platform."""

import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from tests.battery import killing
from tests.battery.process import Stub, free_port
from tests.battery.scenes import EchoWords, SlackScene, TelegramScene
from tests.benchmarks import Report
from tests.emulators.slack import SlackEmulator
from tests.emulators.telegram import TelegramEmulator

QUESTION = "Killed without warning again and again, is every message answered once, in order?"
LEASE = 3.0
PATIENCE = 4.0


def scene_of(platform: str) -> AbstractContextManager[TelegramEmulator] | AbstractContextManager[SlackEmulator]:
    return TelegramEmulator.threaded() if platform == "telegram" else SlackEmulator.threaded()


def run(quick: bool) -> Report:
    return run_both(lambda platform: _kill(platform, 12 if quick else 400), QUESTION, "kills", (
        (f"A stub house (no torch, a toy encoder, an echo for a model) behind the real serve(), queue and store, "
        f"started by fork; a claim's lease is {LEASE:g} s instead of 30, so that recovery too is killed often."),
    ))  # fmt: skip


def run_both(
    kill: Callable[[str], killing.Outcome], question: str, name: str, notes: tuple[str, ...], bot: str = "stub"
) -> Report:
    """Both platforms side by side, each with an emulator and a bot of its own. Ctrl-C: those kills were enough."""
    outcomes: dict[str, killing.Outcome] = {}

    def work(platform: str) -> None:
        outcomes[platform] = kill(platform)

    threads = [threading.Thread(target=work, args=(platform,)) for platform in ("telegram", "slack")]
    for thread in threads:
        thread.start()
    try:
        _wait(threads)
    except KeyboardInterrupt:
        killing.ENOUGH.set()
        _wait(threads)
    rows = [killing.rows(platform, bot, outcome) for platform, outcome in outcomes.items()]
    told = [killing.note(platform, outcome) for platform, outcome in outcomes.items()]
    faults = [
        f"{platform}: lost {outcome.verdict.lost[:10]}, twice {outcome.verdict.twice[:10]}, "
        f"out of order {outcome.verdict.misplaced[:10]}"
        for platform, outcome in outcomes.items()
        if outcome.verdict.lost or outcome.verdict.twice or outcome.verdict.misplaced
    ]
    return Report(f"battery {name}", question, rows, [*notes, *told, *faults])


def _wait(threads: Sequence[threading.Thread]) -> None:
    """Until all have ended. Not by `join`: a thread whose join was interrupted counts as ended."""
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.2)


def _kill(platform: str, kills: int) -> killing.Outcome:
    with tempfile.TemporaryDirectory() as home, scene_of(platform) as emulator:
        scene: TelegramScene | SlackScene
        if isinstance(emulator, TelegramEmulator):
            scene = TelegramScene(emulator, EchoWords())
        else:
            scene = SlackScene(emulator, EchoWords())
        settings = scene.settings() | settings_of(Path(home))
        with Stub(settings, Path(home) / "log", LEASE) as bot:
            return killing.kill_often(scene, bot, kills, patience=PATIENCE)


def settings_of(home: Path) -> dict[str, str]:
    return {
        "ATELIER_HOME": str(home),
        "ATELIER_LISTEN": f"127.0.0.1:{free_port()}",
        "ATELIER_MESSAGES_PER_MINUTE": "10000",
    }
