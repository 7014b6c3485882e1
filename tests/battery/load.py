"""Battery 11 to 13: many chats at once on a stub generator, ten times too many, and one person who floods.

`atelier serve` is a process of its own with the real encoder, heads and search; sender and emulated platforms share
another one. Overhead is the time from sending a webhook to the arrival of the answer's last version at the platform,
less the time that the stub takes to say it.
"""

import asyncio
import json
import random
import re
import resource
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil

from connectors.delivery.flood import TOLD
from tests.battery.inside import SECRET, SECRET_HEADER, SLACK_PATH, TELEGRAM_PATH
from tests.battery.process import free_port
from tests.battery.server import Server, served
from tests.benchmarks import Cell, Report
from tests.emulators.slack import SlackEmulator
from tests.emulators.slack_delivery import signed
from tests.emulators.telegram import TelegramEmulator

SECONDS = 1.0  # that the stub takes
EVERY = 10.0  # seconds between two messages of a chat
PATIENCE = 60.0  # seconds after the last message in which all must be answered
_KEY = re.compile(r"q\d+x\d+")
_BUSY = re.compile(r"too much to do")
_DONE = ("feedback_buttons", "👍", "\\ud83d\\udc4d")  # only a final has them


@dataclass(slots=True)
class Sent:
    """One message. at: when its request was begun; late: behind the plan; ack, answered: seconds after `at`."""

    platform: str
    at: float
    late: float
    status: int = 0
    ack: float = 0.0
    answered: float = 0.0


@dataclass(slots=True)
class Town:
    """Both platforms, the people on them, and what they sent."""

    telegram: TelegramEmulator
    slack: SlackEmulator
    chats: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)  # platform, and who and where
    sent: dict[str, Sent] = field(default_factory=dict)
    refusals: dict[str, list[float]] = field(default_factory=dict)  # chat -> when it was told that there is too much

    def settle(self, count: int) -> None:
        """Make `count` private chats, half on each platform, that the bot may write to."""
        for number in range(len(self.chats), count):
            if number % 2:
                person = self.slack.person(f"U{number}", f"Person {number}")
                self.chats.append(("slack", {"user": person.id, "channel": person.dm}))
            else:
                user = self.telegram.person(f"Person {number}").user
                self.telegram._world.chats[user.id].bot = "member"
                self.chats.append(("telegram", {"user": user.json(), "id": user.id}))

    def watch(self) -> None:
        self.telegram.on_call(lambda method, params, phase: self._saw(str(params.get("text")), params, phase))
        self.slack.on_call(lambda method, params, phase: self._saw(str(params.get("text")), params, phase))

    def _saw(self, text: str, params: Mapping[str, Any], phase: str) -> None:
        if phase != "received":
            return
        if _BUSY.search(text):
            chat = str(params.get("chat_id") or params.get("channel"))
            self.refusals.setdefault(chat, []).append(time.perf_counter())
        buttons = json.dumps(params.get("blocks"), ensure_ascii=False) + str(params.get("reply_markup"))
        found = _KEY.search(text)
        if found and any(sign in buttons for sign in _DONE) and found[0] in self.sent:
            message = self.sent[found[0]]
            message.answered = message.answered or time.perf_counter() - message.at

    def request(self, chat: int, turn: int, key: str) -> tuple[str, bytes, dict[str, str]]:
        """Path, body and headers of one message's webhook."""
        platform, who = self.chats[chat]
        number = chat * 10_000 + turn
        if platform == "telegram":
            place = {"id": who["id"], "type": "private", "first_name": "P"}
            message = {"message_id": 1_000_000 + turn, "from": who["user"], "chat": place, "date": int(time.time())}
            body = json.dumps({"update_id": number, "message": message | {"text": f"How far is it, {key}"}}).encode()
            return TELEGRAM_PATH, body, {SECRET_HEADER: SECRET}
        ts = f"{1_700_000_000 + turn}.{chat:06d}"
        event = {"type": "message", "channel_type": "im", "channel": who["channel"], "user": who["user"], "ts": ts}
        outer = {"type": "event_callback", "team_id": self.slack.team_id, "event_id": f"Ev{number}"}
        body = json.dumps({**outer, "event": {**event, "event_ts": ts, "text": f"How far is it, {key}"}}).encode()
        return SLACK_PATH, body, signed(body)


