"""What the Bot API tells of people: their names, and whether somebody is in a group."""

from contextlib import suppress

from telegram import Bot
from telegram.error import TelegramError

from agent.message import Place
from connectors.telegram.events import is_present


async def called(bot: Bot, account: str) -> str:
    """The name of whoever has written to the bot: https://core.telegram.org/bots/api#getchat. Else empty."""
    with suppress(TelegramError, ValueError):
        chat = await bot.get_chat(int(account.rpartition(":")[2]))
        return chat.full_name or chat.title or ""
    return ""


async def belongs(bot: Bot, account: str, place: Place) -> bool:
    """Certain where the bot is an administrator (https://core.telegram.org/bots/api#getchatmember)."""
    with suppress(TelegramError, ValueError):
        return is_present(await bot.get_chat_member(place.channel, int(account.rpartition(":")[2])))
    return False


async def has_left(bot: Bot, account: str, place: Place) -> bool:
    """Not where the bot is not told: who is in a group it may learn as an administrator only."""
    with suppress(TelegramError, ValueError):
        return not is_present(await bot.get_chat_member(place.channel, int(account.rpartition(":")[2])))
    return False
