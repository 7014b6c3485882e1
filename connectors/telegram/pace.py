"""How fast we may write: 30 messages a second in all, 1 a second in a private chat, 20 a minute in a group.

Short bursts may pass, so a placeholder and the answer that follows at once need not wait for each other. Limits: https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
"""

import asyncio
from collections import Counter

from aiolimiter import AsyncLimiter

PREVIEW_EVERY = {True: 1.1, False: 3.1}  # seconds, in a private chat and in a group
_BURST = 2  # messages in a row to a private chat
_PACE = 1.15  # seconds for each: they are counted when they arrive, which is not when they leave
_FOR_FINALS = {True: 1, False: 6}  # what previews leave of a private chat's burst, and of a group's 20 a minute
_SPARE = 15  # of the 30 a second that previews leave to the finals of all chats, which come in bursts
_MOST_CHATS = 4096


def is_private(chat: str) -> bool:
    """Groups and channels have negative ids, people positive ones."""
    return not chat.startswith("-")


class Pace:
    """Finals wait for their turn; previews take one only where it is free and no final wants it."""

    def __init__(self) -> None:
        self._overall = AsyncLimiter(30, 1)
        self._chats: dict[str, AsyncLimiter] = {}
        self._waiting: Counter[str] = Counter()
        self._quiet: dict[str, float] = {}  # until when previews rest, in the loop's time
        self._held: dict[str, float] = {}  # until when all rests, because Telegram said so

    async def turn(self, chat: str) -> None:
        """Wait until a message may go to `chat`."""
        self._waiting[chat] += 1
        try:
            await self._chat(chat).acquire()
            await self._overall.acquire()
        finally:
            self._waiting[chat] -= 1
            if not self._waiting[chat]:
                del self._waiting[chat]
        self._rest(chat, PREVIEW_EVERY[is_private(chat)])

    async def preview(self, chat: str) -> bool:
        """Take a turn for a preview if there is one to spare; whether there was. Never waits."""
        limiter = self._chat(chat)
        needed = 1 + _FOR_FINALS[is_private(chat)]
        is_early = asyncio.get_running_loop().time() < self._quiet.get(chat, 0.0)
        has_room = limiter.has_capacity(needed) and self._overall.has_capacity(1 + _SPARE)
        if is_early or self._waiting[chat] or not has_room:
            return False
        await self.turn(chat)  # at once: there is room
        return True

    def hold(self, chat: str, seconds: float) -> None:
        """Nothing in `chat` for `seconds`: Telegram asked for a pause."""
        self._rest(chat, seconds)
        self._held[chat] = asyncio.get_running_loop().time() + seconds

    def held(self, chat: str) -> float:
        """Seconds until the pause that Telegram asked for in `chat` is over."""
        left = self._held.get(chat, 0.0) - asyncio.get_running_loop().time()
        if left <= 0:
            self._held.pop(chat, None)
        return max(0.0, left)

    def _rest(self, chat: str, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        self._quiet[chat] = max(until, self._quiet.get(chat, 0.0))

    def _chat(self, chat: str) -> AsyncLimiter:
        if chat not in self._chats:
            if len(self._chats) >= _MOST_CHATS:
                self._forget()
            self._chats[chat] = AsyncLimiter(_BURST, _PACE * _BURST) if is_private(chat) else AsyncLimiter(20, 60)
        return self._chats[chat]

    def _forget(self) -> None:
        """Drop the chats where nothing happened lately: their limits are whole again."""
        now = asyncio.get_running_loop().time()
        for chat, limiter in list(self._chats.items()):
            if limiter.has_capacity(limiter.max_rate) and not self._waiting[chat] and self._quiet.get(chat, 0.0) <= now:
                del self._chats[chat]
                self._quiet.pop(chat, None)
