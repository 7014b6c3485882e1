"""Two processes on one PostgreSQL store behind one address; one or the other is killed in the middle of answers."""

import asyncio
import json
import random
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

from tests.battery.copies import wait_for_health
from tests.battery.killing import Killer, settle_down
from tests.battery.kills import settings_of
from tests.battery.process import Stub
from tests.battery.scenes import EchoWords, SlackScene
from tests.benchmarks import Report
from tests.emulators.slack import SlackEmulator
from tests.emulators.slack_delivery import signed
from tests.postgres import find_binaries, postgres_server

LEASE = 3.0
METHODS = ("chat.postMessage", "chat.startStream", "chat.appendStream", "chat.stopStream", "chat.update")


def run(quick: bool) -> Report:
    binaries = find_binaries()
    assert binaries is not None, "PostgreSQL is not installed"
    with (
        postgres_server(binaries) as server,
        tempfile.TemporaryDirectory() as folder,
        SlackEmulator.threaded() as emulator,
    ):
        scene = SlackScene(emulator, EchoWords())
        emulator.events_url = "http://127.0.0.1:9/"  # the events are ours to hand on
        emulator.courier.retry_delays = ()
        signing = {"ATELIER_SLACK_APP_TOKEN": "", "ATELIER_SLACK_SIGNING_SECRET": emulator.signing_secret}
        common = scene.settings() | signing | {"ATELIER_STORE": server.url(server.new_database())}
        settings = [common | settings_of(Path(folder) / name) for name in ("one", "two")]
        with (
            Stub(settings[0], Path(folder) / "log1", LEASE) as one,
            Stub(settings[1], Path(folder) / "log2", LEASE) as two,
        ):
            return _run(scene, [one, two], [each["ATELIER_LISTEN"] for each in settings], 4 if quick else 40)


def _run(scene: SlackScene, bots: list[Stub], addresses: list[str], kills: int) -> Report:
    draw, places, ended = random.Random(5), Counter[str](), threading.Event()
    for bot, address in zip(bots, addresses, strict=True):
        bot.start()
        asyncio.run(wait_for_health(f"http://{address}/health"))
    balancer = Balancer(scene, addresses)
    threads = [threading.Thread(target=_write, args=(scene, ended), daemon=True)]
    threads += [threading.Thread(target=balancer.work, args=(ended,), daemon=True) for _ in range(1)]  # in order
    killers = [Killer(bot) for bot in bots]
    for killer in killers:
        scene.emulator.on_call(killer.hear)
    for thread in threads:
        thread.start()
    while places.total() < kills:  # a call does not say which of the two makes it: half of the kills hit the other one
        victim = draw.randrange(2)
        method, phase = draw.choice(METHODS), draw.choice(("received", "applied", "answered", "after"))
        killers[victim].arm(method, phase, draw.choice((1, 2, 3)))
        if killers[victim].struck.wait(5.0) and killers[victim].was_alive:
            places[f"{method} {phase}"] += 1
        killers[victim].point = ("", "")
        time.sleep(draw.uniform(0, 1.0))
        bots[victim].start()
        time.sleep(0.5)
    ended.set()
    for thread in threads:
        thread.join()
    settle_down(scene, 120.0)
    verdict = scene.judge()
    for bot in bots:
        bot.end()
    cells = {
        "platform": "slack",
        "processes": 2,
        "kills": places.total(),
        "taken by": " and ".join(map(str, balancer.taken)),
    }
    notes = (
        f"Stub houses behind the real serve() over one PostgreSQL, HTTP Events to either at random, lease {LEASE:g} s.",
        "kills at calls: " + ", ".join(f"{place} {count}" for place, count in sorted(places.items())),
    )
    faults = [f"lost {verdict.lost[:10]}, twice {verdict.twice[:10]}"] if verdict.lost or verdict.twice else []
    question = "Do two processes on one store answer each message once while one or the other is killed?"
    return Report("battery workers", question, [cells | verdict.cells()], [*notes, *faults])


class Balancer:
    """Hands each event to one of the addresses, and to another until it is taken: as Slack behind a load balancer."""

    def __init__(self, scene: SlackScene, addresses: list[str]) -> None:
        self._emulator = scene.emulator
        self._addresses = addresses
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        self._next = 0
        self._lock = threading.Lock()
        self.taken = [0] * len(addresses)

    def work(self, ended: threading.Event) -> None:
        draw = random.Random()
        while True:
            with self._lock:
                made = self._emulator.deliveries("events_api")
                body = json.dumps(made[self._next].payload).encode() if self._next < len(made) else None
                self._next += body is not None
            if body is None:
                if ended.is_set():
                    return
                time.sleep(0.02)
                continue
            while True:
                number = draw.randrange(len(self._addresses))
                headers = {"Content-Type": "application/json"} | signed(body)
                request = urllib.request.Request(f"http://{self._addresses[number]}/slack/events", body, headers)
                try:
                    with self._open(request, timeout=3):
                        self.taken[number] += 1
                    break
                except (urllib.error.URLError, OSError):
                    time.sleep(0.1)


def _write(scene: SlackScene, ended: threading.Event) -> None:
    draw = random.Random(1)
    while not ended.wait(draw.uniform(0.02, 0.2)):
        scene.write_one(draw)
