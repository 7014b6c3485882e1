"""A Telegram Bot API on 127.0.0.1 for tests: the bot talks HTTP to it, the test plays the people and looks on.

In the test's own loop, or in a thread of its own with a loop of its own (the bot is another process, or blocks):

    async with TelegramEmulator() as emulator: ...
    with TelegramEmulator.threaded() as emulator: ...

    ann = emulator.person("Ann", language="de")
    ann.writes("Hello")
    emulator.wait_until(lambda: emulator.seen(ann)[-1].author == "bot", timeout=5)

What it does not have: channels, inline mode, payments, media groups, legacy Markdown, getUpdates of several bots.
The rules are those of https://core.telegram.org/bots/api; each is cited where it is enforced.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar

from tests.emulators.telegram_faults import Delay, FloodLimits
from tests.emulators.telegram_people import Group, Person, new_group, new_person
from tests.emulators.telegram_server import Hook, Phase, Server
from tests.emulators.telegram_values import Answer, Call, Draft, Entity, Seen
from tests.emulators.telegram_world import Chat, User, World

__all__ = ["Answer", "Call", "Draft", "Entity", "FloodLimits", "Group", "Person", "Phase", "Seen", "TelegramEmulator"]

TOKEN = "123:abc"
T = TypeVar("T")


class TelegramEmulator:
    """One bot's Telegram. Everything here but the async methods may be called from any thread."""

    def __init__(self, token: str = TOKEN, username: str = "atelier_bot", name: str = "Atelier") -> None:
        self.token = token
        self.username = username
        self._world = World(User(int(token.partition(":")[0]), name, username, is_bot=True))
        self._server = Server(self._world, token)
        self._thread: int | None = None  # the one that runs the server

    async def __aenter__(self) -> Self:
        self._thread = threading.get_ident()
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.close()

    @classmethod
    @contextmanager
    def threaded(cls, token: str = TOKEN, username: str = "atelier_bot", name: str = "Atelier") -> Iterator[Self]:
        """The same in a thread of its own."""
        emulator = cls(token, username, name)
        ready, done = threading.Event(), threading.Event()
        failures: list[BaseException] = []
        loop = asyncio.new_event_loop()
        stop = asyncio.Event()

        async def serve() -> None:
            async with emulator:
                ready.set()
                await stop.wait()

        def work() -> None:
            try:
                loop.run_until_complete(serve())
                loop.run_until_complete(loop.shutdown_asyncgens())
            except BaseException as failure:  # noqa: BLE001 - raised again where the test sees it
                failures.append(failure)
            finally:
                loop.close()
                ready.set()
                done.set()

        thread = threading.Thread(target=work, name="telegram-emulator", daemon=True)
        thread.start()
        ready.wait()
        try:
            yield emulator
        finally:
            if not done.is_set():
                loop.call_soon_threadsafe(stop.set)
            thread.join()
        if failures:
            raise failures[0]

    @property
    def base_url(self) -> str:
        """For `Bot(base_url=...)`: the token is appended."""
        return f"http://127.0.0.1:{self._server.port}/bot"

    @property
    def base_file_url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}/file/bot"

    # People

    def person(self, name: str, *, username: str | None = None, language: str | None = None) -> Person:
        return new_person(self._world, name, username, language)

    def group(
        self,
        title: str,
        members: Sequence[Person],
        *,
        topics: bool = False,
        privacy: bool = True,
        with_bot: bool = True,
        basic: bool = False,
    ) -> Group:
        """basic: no supergroup yet; it `upgrades`."""
        return new_group(self._world, title, members, topics=topics, privacy=privacy, with_bot=with_bot, basic=basic)

    def inject(self, update: Mapping[str, object]) -> int:
        """Deliver any raw update, whatever was allowed. Returns the update_id that it got."""
        with self._world.changed:
            return self._world.updates.inject(update)

    # Trouble

    @contextmanager
    def overtaken(self) -> Iterator[Callable[[], None]]:
        """What is written inside reaches the bot only when the given function is called: later updates overtake it.

        A webhook that failed is tried again, beside others: https://core.telegram.org/bots/api#setwebhook
        Here under new numbers, as polling asks on from the last: by webhook Telegram keeps those that they had.
        """
        late = self._world.updates.overtaken = []

        def deliver() -> None:
            for update in late:
                self.inject(update)

        try:
            yield deliver
        finally:
            self._world.updates.overtaken = None

    @property
    def flood(self) -> bool:
        """Whether flood control answers 429."""
        return self._server.flood_on

    @flood.setter
    def flood(self, on: bool) -> None:
        self._server.flood_on = on

    @property
    def files(self) -> list[tuple[str, bytes]]:
        """The name and content of every file and picture that was ever sent, in order."""
        return [(each.name, each.content) for each in self._world.files.values()]

    @property
    def flood_limits(self) -> FloodLimits:
        return self._server.flood.limits

    @flood_limits.setter
    def flood_limits(self, limits: FloodLimits) -> None:
        self._server.flood.limits = limits

    def fail_next(self, method: str, status: int = 500, retry_after: int | None = None, times: int = 1) -> None:
        """Refuse the next calls of `method` without effect ("download" is that of a file). retry_after: seconds."""
        self._server.faults.fail(method, status, retry_after, times)

    def outage(self, seconds: float, status: int = 502) -> None:
        """Refuse every call without effect from now on; with 429, retry_after is what is left of it."""
        self._server.faults.outage(seconds, status)

    def delay(self, method: str, seconds: float, *, lands: bool = True, times: int = 1) -> None:
        """Let the next calls take effect late, or (lands=False) get lost with their connection after that time."""
        self._server.faults.delay(method, Delay(seconds, lands), times)

    def on_call(self, hook: Hook) -> None:
        """Call hook(method, params, phase) in the server's thread; params as they came.

        "received": nothing has happened yet, and it will even if the bot dies now. "applied": it took effect, the
        answer is not sent (not called for a refused call). "answered": the answer is on the wire.
        """
        self._server.hooks.append(hook)

    # Looking on

    def seen(self, chat: Person | Group | int, thread: int | None = None) -> list[Seen]:
        """What is in the chat now, oldest first, without service messages. thread: only this forum topic."""
        with self._world.changed:
            return self._world.seen(self._chat(chat), thread)

    def drafts(self, chat: Person | Group | int) -> list[Draft]:
        """Every draft that was streamed there, oldest first."""
        with self._world.changed:
            return list(self._chat(chat).drafts)

    def calls(self, method: str | None = None) -> list[Call]:
        """The bot's finished calls, in the order in which they were answered."""
        with self._world.changed:
            return list(self._server.calls if method is None else self._server.by_method.get(method, ()))

    def history(self, message_id: int, chat: Person | Group | int | None = None) -> list[str]:
        """Every text that the message ever had, deleted or not. Ids repeat between groups: then name the chat."""
        with self._world.changed:
            if chat is not None:
                return [version.text for version in self._chat(chat).messages[message_id].versions]
            found = list(self._world.find(message_id))
            if len(found) != 1:
                raise LookupError(f"{len(found)} chats have a message {message_id}")
            return [version.text for version in found[0].versions]

    def pending(self) -> int:
        """Updates that the bot has not confirmed."""
        with self._world.changed:
            return len(self._world.updates.pending)

    def wait_until(self, predicate: Callable[[], T], timeout: float) -> T:
        """Block until the predicate is true and return its value; it is tried on every change and every 50 ms.

        Raises TimeoutError. timeout: seconds. Beside a server in the same loop use `until`.
        """
        if self._thread == threading.get_ident():
            raise RuntimeError("this would stop the server itself: await emulator.until(...) instead")
        until = time.monotonic() + timeout
        while True:
            version = self._world.version
            if value := predicate():
                return value
            left = until - time.monotonic()
            if left <= 0:
                raise self._late(timeout)
            with self._world.changed:
                if self._world.version == version:
                    self._world.changed.wait(min(left, 0.05))

    async def until(self, predicate: Callable[[], T], timeout: float) -> T:  # noqa: ASYNC109 - the same words as above
        """`wait_until` for a test that runs in an event loop."""
        until = time.monotonic() + timeout
        while not (value := predicate()):
            if time.monotonic() > until:
                raise self._late(timeout)
            await asyncio.sleep(0.005)
        return value

    def _late(self, timeout: float) -> TimeoutError:
        last = [f"{call.method} {call.status} {call.description}".strip() for call in self.calls()[-8:]]
        return TimeoutError(f"not so after {timeout} s; the bot's last calls: {', '.join(last) or 'none'}")

    def _chat(self, chat: Person | Group | int) -> Chat:
        return self._world.chats[chat if isinstance(chat, int) else chat.id]
