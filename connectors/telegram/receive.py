"""How updates arrive: by long polling or by webhook. An update is stored before Telegram hears that it arrived.

https://core.telegram.org/bots/api#getting-updates
"""

import asyncio
import hashlib
import hmac
import json
import logging
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from telegram import Bot
from telegram.error import Conflict, RetryAfter, TelegramError

from agent.message import Place
from connectors.connector import Accept, Received
from connectors.telegram.events import PLATFORM, Identity, wrap
from connectors.telegram.failures import mapped, seconds_of
from retrieval.errors import AtelierError

log = logging.getLogger(__name__)

ALLOWED = ("message", "edited_message", "callback_query", "message_reaction", "my_chat_member", "chat_member")
MOST_BYTES = 1 << 20  # of a webhook request
MOST_DEPTH = 32  # of its JSON; an update with a reply to a forwarded picture has about 8
MOST_SECONDS = 10.0  # in which its body must arrive
# Who did it: a chat goes before the bot of its own that Telegram puts there for whoever writes in its name.
_DOING = {
    "message": ("sender_chat", "from"),
    "edited_message": ("sender_chat", "from"),
    "callback_query": ("from",),
    "message_reaction": ("user", "actor_chat"),
}
_POLL = 25  # seconds that Telegram holds a poll open when there is nothing
_LONGEST_PAUSE = 30.0  # seconds
_TOKEN = re.compile(rb'"[^"]*"?|[][{}]')

Pressed = Callable[[str, bool], None]  # is given the id of a press that is safe in the store, and whether in private


def received(update: object, tenant: str, bot: Identity) -> Received:
    """One raw update, ready to store, whatever its shape: what cannot be read is found out later, on its own.

    Two updates with one message have one key, and the messages of a place are one conversation. Presses and reactions
    are handled beside it.
    """
    payload = wrap(update, bot)
    raw = update if isinstance(update, Mapping) else {}
    number = _whole(raw.get("update_id"))
    key = f"broken:{hashlib.sha256(payload.encode()).hexdigest()}" if number is None else f"update:{number}"
    conversation = key
    for kind in ("message", "edited_message", "my_chat_member"):
        place = _place(raw.get(kind), tenant)
        if place:
            message = _whole(raw[kind].get("message_id"))
            if kind == "message" and message is not None:
                key = f"message:{place.channel}:{message}"
            conversation = f"stop:{key}" if _stops(raw[kind]) else place.key  # behind the answer it would come too late
            if kind == "my_chat_member":  # what waits for a chat that was left would only be refused
                conversation = f"change:{place.key}"
            break
    else:
        press = _press(raw)
        conversation = f"press:{press}" if press else key
    return Received(tenant, key, conversation, payload, by=_author(raw, tenant))


def _stops(message: Mapping[str, object]) -> bool:
    return re.match(r"/stop(@\w+)?\s*$", str(message.get("text") or "")) is not None


def _place(message: object, tenant: str) -> Place | None:
    """The same place that `events.read` finds."""
    if not isinstance(message, Mapping) or not isinstance(message.get("chat"), Mapping):
        return None
    chat = _whole(message["chat"].get("id"))
    thread = _whole(message.get("message_thread_id")) if message.get("is_topic_message") is True else None
    return None if chat is None else Place(PLATFORM, tenant, str(chat), str(thread or ""))


def _author(update: Mapping[str, Any], tenant: str) -> str:
    for kind, names in _DOING.items():
        happened = update.get(kind)
        for author in (happened.get(name) for name in names) if isinstance(happened, Mapping) else ():
            number = _whole(author.get("id")) if isinstance(author, Mapping) else None
            if number is not None:
                return f"{PLATFORM}:{tenant}:{number}"
    return ""


def _whole(value: object) -> int | None:
    """An id; Telegram's have at most 52 bits, and a key must not grow with what somebody sends."""
    return value if isinstance(value, int) and abs(value) < 1 << 53 else None


def _press(update: Mapping[str, Any]) -> str:
    query = update.get("callback_query")
    press = query.get("id") if isinstance(query, Mapping) else None
    return press if isinstance(press, str) and re.fullmatch(r"[\w-]{1,64}", press) else ""


def _is_private(update: Mapping[str, Any]) -> bool:
    """Whether a press happened in a private chat: those alone have positive ids."""
    message = update["callback_query"].get("message")
    chat = message.get("chat") if isinstance(message, Mapping) else None
    number = _whole(chat.get("id")) if isinstance(chat, Mapping) else None
    return number is None or number > 0


