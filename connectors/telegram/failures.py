"""The library's errors as the seam's. No text of theirs goes on: it can hold the token or what somebody wrote."""

from datetime import timedelta

from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, RetryAfter, TelegramError, TimedOut

from connectors.connector import ConnectorError, Refused, Throttled, Unsure
from connectors.telegram.requests import NEVER_LEFT

# What a 400 begins with, and what it means to us: https://core.telegram.org/bots/api#making-requests lists none of
# them, so these are the wordings that the server is known to use.
_REFUSALS = {
    "chat not found": "Telegram knows no such chat, or Atelier is not in it.",
    "message thread not found": "The topic is gone.",
    "topic_closed": "The topic is closed.",
    "topic_deleted": "The topic is gone.",
    "not enough rights": "Atelier may not write in this chat.",
    "chat_write_forbidden": "Atelier may not write in this chat.",
    "have no rights": "Atelier may not write in this chat.",
    "message is too long": "The message is longer than Telegram takes.",
    "message_too_long": "The message is longer than Telegram takes.",
    "file is too big": "The file is larger than Telegram hands out (20 MB).",
    "invalid file_id": "The file is gone.",
    "wrong file_id": "The file is gone.",
}


def seconds_of(error: RetryAfter) -> float:
    pause = error.retry_after
    return pause.total_seconds() if isinstance(pause, timedelta) else float(pause)


def says(error: TelegramError, *wordings: str) -> bool:
    """Whether Telegram's description holds one of these."""
    described = error.message.lower()
    return any(wording in described for wording in wordings)


def mapped(error: TelegramError) -> ConnectorError:
    """What became of a request that ended in `error`, as the seam says it."""
    if isinstance(error, RetryAfter):
        return Throttled("Telegram asks for a pause.", seconds_of(error))
    if isinstance(error, Forbidden):
        return Refused("Atelier was blocked or removed, or may not write in this chat.")
    if isinstance(error, InvalidToken):
        # Nothing was delivered, and all of it can be once the token is right again.
        return Throttled("Telegram does not accept the bot's token.", 60.0)
    if isinstance(error, ChatMigrated):
        return Refused("The group has become a supergroup, under another id.")
    if isinstance(error, BadRequest):  # before NetworkError, whose child it is
        known = (sentence for wording, sentence in _REFUSALS.items() if says(error, wording))
        return Refused(next(known, "Telegram refused the request as it stands."))
    if isinstance(error.__cause__, NEVER_LEFT):
        return Throttled("Telegram cannot be reached.", 2.0)  # the request never left
    if says(error, "too many requests"):  # a 429 that does not say for how long
        return Throttled("Telegram asks for a pause.", 5.0)
    if isinstance(error, TimedOut):
        return Unsure("Telegram did not answer in time.")
    return Unsure("The connection to Telegram broke, or Telegram failed.")
