"""A door that falls silent is opened anew; one that cannot be reached is tried again; one that is refused ends it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

import pytest

from connectors import receiving
from connectors.connector import Accept, Connector, Received, Refused, Unsure
from connectors.receiving import receive
from tests.connectors.telegram.conftest import Inbox, connector_to
from tests.emulators.telegram import TelegramEmulator


@dataclass
class Door:
    """A connection that does what `runs` say, one after the other, and then receives nothing."""

    runs: list[Callable[[], Awaitable[None]]]
    name: str = "paper"
    opened: int = 0
    quiet: float = 0.0
    cancelled: list[int] = field(default_factory=list)

    async def run(self, accept: Accept) -> None:
        self.opened += 1
        number = self.opened
        try:
            await self.runs[number - 1]() if number <= len(self.runs) else await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise

    def silence(self) -> float:
        return self.quiet


async def nobody(events: Sequence[Received]) -> None: ...


async def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def hang() -> None:
    await asyncio.Event().wait()


async def test_a_connection_that_falls_silent_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "sleep", _at_once)
    door = Door([hang, hang], quiet=1000.0)
    running = asyncio.create_task(receive(cast("Connector", door), nobody, silence=0.02, look=0.005))
    await until(lambda: door.opened >= 3)
    assert door.cancelled[:2] == [1, 2]
    await end(running)


async def test_one_that_is_heard_is_left_alone() -> None:
    door = Door([hang], quiet=0.0)
    running = asyncio.create_task(receive(cast("Connector", door), nobody, silence=0.02, look=0.005))
    await asyncio.sleep(0.2)
    assert (door.opened, door.cancelled) == (1, [])
    await end(running)


async def test_one_that_will_not_end_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "sleep", _at_once)
    monkeypatch.setattr(receiving, "CLEANING", 0.05)
    freed = asyncio.Event()

    async def stubborn() -> None:
        while not freed.is_set():
            with suppress(asyncio.CancelledError):
                await freed.wait()

    door = Door([stubborn], quiet=1000.0)
    running = asyncio.create_task(receive(cast("Connector", door), nobody, silence=0.02, look=0.005))
    await until(lambda: door.opened >= 2)
    freed.set()
    await end(running)


async def test_a_platform_that_is_away_is_tried_again_and_a_refusal_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "sleep", _at_once)

    async def away() -> None:
        raise Unsure("It did not answer.")

    async def refused() -> None:
        raise Refused("The token is wrong.")

    door = Door([away, away, refused])
    with pytest.raises(Refused, match="token"):
        await receive(cast("Connector", door), nobody)
    assert door.opened == 3


async def test_a_poll_of_telegrams_that_hangs_is_given_up() -> None:
    async with TelegramEmulator() as emulator:
        emulator.delay("getUpdates", 600, lands=False)
        connector = connector_to(emulator)
        inbox = Inbox(connector)
        running = asyncio.create_task(receive(connector, inbox.accept, silence=1.0, look=0.05))
        await until(lambda: bool(emulator.calls("getUpdates")) or running.done())
        emulator.person("Ann").writes("hello")
        await until(lambda: bool(inbox.events))
        assert connector.silence() < 5
        await end(running)
        await connector.close()


_sleep = asyncio.sleep


async def _at_once(seconds: float) -> None:
    await _sleep(min(seconds, 0.001))
