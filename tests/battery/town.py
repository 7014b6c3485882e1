"""Both emulated platforms with people on them, and the doors of Atelier between: all in one event loop."""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiolimiter import AsyncLimiter

from agent.message import Prompt
from connectors.settings import Settings
from connectors.slack import calls
from tests.battery.house import open_house
from tests.battery.inside import SLACK_PATH, Doors, StubGenerator, doors, settings_for
from tests.battery.process import free_port
from tests.emulators.slack import SlackEmulator
from tests.emulators.slack_person import Person as SlackPerson
from tests.emulators.telegram import TelegramEmulator
from tests.emulators.telegram_people import Person as TelegramPerson

PEOPLE = 100  # on each platform, in whose names the payloads are sent


def answer(prompt: Prompt) -> str:
    return f"You wrote: {prompt.message[:80]}"


@dataclass(slots=True)
class Town:
    """Both platforms, people on them, and the doors."""

    telegram: TelegramEmulator
    slack: SlackEmulator
    doors: Doors
    session: aiohttp.ClientSession
    port: int
    updates: list[dict[str, Any]] = field(default_factory=list)  # every update that Telegram has sent
    failures: list[str] = field(default_factory=list)  # of any task, and of any log line with ERROR
    anns: list[TelegramPerson] = field(default_factory=list)
    bobs: list[SlackPerson] = field(default_factory=list)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status; 0 when the server broke the connection."""
        try:
            url = f"http://127.0.0.1:{self.port}{path}"
            async with self.session.post(url, data=body, headers=headers) as response:
                await response.read()
                return response.status
        except aiohttp.ClientError:
            return 0

    def posts(self) -> int:
        """Messages of Atelier's that people see on either platform."""
        ours = sum(each.author == "bot" for ann in self.anns for each in self.telegram.seen(ann))
        return ours + sum(each.author == "bot" for bob in self.bobs for each in self.slack.seen(bob.dm))


class _Errors(logging.Handler):
    """Keeps what the product itself logs as an error: a given-up event is one, and expected; a crash is another."""

    def __init__(self, failures: list[str]) -> None:
        super().__init__(logging.ERROR)
        self.failures = failures

    def emit(self, record: logging.LogRecord) -> None:
        if "is given up" not in record.getMessage():
            self.failures.append(record.getMessage())


@asynccontextmanager
async def town(people: int = PEOPLE) -> AsyncIterator[Town]:
    """All of it in this loop. The platforms' paces are taken away: with them 10,000 answers take most of an hour."""
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        telegram = await stack.enter_async_context(TelegramEmulator())
        slack = await stack.enter_async_context(SlackEmulator())
        port = free_port()
        settings = Settings(**settings_for(home, port, telegram, slack, messages_per_minute=10_000, backlog=100_000))
        house = open_house(settings, lambda: StubGenerator(answer))
        opened = await stack.enter_async_context(doors(settings, house))
        pace: Any = opened.connectors["telegram"]
        pace._pace._overall = AsyncLimiter(1e6, 1)
        pace._pace._chat = lambda _: pace._pace._overall
        before, calls.POST_PAUSE = calls.POST_PAUSE, 0.0
        stack.callback(setattr, calls, "POST_PAUSE", before)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        made = Town(telegram, slack, opened, session, port)
        errors = _Errors(made.failures)
        logging.getLogger().addHandler(errors)
        stack.callback(logging.getLogger().removeHandler, errors)
        asyncio.get_running_loop().set_exception_handler(lambda _, about: made.failures.append(str(about["message"])))
        inject = telegram._world.updates.inject

        def recorded(update: Mapping[str, Any], chat_id: int = 0) -> int:
            made.updates.append(dict(update))
            return inject(update, chat_id)

        telegram._world.updates.inject = recorded
        await telegram.until(lambda: telegram.calls("setWebhook"), 20)
        slack.events_url = f"http://127.0.0.1:{port}{SLACK_PATH}"
        for number in range(people):
            made.anns.append(telegram.person(f"Ann {number}", language="de"))
            made.bobs.append(slack.person(f"U{number}", f"Bob {number}"))
            telegram._world.chats[made.anns[-1].id].bot = "member"
            assert made.bobs[-1].dm
        yield made
