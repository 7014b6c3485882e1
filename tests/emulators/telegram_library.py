"""The unmodified python-telegram-bot, connected to the emulator."""

from typing import Any

from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, Update

from tests.emulators.telegram import TelegramEmulator

BUTTONS = InlineKeyboardMarkup(
    [[InlineKeyboardButton("👍", callback_data="good"), InlineKeyboardButton("👎", callback_data="bad")]]
)


def connected(emulator: TelegramEmulator, token: str | None = None) -> Bot:
    """Use it as `async with connected(emulator) as bot`."""
    return Bot(token or emulator.token, base_url=emulator.base_url, base_file_url=emulator.base_file_url)


async def drain(bot: Bot, **options: Any) -> list[Update]:
    """Read and confirm everything that waits."""
    updates = list(await bot.get_updates(timeout=0, **options))
    if updates:
        await bot.get_updates(offset=updates[-1].update_id + 1, timeout=0)
    return updates
