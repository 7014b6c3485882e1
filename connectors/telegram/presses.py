"""How a press of a button is answered: its spinner ends, and in a group who pressed may be told a word on the button.

https://core.telegram.org/bots/api#answercallbackquery: once for each press, at most 200 characters.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from telegram import Bot
from telegram.error import TelegramError

from agent.events import Outgoing

PATIENCE = 3.0  # seconds that a press in a group may wait for a word on the button
LONGEST = 200


class Presses:
    """later: does something beside it all whose failure nobody misses."""

    def __init__(self, bot: Bot, later: Callable[[Callable[[], Awaitable[object]]], object]) -> None:
        self._bot = bot
        self._later = later
        self._told: set[str] = set()  # presses that were answered with a word

    def acknowledge(self, press: str, is_private: bool) -> None:  # noqa: FBT001 - one of two facts about a press
        """End the spinner of a press that is safe in the store. In a group the word goes first, if one comes."""

        async def end() -> None:
            if not is_private:
                await asyncio.sleep(PATIENCE)
            if press not in self._told:
                await self._bot.answer_callback_query(press)
            self._told.discard(press)

        self._later(end)

    async def toast(self, part: Outgoing) -> None:
        """A word that only who pressed sees, for a moment; lost where the press is too old."""
        self._told.add(part.press)
        text = part.text if len(part.text) <= LONGEST else part.text[: LONGEST - 1] + "…"
        with suppress(TelegramError):
            await self._bot.answer_callback_query(part.press, text.replace("`", ""))
