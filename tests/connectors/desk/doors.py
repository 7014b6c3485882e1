"""The house with its doors, as `atelier serve` joins them, opened and closed by a test."""

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from agent.generation.generator import Generator, Limits, Piece
from agent.memory import Held
from agent.message import Prompt
from connectors import compose
from connectors.compose import House, open_house
from connectors.delivery.tables import inbox
from connectors.serve import make_connectors, make_delivery
from connectors.settings import Settings
from retrieval.database import reading
from retrieval.encoder import TransformerEncoder
from retrieval.files import sha256_of
from retrieval.loading import load
from tests.connectors.desk.chats import SlackChat, TelegramChat

PATIENCE = 20.0  # seconds for all that is under way to end
SOON = 0.3  # seconds in which a timer of our own is waited for
TENANT = "acme"


class Scripted:
    """A generator that says what it was told to, word by word, and remembers what it was asked.

    pace: seconds before each word. hangs: it stops for ever after its first three words. waits: it says nothing until
    `go` is set.
    """

    name = "scripted"

    def __init__(
        self, text: str = "One fine answer.", pace: float = 0.0, *, hangs: bool = False, waits: bool = False
    ) -> None:
        self.text, self.pace, self.hangs = text, pace, hangs
        self.go = asyncio.Event()
        if not waits:
            self.go.set()
        self.prompts: list[Prompt] = []

    async def stream(self, prompt: Prompt, adapter: str | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        self.prompts.append(prompt)
        await self.go.wait()
        for number, word in enumerate(self.text.split(" ")):
            await asyncio.sleep(self.pace)
            if self.hangs and number == 3:
                await asyncio.Event().wait()
            yield Piece(f" {word}" if number else word)

    async def close(self) -> None: ...


class Doors:
    """`open` it, `close` it, open it again: the home stays, as over a restart."""

    def __init__(
        self,
        furnished: Path,
        home: Path,
        encoder: TransformerEncoder,
        slack: SlackChat,
        telegram: TelegramChat,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        shutil.copytree(furnished, home)
        self.home = home
        self._slack, self._telegram = slack, telegram
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(compose, "TransformerEncoder", lambda *_, **__: encoder)  # loaded once for all tests
        self._settings: dict[str, object] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.house: House
        self.settings: Settings

    @staticmethod
    def furnish(home: Path, encoder: TransformerEncoder) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compose, "TransformerEncoder", lambda *_, **__: encoder)
            asyncio.run(open_house(Settings.model_validate({"home": home, "tenant": TENANT}), lambda _: None).close())
        return home

    async def open(self, generator: Generator | None = None, **settings: object) -> None:
        if generator is not None:
            self._monkeypatch.setattr(compose, "make_generator", lambda *_: generator)
        self._settings |= settings
        slack, telegram = self._slack.emulator, self._telegram.emulator
        given = {
            "slack_bot_token": slack.bot_token,
            "slack_app_token": slack.app_token,
            "slack_api": slack.api_url,
            "telegram_token": telegram.token,
            "telegram_api": telegram.base_url.removesuffix("/bot"),
        }
        chosen = Settings.model_validate({"home": self.home, "tenant": TENANT, **given, **self._settings})
        self.settings = chosen  # as the file would say when it is read again
        self.house = await asyncio.to_thread(open_house, chosen, lambda _: None)
        self.connectors = make_connectors(chosen, self.house.store.engine)
        self.delivery = make_delivery(chosen, self.house, self.connectors, lambda: self.settings)
        runs = [each.run(self.delivery.acceptor(each.name)) for each in self.connectors.values()]
        self._tasks = [asyncio.create_task(run) for run in (*runs, self.delivery.run())]
        await self.until(lambda: slack.connections and telegram.calls("deleteWebhook"))

    async def close(self) -> None:
        if not self._tasks:
            return
        *receiving, working = self._tasks
        for tasks in (receiving, [working]):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for connector in self.connectors.values():
            await connector.close()
        await self.house.close()
        self._tasks = []

    async def restart(self) -> None:
        await self.close()
        await self.open()

    async def settle(self) -> None:
        """Until everything that people did has arrived and been dealt with, and what is due soon of our own."""
        for _ in range(2):
            await self.until(lambda: self._slack.is_quiet() and self._telegram.is_quiet())
            async with asyncio.timeout(PATIENCE):
                while await asyncio.to_thread(self._waits):  # noqa: ASYNC110 - it is in the store
                    await asyncio.sleep(0.01)

    def _waits(self) -> bool:
        """Whether anything is open but a session's timers that run out later."""
        is_timer = inbox.c.conversation.like(f"due/{TENANT}/ideation/%") & (inbox.c.due > time.time() + SOON)
        query = sa.select(inbox.c.id).where(inbox.c.state.in_(("new", "claimed")), ~is_timer)
        with reading(self.house.store.engine) as connection:
            return connection.execute(query.limit(1)).first() is not None

    async def settle_but(self, held: int) -> None:
        """Until everything is dealt with but `held` events that a generator keeps waiting."""
        await self.until(lambda: self._slack.is_quiet() and self._telegram.is_quiet())
        async with asyncio.timeout(PATIENCE):
            while True:
                counts = await self.delivery.counts()
                if not counts.get("new") and counts.get("claimed", 0) == held:
                    return
                await asyncio.sleep(0.01)

    async def until(self, look: Callable[[], object]) -> None:
        """Until `look` finds something. Raises what ended the doors, and TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            while not look():
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.005)

    def add(self, name: str, text: str, audience: str) -> None:
        """Give the knowledge base a document."""
        path = self.home / name
        path.write_text(text)
        self.house.knowledge.add(name, load(path), content_hash=sha256_of(path), audience=f"{TENANT}/{audience}")

    def held(self, account: str) -> Held:
        """What memory holds about whoever has this account, as settings write it."""
        platform, _, user = account.partition(":")
        memory = self.house.store.memory
        held = memory.held(memory.person(f"{platform}:{TENANT}:{user}").id)
        assert held is not None
        return held

    def documents(self) -> list[str]:
        """The sources that the knowledge base holds."""
        return [document.source for document in self.house.knowledge.shelf.documents(TENANT)]
