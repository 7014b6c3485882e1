"""Both doors open over one real house, in the test's own loop."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from retrieval.encoder import TransformerEncoder
from tests.connectors.desk.chats import Chat, SlackChat, TelegramChat
from tests.connectors.desk.doors import Doors
from tests.connectors.desk.meetings import hurry
from tests.emulators.slack import SlackEmulator
from tests.emulators.telegram import TelegramEmulator


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both libraries send even 127.0.0.1 through a proxy that the environment names."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def slack() -> AsyncIterator[SlackChat]:
    async with SlackEmulator() as emulator:
        yield SlackChat(emulator)


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramChat]:
    async with TelegramEmulator() as emulator:
        yield TelegramChat(emulator)


@pytest.fixture(params=["slack", "telegram"])
def chat(request: pytest.FixtureRequest, slack: SlackChat, telegram: TelegramChat) -> Chat:
    """The platform that this run of the test is about; the other door is open too."""
    return slack if request.param == "slack" else telegram


@pytest.fixture
async def doors(
    furnished: Path,
    tmp_path: Path,
    encoder: TransformerEncoder,
    slack: SlackChat,
    telegram: TelegramChat,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Doors]:
    """Not open yet: a test says with what settings."""
    made = Doors(furnished, tmp_path / "home", encoder, slack, telegram, monkeypatch)
    yield made
    await made.close()


@pytest.fixture
async def open_doors(doors: Doors, telegram: TelegramChat, monkeypatch: pytest.MonkeyPatch) -> Doors:
    """Open, and in a hurry: for sessions whose settings do not matter."""
    hurry(monkeypatch, telegram)
    await doors.open()
    return doors
