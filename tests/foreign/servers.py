"""Other people's servers as processes of a test session, and the house that is served to them."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from agent.memory import Rating
from connectors.compose import House, open_house
from connectors.connector import Connector
from connectors.delivery.worker import Delivery
from connectors.health import Health
from connectors.serve import _listen, _work, make_connectors, make_delivery
from connectors.settings import Settings
from retrieval.files import sha256_of
from retrieval.loading import load

T = TypeVar("T")

HOST = "127.0.0.1"
TENANT = "acme"
PATIENCE = 20.0  # seconds for a process to listen, for an answer to be seen
PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}  # the emulators' clients would send even 127.0.0.1 through them


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(command: Sequence[str], port: int, folder: Path, more: Mapping[str, str] | None = None) -> Iterator[None]:
    """Runs `command` in `folder` until the end of the block, which begins once `port` is listened on.

    more: further environment. Raises RuntimeError with the last of what it wrote when it does not come up.
    """
    environment = {name: value for name, value in os.environ.items() if name.upper() not in PROXIES} | dict(more or {})
    path = folder / f"{port}.log"
    with path.open("wb") as log:
        running = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            ends = time.monotonic() + PATIENCE
            while not _is_listening(port):
                if running.poll() is not None or time.monotonic() > ends:
                    raise RuntimeError(f"{command[0]} did not come up:\n{path.read_text(errors='replace')[-2_000:]}")
                time.sleep(0.05)
            yield
        finally:
            running.terminate()
            try:
                running.wait(5)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


@asynccontextmanager
async def answering(port: int, handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[None]:
    """A go-between on `port`: every request goes to `handle`."""
    app = web.Application(client_max_size=1 << 25)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@dataclass(frozen=True, slots=True)
class Served:
    """A house with its doors open. url: where its HTTP server is reached."""

    house: House
    connectors: Mapping[str, Connector]
    delivery: Delivery
    url: str

    def add(self, name: str, text: str) -> None:
        """Give the knowledge base a document for everyone."""
        path = self.house.store.settings.home / name
        path.write_text(text)
        self.house.knowledge.add(name, load(path), content_hash=sha256_of(path), audience=f"{TENANT}/everyone")

    def ratings(self, account: str) -> list[Rating]:
        """What somebody's account has rated: `telegram:7` is that of user 7."""
        platform, _, user = account.partition(":")
        memory = self.house.store.memory
        held = memory.held(memory.person(f"{platform}:{TENANT}:{user}").id)
        return list(held.ratings) if held else []

    def documents(self) -> list[str]:
        return [document.source for document in self.house.knowledge.shelf.documents(TENANT)]


@asynccontextmanager
async def serving(furnished: Path, home: Path, **given: object) -> AsyncIterator[Served]:
    """As `connectors.serve.serve`, in the test's own loop and ended by its block. given: settings."""
    shutil.copytree(furnished, home)
    port = free_port()
    settings = Settings(home=home, tenant=TENANT, listen=f"{HOST}:{port}", **given)
    house = await asyncio.to_thread(open_house, settings, lambda _: None)
    connectors = make_connectors(settings, house.store.engine)
    delivery = make_delivery(settings, house, connectors)
    server = await _listen(settings, connectors, Health(delivery, connectors, house.watch))
    ending = asyncio.Event()
    work = asyncio.create_task(_work(connectors, delivery, ending))
    try:
        yield Served(house, connectors, delivery, f"http://{HOST}:{port}")
    finally:
        ending.set()
        await work  # raises what ended it before
        await server.cleanup()
        for connector in connectors.values():
            await connector.close()
        await house.close()


async def until(look: Callable[[], Awaitable[T | None]]) -> T:
    """What `look` finds, as soon as it finds something. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await look()):  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.02)
        return found
