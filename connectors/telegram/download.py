"""Files that came with messages.

https://core.telegram.org/bots/api#getfile
"""

import asyncio
import json
from pathlib import Path

import httpx
from telegram import Bot

from agent.events import File
from connectors.connector import Refused, Throttled, Unsure

MOST_BYTES = 20_000_000  # what Telegram hands out to bots


async def fetch(bot: Bot, file: File, to: Path) -> None:
    """Write `file` to `to`, or nothing. Raises TelegramError, Refused, Throttled or Unsure."""
    if file.size > MOST_BYTES:
        raise Refused("The file is larger than Telegram hands out (20 MB).")
    try:
        file_id = str(json.loads(file.locator)["file_id"])
    except (ValueError, KeyError, TypeError):
        raise Refused("The file cannot be found: its reference is damaged.") from None
    url = (await bot.get_file(file_id)).file_path
    if not url:
        raise Refused("The file is gone.")
    try:
        await _download(url, to)
    except httpx.HTTPError:  # its text holds the URL, and that the token
        await asyncio.to_thread(to.unlink, missing_ok=True)
        raise Unsure("The file did not arrive whole.") from None
    except BaseException:
        await asyncio.to_thread(to.unlink, missing_ok=True)
        raise


async def _download(url: str, to: Path) -> None:
    async with httpx.AsyncClient(timeout=30.0) as client, client.stream("GET", url) as response:
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise Throttled("Telegram asks for a pause.", 5.0)
        if response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE, httpx.codes.BAD_REQUEST):
            raise Refused("The file is gone.")
        response.raise_for_status()
        file = await asyncio.to_thread(to.open, "wb")
        try:
            size = 0
            async for piece in response.aiter_bytes(1 << 18):
                size += len(piece)
                if size > MOST_BYTES:
                    raise Refused("The file is larger than Telegram hands out (20 MB).")
                await asyncio.to_thread(file.write, piece)
        finally:
            await asyncio.to_thread(file.close)