@dataclass(slots=True)
class Sender:
    """Posts webhooks at planned times, never waiting for answers."""

    town: Town
    server: Server
    session: aiohttp.ClientSession
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def send(self, plan: Sequence[tuple[float, int, int]]) -> list[str]:
        """plan: (seconds from now, chat, turn), in order. Returns the messages' keys once all are acknowledged."""
        began, keys = time.perf_counter(), []
        for at, chat, turn in plan:
            if (pause := began + at - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            key = f"q{chat}x{turn}"
            keys.append(key)
            task = asyncio.create_task(self._post(chat, turn, key, began + at))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        while self.tasks:
            await asyncio.wait(set(self.tasks))
        return keys

    async def _post(self, chat: int, turn: int, key: str, due: float) -> None:
        path, body, headers = self.town.request(chat, turn, key)
        headers |= {"Content-Type": "application/json"}
        now = time.perf_counter()
        message = self.town.sent[key] = Sent(self.town.chats[chat][0], now, now - due)
        url = f"http://127.0.0.1:{self.server.port}{path}"
        try:
            async with self.session.post(url, data=body, headers=headers) as response:
                await response.read()
                message.status = response.status
        except (aiohttp.ClientError, TimeoutError):
            message.status = -1
        message.ack = time.perf_counter() - message.at

    async def answered(self, keys: Sequence[str], seconds: float = PATIENCE) -> int:
        """Waits for the answers; how many are missing."""
        ends = time.perf_counter() + seconds
        missing = list(keys)
        while missing and time.perf_counter() < ends:
            await asyncio.sleep(0.05)
            missing = [key for key in missing if not self.town.sent[key].answered]
        return len(missing)


def plan_of(rate: float, seconds: float, start: int = 0) -> list[tuple[float, int, int]]:
    """`rate` messages a second, each chat writing every ten seconds."""
    chats = round(rate * EVERY)
    return [(number / rate, number % chats, start + number // chats) for number in range(round(rate * seconds))]


def plan_at_random(rate: float, seconds: float, start: int) -> list[tuple[float, int, int]]:
    """As `plan_of`, but each chat writes at a moment of its own in every ten seconds."""
    draw = random.Random(start)
    moments = [(draw.uniform(0, EVERY), chat) for chat in range(round(rate * EVERY))]
    turns = range(round(seconds / EVERY))
    return sorted((moment + EVERY * turn, chat, start + turn) for moment, chat in moments for turn in turns)


def p(values: Sequence[float], share: float) -> float:
    """A percentile in milliseconds."""
    return float(np.percentile(values, share)) * 1e3 if values else float("nan")


async def stage(sender: Sender, rate: float, seconds: float, turn: int, name: str) -> dict[str, Cell]:
    """One load for so long, as a row."""
    town = sender.town
    town.settle(round(rate * EVERY))
    mine, theirs = resource.getrusage(resource.RUSAGE_SELF), _cpu(sender.server)
    began = time.perf_counter()
    keys = await sender.send(plan_of(rate, seconds, turn))
    missing = await sender.answered(keys)
    took, now = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    sent = [town.sent[key] for key in keys]
    spent = now.ru_utime + now.ru_stime - mine.ru_utime - mine.ru_stime
    return figures(name, rate, sent, missing) | {
        "server CPU a message, ms": 1e3 * (_cpu(sender.server) - theirs) / len(sent),
        "cores of the server": (_cpu(sender.server) - theirs) / took,
        "cores of the sender": spent / took,
        "sender late p99, ms": p([each.late for each in sent], 99),
    }


def figures(name: str, rate: float, sent: Sequence[Sent], missing: int) -> dict[str, Cell]:
    """What happened to messages, as a row. missing: how many of them were not answered."""
    good = [each for each in sent if each.answered]
    row: dict[str, Cell] = {
        "load": name,
        "messages": len(sent),
        "messages a second": rate,
        "errors": sum(each.status != 200 for each in sent) + missing,
        "ack p50, ms": p([each.ack for each in sent], 50),
        "ack p99, ms": p([each.ack for each in sent], 99),
    }
    for platform in ("telegram", "slack"):
        overhead = [each.answered - SECONDS for each in good if each.platform == platform]
        row |= {f"{platform} overhead p50, ms": p(overhead, 50), f"{platform} p99, ms": p(overhead, 99)}
    return row | {"overhead p99, ms": p([each.answered - SECONDS for each in good], 99)}


def _cpu(server: Server) -> float:
    times = server.used.cpu_times()
    return float(times.user + times.system)


async def world(stack: AsyncExitStack, home: Path, **chosen: object) -> Sender:
    """Platforms, people, the process and a sender. chosen: settings."""
    telegram = await stack.enter_async_context(TelegramEmulator())
    slack = await stack.enter_async_context(SlackEmulator())
    town = Town(telegram, slack)
    port = free_port()
    given: Any = {"seconds": SECONDS, "models": True, **chosen}
    serving = served(home, port, telegram, slack, **given)
    server = await asyncio.to_thread(serving.__enter__)
    stack.push_async_callback(asyncio.to_thread, serving.__exit__, None, None, None)
    slack.events_url = f"http://127.0.0.1:{port}{SLACK_PATH}"
    town.watch()
    connector = aiohttp.TCPConnector(limit=0)
    session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30))
    return Sender(town, server, await stack.enter_async_context(session))


async def eleven(
    seconds: float, rates: Sequence[float], *, rate: int = 20, furnished: Path | None = None, **chosen: object
) -> list[dict[str, Cell]]:
    """200 chats x 20 turns (20 messages a second for `seconds`), after lower `rates` and before higher ones.

    Each begins when nothing waits any more, and none follows one that failed. rate: messages a second, and a tenth of
    the chats. furnished: a home of acme's to begin with, which is copied.
    """
    rows = []
    with tempfile.TemporaryDirectory() as home:
        if furnished is not None:
            shutil.copytree(furnished, home, dirs_exist_ok=True)
        async with AsyncExitStack() as stack:
            sender = await world(stack, Path(home), **chosen)
            if rates:
                await stage(sender, 5, 4, 9_000, "warm")
            chats = round(rate * EVERY)
            rows.append(await stage(sender, rate, EVERY, 0, f"{chats} people's first message"))
            for number, each in enumerate(sorted({*rates, rate})):
                await drained(sender)
                await first_words(sender, round(each * EVERY))
                lasts = seconds if each == rate else 20
                name = f"{each * EVERY:.0f} chats, each every {EVERY:.0f} s, for {lasts:.0f} s"
                rows.append(await stage(sender, each, lasts, 1_000 * (number + 1), name))
                if int(rows[-1]["errors"]):
                    break
    return rows


async def drained(sender: Sender) -> None:
    """Wait until nothing waits in the queue. Raises TimeoutError after ten minutes."""
    ends = time.perf_counter() + 600
    while time.perf_counter() < ends:
        if not await _waiting(sender):
            return
        await asyncio.sleep(0.25)
    raise TimeoutError("the queue of the load before is not empty after ten minutes")


async def first_words(sender: Sender, count: int) -> None:
    """Those of `count` people who have not written yet do, ten a second: their first answer comes with a question."""
    known = len(sender.town.chats)
    sender.town.settle(count)
    keys = await sender.send([(number / 10, known + number, 9_500) for number in range(count - known)])
    await sender.answered(keys)


async def twelve(seconds: float) -> list[dict[str, Cell]]:
    """Ten times too many: 200 messages a second, which soon fill the queue."""
    with tempfile.TemporaryDirectory() as home:
        async with AsyncExitStack() as stack:
            sender = await world(stack, Path(home), messages_per_minute=10_000, backlog=300)
            town = sender.town
            await first_words(sender, 200)
            plan = [(number / 200, number % 200, number // 200) for number in range(round(200 * seconds))]
            watching = asyncio.create_task(_deepest(sender))
            keys = await sender.send(plan)
            missing = await sender.answered(keys, PATIENCE)
            watching.cancel()
            deepest, _ = await asyncio.gather(watching, asyncio.sleep(0))
            told = [_refused(town, chat, keys) for chat in range(200)]
            waits = [wait for own, _ in told for wait in own]
            theirs = {
                name: [wait for chat, (own, _) in enumerate(told) if town.chats[chat][0] == name for wait in own]
                for name in ("telegram", "slack")
            }
            sent = [town.sent[key] for key in keys]
    return [
        {
            "load": f"200 messages a second for {seconds:.0f} s, room for 300",
            "messages": len(sent),
            "messages a second": 200,
            "errors": sum(each.status != 200 for each in sent),
            "ack p50, ms": p([each.ack for each in sent], 50),
            "ack p99, ms": p([each.ack for each in sent], 99),
            "answered": len(sent) - missing,
            "refused in words": len(waits),
            "by a word of that minute": sum(covered for _, covered in told),
            "neither yet": missing - len(waits) - sum(covered for _, covered in told),
            "refusal p50, ms": p(waits, 50),
            "refusal p99, ms": p(waits, 99),
            **{f"{name} refusal p50, ms": p(own, 50) for name, own in theirs.items()},
            "most waiting": deepest,
        }
    ]


async def _deepest(sender: Sender) -> int:
    """The most events that were open at once, until cancelled."""
    most = 0
    with suppress(asyncio.CancelledError):
        while True:
            most = max(most, await _waiting(sender))
            await asyncio.sleep(0.25)
    return most


async def _waiting(sender: Sender) -> int:
    """Events that are open."""
    async with sender.session.get(f"http://127.0.0.1:{sender.server.port}/health") as page:
        queue = (await page.json())["queue"]
    return int(queue.get("new", 0)) + int(queue.get("claimed", 0))


def _refused(town: Town, chat: int, keys: Sequence[str]) -> tuple[list[float], int]:
    """Seconds until a chat's refusals came, each after the message that called for it; how many more they cover."""
    who = town.chats[chat][1]
    told = list(town.refusals.get(str(who.get("id", who.get("channel"))), []))
    unanswered = [town.sent[key].at for key in keys if key.startswith(f"q{chat}x") and not town.sent[key].answered]
    waits, covered, since = [], 0, -TOLD
    for at in sorted(unanswered):
        if at < since + TOLD:
            covered += 1
        elif told:
            since = told.pop(0)
            waits.append(since - at)
    return waits, covered


async def thirteen(seconds: float, pairs: int) -> list[dict[str, Cell]]:
    """20 messages a second without and with one more person who sends 100 a second, in turn, each time a new one.

    The same moments either way, and drawn: at even ones no two answers would be begun at once. All pairs together.
    """
    sent: dict[bool, list[Sent]] = {False: [], True: []}
    missing = {False: 0, True: 0}
    with tempfile.TemporaryDirectory() as home:
        async with AsyncExitStack() as stack:
            sender = await world(stack, Path(home))
            await first_words(sender, 200 + pairs)
            for pair in range(pairs):
                for is_loud in (False, True):
                    await drained(sender)
                    flood = [(number / 100, 200 + pair, number) for number in range(round(100 * seconds))]
                    flooding = asyncio.create_task(sender.send(flood if is_loud else ()))
                    turn = 100 * (2 * pair + is_loud)
                    plan = plan_at_random(20, seconds, 100 * pair)
                    keys = await sender.send([(at, chat, turn + each % 100) for at, chat, each in plan])
                    await flooding
                    missing[is_loud] += await sender.answered(keys)
                    sent[is_loud] += [sender.town.sent[key] for key in keys]
            told = len(sender.town.refusals)
    names = {False: "20 a second at random", True: "20 a second at random, and one person sends 100"}
    calm, loud = (figures(names[is_loud], 20, sent[is_loud], missing[is_loud]) for is_loud in (False, True))
    slower = float(loud["overhead p99, ms"]) / max(float(calm["overhead p99, ms"]), 1e-9)
    whole = (float(loud["overhead p99, ms"]) + 1e3 * SECONDS) / (float(calm["overhead p99, ms"]) + 1e3 * SECONDS)
    compared = {"p99 over calm p99": slower, "with the answer's second": whole, "others refused": told - pairs}
    return [calm, loud | compared]


def run(quick: bool) -> Report:
    """quick: 30 chats, which go on for 3 seconds. Else about ten minutes."""
    if quick:
        rows, notes = asyncio.run(eleven(3, (), rate=3)), tuple[str, ...]()
    else:
        rows = asyncio.run(eleven(200, (5, 10, 15, 25, 30, 40, 60)))
        good = max((float(row["messages a second"]) for row in rows[1:] if not int(row["errors"])), default=0.0)
        notes = (f"The highest rate that was held without errors: {good:.0f} messages a second.",)
        rows += asyncio.run(twelve(10)) + asyncio.run(thirteen(20, 5))
    columns = dict.fromkeys(key for row in rows for key in row)
    rows = [{column: row.get(column, "") for column in columns} for row in rows]
    cores = psutil.cpu_count()
    return Report(
        "load",
        f"What do many chats at once cost, on {cores} cores that also run the sender and both emulated platforms?",
        rows,
        (f"The stub says twenty words in {SECONDS} s.", *notes),
    )
