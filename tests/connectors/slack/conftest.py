"""A connector at work against the emulated Slack."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from agent.events import Event
from connectors.connector import Received
from connectors.slack.connector import SlackConnector
from tests.emulators.slack import SlackEmulator
from tests.emulators.slack_person import Person


class Inbox:
    """What was accepted. `failures`: how many accepts fail before one works, as a store that is away."""

    def __init__(self, connector: SlackConnector) -> None:
        self.connector = connector
        self.received: list[Received] = []
        self.failures = 0

    async def accept(self, events: Sequence[Received]) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("the words of a person")
        self.received += [event for event in events if event.key not in {old.key for old in self.received}]

    @property
    def events(self) -> list[Event]:
        read = [self.connector.read(received.payload) for received in self.received]
        return [event for event in read if event is not None]


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """slack_sdk sends even 127.0.0.1 through a proxy that the environment names, and Bolt takes tokens from there."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "SLACK_BOT_TOKEN", "SLACK_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def slack() -> AsyncIterator[SlackEmulator]:
    async with SlackEmulator() as emulator:
        yield emulator


@pytest.fixture
def ann(slack: SlackEmulator) -> Person:
    return slack.person("U1", "Ann")


@pytest.fixture
def general(slack: SlackEmulator, ann: Person) -> str:
    return slack.channel("C1", "general", members=[ann])


@pytest.fixture
async def connector(slack: SlackEmulator) -> AsyncIterator[SlackConnector]:
    made = SlackConnector("acme", bot_token=slack.bot_token, app_token=slack.app_token, api=slack.api_url)
    yield made
    await made.close()


@pytest.fixture
async def inbox(slack: SlackEmulator, connector: SlackConnector) -> AsyncIterator[Inbox]:
    """Connected by Socket Mode."""
    async with running(slack, Inbox(connector)) as inbox:
        yield inbox


@asynccontextmanager
async def running(slack: SlackEmulator, inbox: Inbox) -> AsyncIterator[Inbox]:
    task = asyncio.create_task(inbox.connector.run(inbox.accept))
    await slack.until(lambda: slack.connections or task.done())
    try:
        yield inbox
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
