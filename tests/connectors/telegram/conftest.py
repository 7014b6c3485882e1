"""A Telegram of our own, and a connector to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from agent.events import Event
from connectors.connector import Received
from connectors.telegram.connector import TelegramConnector
from tests.emulators.telegram import TelegramEmulator


@dataclass
class Inbox:
    """Stands for the queue: keeps what was accepted. before: called ahead of each acceptance, and may raise."""

    connector: TelegramConnector
    stored: list[Received] = field(default_factory=list)
    before: Callable[[], Awaitable[None]] | None = None

    async def accept(self, events: Sequence[Received]) -> None:
        if self.before:
            await self.before()
        keys = {event.key for event in self.stored}
        self.stored += [event for event in events if event.key not in keys]

    @property
    def events(self) -> list[Event]:
        read = (self.connector.read(event.payload) for event in self.stored)
        return [event for event in read if event is not None]


def connector_to(emulator: TelegramEmulator, **options: Any) -> TelegramConnector:
    return TelegramConnector(emulator.token, "acme", api=emulator.base_url.removesuffix("/bot"), **options)


@pytest.fixture
async def emulator() -> AsyncIterator[TelegramEmulator]:
    async with TelegramEmulator() as running:
        yield running


@pytest.fixture
async def connector(emulator: TelegramEmulator) -> AsyncIterator[TelegramConnector]:
    connected = connector_to(emulator)
    yield connected
    await connected.close()


@pytest.fixture
async def inbox(connector: TelegramConnector) -> AsyncIterator[Inbox]:
    """What the connector receives by polling."""
    box = Inbox(connector)
    running = asyncio.create_task(connector.run(box.accept))
    yield box
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
