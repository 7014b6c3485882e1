"""Kills a bot at chosen points of its calls, or at any time, while people write; then lets it finish and judges."""

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from tests.battery.process import Bot
from tests.battery.scenes import Scene, SlackScene, TelegramScene, Verdict

AGAIN = 0.25  # the share of kills after which the next one strikes while the bot starts and recovers
ONCE = frozenset(
    {"getMe", "setMyCommands", "deleteWebhook", "auth.test", "apps.connections.open"}
)  # a start calls them
STARTING = 90.0  # seconds that a start may take
ENOUGH = threading.Event()  # set: no more kills, and what was done is judged
BEHIND = 0.03  # seconds: a kill "after" an answer strikes within these, where the bot commits what it heard


@dataclass(slots=True)
class Killer:
    """Strikes once, when a method's call has come to a phase for the `count`-th time.

    phase: those of the emulator's hooks; "after": soon after the answer; "dropped": the call never arrives (Slack).
    """

    bot: Bot
    point: tuple[str, str] = ("", "")
    count: int = 0
    struck: threading.Event = field(default_factory=threading.Event)
    heard: threading.Event = field(default_factory=threading.Event)  # the bot has made a call since it was started
    was_alive: bool = False

    def arm(self, method: str, phase: str, count: int) -> None:
        self.struck.clear()
        self.count = count
        self.point = (method, phase)

    def hear(self, method: str, params: Mapping[str, Any], phase: str) -> bool | None:
        self.heard.set()
        wanted, when = self.point
        if method != wanted or phase != {"after": "answered", "dropped": "received"}.get(when, when):
            return None
        self.count -= 1
        if self.count > 0:
            return None
        self.point = ("", "")
        if when == "after":
            threading.Timer(random.uniform(0, BEHIND), self._strike).start()
            return None
        self._strike()
        return False if when == "dropped" else None

    def _strike(self) -> None:
        self.was_alive = self.bot.kill()
        self.struck.set()


@dataclass(frozen=True, slots=True)
class Outcome:
    """places: how many kills at each kind of point."""

    verdict: Verdict
    places: Counter[str]
    seconds: float


def kill_often(
    scene: TelegramScene | SlackScene, bot: Bot, kills: int, *, patience: float, seed: int = 1, settle: float = 180.0
) -> Outcome:
    """patience: seconds until a point that does not come is given up for a kill. settle: seconds to finish in."""
    draw, places, began = random.Random(seed), Counter[str](), time.monotonic()
    phases = ["received", "applied", "answered", "after"]
    phases += ["dropped"] if isinstance(scene, SlackScene) else []
    points = list(product(scene.methods, phases))
    draw.shuffle(points)
    killer = Killer(bot)
    scene.emulator.on_call(killer.hear)
    ended = threading.Event()
    writer = threading.Thread(target=_write, args=(scene, ended, random.Random(seed)), daemon=True)
    writer.start()
    try:
        again, tried = False, 0
        while places.total() < kills and not ENOUGH.is_set():
            if not writer.is_alive():
                raise RuntimeError("Nobody writes any more: what there was to ask was asked.")
            tried += 1
            started = time.monotonic()
            killer.heard.clear()
            at_point = not again and tried % 5 != 0
            if at_point:
                method, phase = points[tried % len(points)]
                killer.arm(method, phase, 1 if method in ONCE else draw.choice((1, 1, 2, 5)))
            bot.start()
            if not again:  # patience is for what comes then: how long a start takes is the machine's
                killer.heard.wait(STARTING)
            if at_point and killer.struck.wait(patience):
                was_alive, place = killer.was_alive, f"{method} {phase}"
            else:
                killer.point = ("", "")
                place = "while it starts" if again else "at a random time"
                time.sleep(0.0 if at_point else draw.uniform(0, patience / (8 if again else 2)))
                was_alive = bot.kill()
            if was_alive:  # else it had ended by itself, or the last one's call came late: no kill
                places[place] += 1
            again = not again and draw.random() < AGAIN
            if tried % 20 == 0:
                done = f"{places.total()} kills of {tried} tries"
                print(f"{type(scene).__name__}: {done}, last in {time.monotonic() - started:.1f} s", file=sys.stderr)
    finally:
        ended.set()
        writer.join()
    bot.start()
    settle_down(scene, settle)
    bot.end()
    return Outcome(scene.judge(), places, time.monotonic() - began)


def _write(scene: Scene, ended: threading.Event, draw: random.Random) -> None:
    while not ended.wait(draw.uniform(0.02, 0.2)):
        scene.write_one(draw)


def settle_down(scene: Scene, seconds: float) -> None:
    """Wait until all is answered, and then a while for what must not come."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and scene.judge().lost:
        time.sleep(0.5)
    time.sleep(5)


def rows(platform: str, bot: str, outcome: Outcome) -> dict[str, str | int | float]:
    cells: dict[str, str | int | float] = {"platform": platform, "bot": bot, "kills": outcome.places.total()}
    at_calls = sum(count for place, count in outcome.places.items() if place.split()[0] not in {"at", "while"})
    cells |= {"at calls": at_calls, "starting": outcome.places["while it starts"]}
    return cells | {"random": outcome.places["at a random time"], **outcome.verdict.cells()}


def note(platform: str, outcome: Outcome) -> str:
    """Where it was killed, how often."""
    named = sorted((place, count) for place, count in outcome.places.items() if place.split()[0] not in {"at", "while"})
    return f"{platform}, kills at calls: " + ", ".join(f"{place} {count}" for place, count in named)
