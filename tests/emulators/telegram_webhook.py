"""Posts updates to the bot's webhook until each is taken. https://core.telegram.org/bots/api#setwebhook"""

import asyncio
import contextlib
import time
from collections import defaultdict, deque

import aiohttp

from tests.emulators.telegram_world import World

TIMEOUT = aiohttp.ClientTimeout(total=30)


class WebhookPoster:
    """One chat's updates in order, chats side by side up to max_connections. Lives in the server's loop."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.retry_seconds = 0.05  # the platform waits longer and longer; tests need not
        self._generation = 0
        self._last = 0
        self._lines: defaultdict[int, deque[int]] = defaultdict(deque)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._free = asyncio.Semaphore(1)
        self._session: aiohttp.ClientSession | None = None

    async def wake(self) -> None:
        """Look for new updates, and for a changed setting."""
        hook = self._world.webhook
        if hook.generation != self._generation:
            await self._stop()
            self._generation = hook.generation
            self._last = 0
            self._free = asyncio.Semaphore(hook.max_connections)
        if not hook.url:
            return
        with self._world.changed:
            new = []
            for update_id in reversed(self._world.updates.pending):
                if update_id <= self._last:
                    break
                new.append((update_id, self._world.updates.pending[update_id][0]))
        for update_id, chat_id in reversed(new):
            self._last = update_id
            self._lines[chat_id].append(update_id)
            if chat_id not in self._tasks:
                self._tasks[chat_id] = asyncio.create_task(self._drain(chat_id))

    async def close(self) -> None:
        await self._stop()
        if self._session is not None:
            await self._session.close()

    async def _stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._lines.clear()

    async def _drain(self, chat_id: int) -> None:
        line = self._lines[chat_id]
        while line:
            async with self._free:
                taken = await self._post(line[0])
            if taken:
                with self._world.changed:
                    self._world.updates.pending.pop(line.popleft(), None)
                    self._world.touch()
            else:
                await asyncio.sleep(self.retry_seconds)
        del self._tasks[chat_id], self._lines[chat_id]

    async def _post(self, update_id: int) -> bool:
        hook = self._world.webhook
        with self._world.changed:
            if update_id not in self._world.updates.pending:  # dropped by drop_pending_updates
                return True
            update = self._world.updates.pending[update_id][1]
        headers = {"X-Telegram-Bot-Api-Secret-Token": hook.secret} if hook.secret else {}
        self._session = self._session or aiohttp.ClientSession(timeout=TIMEOUT)
        error = "Connection refused or closed"
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self._session.post(hook.url, json=update, headers=headers) as answer:
                if 200 <= answer.status < 300:
                    return True
                error = f"Wrong response from the webhook: {answer.status} {answer.reason}"
        hook.last_error, hook.last_error_at = error, time.time()
        return False