async def poll(
    bot: Bot, identity: Identity, tenant: str, accept: Accept, pressed: Pressed, heard: Callable[[], None]
) -> None:
    """Receive by long polling until cancelled. The offset advances only when `accept` has returned.

    heard: called whenever Telegram has answered, whatever it said.
    """
    offset = 0
    backoff = Backoff()
    while True:
        try:
            # Spelled so that the library neither parses the updates nor takes it for its own get_updates().
            updates = await bot.do_api_request(
                "get_Updates",
                {"offset": offset, "timeout": _POLL, "allowed_updates": list(ALLOWED)},
                read_timeout=_POLL + 10,
            )
            heard()
            if updates:
                await accept([received(update, tenant, identity) for update in updates])
            backoff.reset()
        except Conflict:
            heard()
            log.warning("Another process polls Telegram with this bot's token, or a webhook is set. Run only one.")
            await backoff.wait()
        except RetryAfter as error:
            heard()
            await asyncio.sleep(seconds_of(error))
        except TelegramError as error:
            log.warning("Updates from Telegram are late: %s", mapped(error))
            await backoff.wait()
        except AtelierError as error:  # the store is away: Telegram keeps the updates meanwhile
            log.warning("Updates from Telegram wait: %s", error)
            await backoff.wait()
        else:
            # After a quiet week ids begin anew, perhaps lower: an empty answer confirmed all, so ask from the start.
            known = [update for update in updates if isinstance(update, dict)]
            offset = max((number + 1 for update in known if (number := _whole(update.get("update_id")))), default=0)
            for update in known:
                if press := _press(update):
                    pressed(press, _is_private(update))


class Backoff:
    """Pauses between tries: from half a second, doubling, to half a minute, each with a random share."""

    def __init__(self) -> None:
        self._pause = 0.5

    def reset(self) -> None:
        self._pause = 0.5

    async def wait(self) -> None:
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


async def insist(attempt: Callable[[], Awaitable[Any]]) -> Any:
    """Try until it works, with growing pauses or those that Telegram asks for; what `attempt` returns."""
    backoff = Backoff()
    while True:
        try:
            return await attempt()
        except RetryAfter as error:
            await asyncio.sleep(seconds_of(error))
        except TelegramError as error:
            log.warning("Telegram did not let us begin; trying again. %s", mapped(error))
            await backoff.wait()


class Webhook:
    """What answers Telegram's requests. identity: None until `run` has learned it; Telegram is told to try again."""

    def __init__(
        self, secret: str, tenant: str, identity: Callable[[], Identity | None], accept: Accept, pressed: Pressed
    ) -> None:
        self._secret = secret.encode()
        self._tenant = tenant
        self._identity = identity
        self._accept = accept
        self._pressed = pressed

    async def handle(self, request: web.Request) -> web.Response:
        """200 only when the update is safe in the store."""
        if (request.content_length or 0) > MOST_BYTES:
            return web.Response(status=413)
        given = request.headers.get("X-Telegram-Bot-Api-Secret-Token")
        if given is None:
            return web.Response(status=401)
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._secret):
            return web.Response(status=403)
        identity = self._identity()
        if identity is None:
            return web.Response(status=503)
        try:
            async with asyncio.timeout(MOST_SECONDS):
                body = await _body(request)
        except TimeoutError:
            return web.Response(status=408)
        if body is None:
            return web.Response(status=413)
        update = parsed(body)
        if update is None:
            return web.Response(status=400)
        try:
            await self._accept([received(update, self._tenant, identity)])
        except AtelierError as error:
            log.warning("An update from Telegram waits: %s", error)
            return web.Response(status=503)
        if press := _press(update):
            self._pressed(press, _is_private(update))
        return web.Response()


async def _body(request: web.Request) -> bytes | None:
    """The body, or None as soon as it is too long."""
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > MOST_BYTES:
            return None
    return bytes(body)


def parsed(body: bytes) -> dict[str, Any] | None:
    """The JSON object in `body`; None when it is broken, no object, or too deep."""
    if not body.lstrip(b" \t\r\n").startswith(b"{") or is_deep(body):
        return None
    try:
        update = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return update if isinstance(update, dict) else None


def is_deep(body: bytes) -> bool:
    """Whether its brackets are nested deeper than MOST_DEPTH. Before parsing, which is recursive; ends early."""
    bare = body.replace(rb"\\", b"").replace(rb"\"", b"")  # so that each quote begins or ends a string
    depth = 0
    for token in _TOKEN.finditer(bare):
        first = bare[token.start()]
        if first in b"[{":
            depth += 1
            if depth > MOST_DEPTH:
                return True
        elif first in b"]}":
            depth -= 1
    return False
