"""A platform in memory that can lose power: every commit and every call is a place where the process may die."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from agent.events import Button, Event, File, Outgoing, Post
from agent.message import Line, Place
from agent.support.mining import Said
from connectors.connector import Accept, Received
from connectors.delivery.stage import Pace
from connectors.delivery.worker import Delivery, Handler
from connectors.delivery.writer import Writer

QUICK = Pace(slots=4, lease=0.06, poll=0.02, drain=0.2)


class Killed(BaseException):
    """The process is gone: nothing that was under way goes on."""


@dataclass
class Power:
    """Goes out at the `at`-th place where it could; never when that is 0."""

    at: int = 0
    passed: int = 0
    is_out: bool = False

    def check(self) -> None:
        self.passed += 1
        if self.is_out or self.passed == self.at:
            self.is_out = True
            raise Killed


@dataclass
class Shown:
    """One message on the platform."""

    place: Place
    text: str
    key: str = ""
    versions: list[str] = field(default_factory=list)


class Platform:
    """What outlives every process: the messages people see. Answers mention the message they answer in `<...>`."""

    def __init__(self) -> None:
        self.messages: list[Shown] = []

    def finals(self, channel: str) -> list[str]:
        """Final texts in a channel, in order; placeholders that nobody finished are left out."""
        return [each.text for each in self.messages if each.place.channel == channel and each.text != "…"]


class PaperConnector:
    """Writes on the Platform. edits_only: as Telegram, else a message can be found by its key, as in Slack."""

    name = "paper"
    grace = 0.02

    def __init__(self, platform: Platform, power: Power, *, edits_only: bool) -> None:
        self.platform = platform
        self.power = power
        self.edits_only = edits_only
        self.fail: list[Exception] = []

    async def check(self) -> str:
        return "Paper."

    async def run(self, accept: Accept) -> None:
        await asyncio.Event().wait()

    def routes(self, accept: Accept) -> list:
        return []

    def read(self, payload: str) -> Event | None:
        data = json.loads(payload)
        if data["text"] == "ignore":
            return None
        place = Place("paper", "team", data["channel"])
        return Post(data["id"], place, "paper:team:ann", data["text"], datetime.now(UTC), direct=True, called=True)

    def parts(self, outgoing: Outgoing) -> list[Outgoing]:
        return [Outgoing(outgoing.place, text, to=outgoing.to) for text in outgoing.text.split("|")]

    async def open(self, place: Place, asker: str, key: str, stop: Button | None = None) -> str:
        return str(await self._new(place, "…", key))

    async def show(self, place: Place, handle: str, text: str, button: Button | None = None) -> None:
        self.platform.messages[int(handle)].versions.append(text)

    async def send(self, part: Outgoing, key: str, handle: str = "") -> str:
        if self.fail:
            raise self.fail.pop(0)
        if not handle:
            assert not self.edits_only
            return str(await self._new(part.place, part.text, key))
        self.power.check()
        self.platform.messages[int(handle)].text = part.text
        await asyncio.sleep(0)
        self.power.check()
        return handle

    async def find(self, place: Place, key: str) -> str | None:
        self.power.check()
        found = [i for i, each in enumerate(self.platform.messages) if each.key == key and each.text != "…"]
        return str(found[0]) if found else None

    async def earlier(self, place: Place, before: str, limit: int) -> list[Line]:
        return []

    async def language(self, account: str) -> str:
        return ""

    async def belongs(self, account: str, place: Place) -> bool:
        return False

    async def is_open(self, place: Place) -> bool:
        return False

    async def threads(self, place: Place, since: datetime, limit: int) -> list[list[Said]]:
        return []

    async def has_left(self, account: str, place: Place) -> bool:
        return False

    async def members(self, place: Place) -> frozenset[str]:
        return frozenset()

    def address(self, parameter: str) -> str:
        return ""

    async def fetch(self, file: File, to: Path) -> None: ...

    def silence(self) -> float:
        return 0.0

    async def close(self) -> None: ...

    async def _new(self, place: Place, text: str, key: str) -> int:
        self.power.check()
        self.platform.messages.append(Shown(place, text, key))
        number = len(self.platform.messages) - 1
        await asyncio.sleep(0)
        self.power.check()
        return number


class Process:
    """One process of Atelier's over the store, which may be killed."""

    def __init__(
        self,
        engine: Engine,
        platform: Platform,
        power: Power,
        handler: Handler,
        *,
        edits_only: bool,
        pace: Pace = QUICK,
    ) -> None:
        self.connector = PaperConnector(platform, power, edits_only=edits_only)
        self.delivery = Delivery(engine, {"paper": self.connector}, handler, apologise, pace)
        kept = self.delivery._keep
        self.delivery._write = mortal(self.delivery._write, power)
        self.delivery._keep = mortal(kept, power)


def mortal(write: Writer, power: Power) -> Callable[..., Awaitable[Any]]:
    """A writer before and after each of whose commits the power may go out."""

    async def written(job):
        power.check()
        result = await write(job)
        power.check()
        return result

    written.close = write.close
    return written


def apologise(event: Event) -> Outgoing:
    return Outgoing(event.place, "sorry")


def received(channel: str, number: int, text: str = "") -> Received:
    text = text or f"{channel}{number}"
    payload = json.dumps({"id": str(number), "channel": channel, "text": text})
    return Received("team", f"message:{channel}:{number}", f"paper/team/{channel}", payload)
