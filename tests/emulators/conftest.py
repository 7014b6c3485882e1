"""Both emulators, running in the test's own loop, and the unmodified libraries connected to them."""

from collections.abc import AsyncIterator

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from telegram import Bot

from tests.emulators.slack import SlackEmulator
from tests.emulators.slack_person import Person
from tests.emulators.telegram import TelegramEmulator
from tests.emulators.telegram_library import connected


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """slack_sdk sends even 127.0.0.1 through a proxy that the environment names; python-telegram-bot warns whenever it
    raises RetryAfter, unless it is told that durations are welcome.
    """
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


@pytest.fixture
async def slack() -> AsyncIterator[SlackEmulator]:
    async with SlackEmulator() as emulator:
        yield emulator


@pytest.fixture
def ann(slack: SlackEmulator) -> Person:
    return slack.person("U1", "Ann", locale="de-DE")


@pytest.fixture
def general(slack: SlackEmulator, ann: Person) -> str:
    return slack.channel("C1", "general", members=[ann])


@pytest.fixture
def client(slack: SlackEmulator) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])


@pytest.fixture
async def emulator() -> AsyncIterator[TelegramEmulator]:
    async with TelegramEmulator() as running:
        yield running


@pytest.fixture
async def bot(emulator: TelegramEmulator) -> AsyncIterator[Bot]:
    async with connected(emulator) as ready:
        yield ready
