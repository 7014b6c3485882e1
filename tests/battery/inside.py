"""The doors of `atelier serve` inside this process, over a generator that says what a test wants.

Everything between the platform's request and the platform's message is the product's own: connectors, HTTP server,
delivery queue, desk, memory, dialogue core.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.generation.generator import Limits, Piece
from agent.message import Prompt
from connectors import serve
from connectors.compose import House
from connectors.connector import Connector
from connectors.delivery.worker import Delivery
from connectors.health import Health
from connectors.receiving import receive
from connectors.settings import Settings
from tests.emulators.slack import SlackEmulator
from tests.emulators.telegram import TelegramEmulator

SLACK_PATH, TELEGRAM_PATH = "/slack/events", "/telegram"
SECRET = "battery-s3cret"
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"


@dataclass(frozen=True, slots=True)
class StubGenerator:
    """Says what `answer` makes of the prompt, word by word, in about `seconds`."""

    answer: Callable[[Prompt], str]
    seconds: float = 0.0
    name: str = "stub"

    async def stream(self, prompt: Prompt, adapter: str | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        words = self.answer(prompt).split(" ")
        clock = asyncio.get_running_loop().time
        began = clock()
        for number, word in enumerate(words):
            if self.seconds:  # by the clock: late wake-ups do not add up
                await asyncio.sleep(max(0.0, began + self.seconds * (number + 1) / len(words) - clock()))
            yield Piece(word if number == len(words) - 1 else f"{word} ")

    async def close(self) -> None:
        """Nothing is open."""


def settings_for(
    home: Path, port: int, telegram: TelegramEmulator, slack: SlackEmulator, **chosen: object
) -> dict[str, Any]:
    """Settings for both doors by webhook, on 127.0.0.1:`port`."""
    return {
        "home": home,
        "tenant": "acme",
        "listen": f"127.0.0.1:{port}",
        "telegram_token": telegram.token,
        "telegram_api": telegram.base_url.removesuffix("/bot"),
        "telegram_webhook": f"http://127.0.0.1:{port}{TELEGRAM_PATH}",
        "telegram_secret": SECRET,
        "slack_bot_token": slack.bot_token,
        "slack_signing_secret": slack.signing_secret,
        "slack_api": slack.api_url,
        **chosen,
    }


@dataclass(slots=True)
class Doors:
    """`atelier serve` inside this process. handled: the events that reached the desk, by platform and kind."""

    connectors: dict[str, Connector]
    delivery: Delivery
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    handled: dict[str, int] = field(default_factory=dict)

    async def open_events(self) -> int:
        counts = await self.delivery.counts()
        return counts.get("new", 0) + counts.get("claimed", 0)

    async def until_few(self, seconds: float, few: int = 0) -> bool:
        """Whether at most `few` events were open in time."""
        ends = asyncio.get_running_loop().time() + seconds
        while await self.open_events() > few:
            if asyncio.get_running_loop().time() > ends:
                return False
            await asyncio.sleep(0.05)
        return True

    @property
    def ended(self) -> int:
        """Loops that should run for ever and did not."""
        return sum(task.done() for task in self.tasks)


@asynccontextmanager
async def doors(settings: Settings, house: House) -> AsyncIterator[Doors]:
    """What `connectors.serve.serve` joins, without its signals."""
    connectors = serve.make_connectors(settings, house.store.engine)
    delivery = serve.make_delivery(settings, house, connectors)
    opened = Doors(connectors, delivery)
    handler = delivery._handler

    async def counted(event: Any, stage: Any) -> Any:
        kind = f"{event.place.platform} {type(event).__name__}"
        opened.handled[kind] = opened.handled.get(kind, 0) + 1
        return await handler(event, stage)

    delivery._handler = counted
    server = await serve._listen(settings, connectors, Health(delivery, connectors, house.watch))
    opened.tasks += [asyncio.create_task(receive(each, delivery.acceptor(each.name))) for each in connectors.values()]
    opened.tasks.append(asyncio.create_task(delivery.run()))
    try:
        yield opened
    finally:
        for task in opened.tasks:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await server.cleanup()
        for connector in connectors.values():
            await connector.close()
        await house.close()
