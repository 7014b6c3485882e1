"""How Telegram reaches the bot, for `atelier doctor`: the webhook, as it stands there."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from telegram import Bot
from telegram.error import TelegramError

from connectors.telegram.failures import mapped
from connectors.telegram.requests import Requests

LATELY = timedelta(hours=1)  # an older failure to deliver is over


async def amiss(api: str, token: str, webhook: str) -> list[str]:
    """What is to be mended before updates arrive, a sentence or two each. Raises ConnectorError.

    webhook: the address that is set. https://core.telegram.org/bots/api#getwebhookinfo
    """
    requests = Requests(1), Requests(1)
    try:
        info = await Bot(
            token, base_url=f"{api}/bot", get_updates_request=requests[0], request=requests[1]
        ).get_webhook_info()
    except TelegramError as error:
        raise mapped(error) from None
    finally:
        for each in requests:
            await each.shutdown()
    if info.url and info.url != webhook:
        told = (
            f"Telegram sends updates to a webhook at {_host(info.url)}, which is not what telegram_webhook says. "
            "`atelier serve` changes that when it starts; where it comes back, another program uses this bot: give "
            "Atelier a bot of its own."
        )
        return [told]
    failed = info.last_error_date
    if webhook and failed is not None and failed > datetime.now(UTC) - LATELY:
        told = (
            f"Telegram could not deliver to {_host(webhook)} at {failed:%H:%M} UTC: {info.last_error_message}. "
            f"{info.pending_update_count} updates wait. See that `atelier serve` runs and that your web server passes "
            "that address on to `listen`."
        )
        return [told]
    return []


def _host(url: str) -> str:
    """Without the path, which may be meant to be a secret."""
    return urlsplit(url).netloc
