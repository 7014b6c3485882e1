"""The Telegram connector: the seam's protocol over the Bot API.

An answer is always an edit of a placeholder, and so are previews, unless drafts are asked for: these exist in private
chats only, and cost the Stop button.
"""

import asyncio
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from telegram import Bot
from telegram.constants import ChatAction
from telegram.error import BadRequest, ChatMigrated, InvalidToken, RetryAfter, TelegramError

from agent.events import Button, Event, File, Outgoing, Post
from agent.message import Line, Place
from agent.support.mining import Said
from connectors.connector import Accept, Gone, Refused, Unsure
from connectors.desk.texts import languages, say
from connectors.telegram import cut, download, events, people
from connectors.telegram.failures import mapped, says, seconds_of
from connectors.telegram.opened import Opened
from connectors.telegram.pace import Pace, is_private
from connectors.telegram.presses import Presses
from connectors.telegram.receive import ALLOWED, Webhook, insist, poll
from connectors.telegram.render import MOST_UNITS, NOTHING, Rendered, keyboard, render
from connectors.telegram.requests import Requests
from connectors.telegram.writing import GONE, PREVIEW_TIMEOUT, TIMEOUT, Writing, thread
from retrieval.errors import SettingsError

log = logging.getLogger(__name__)

MENU = (
    *("help", "ask", "ideate", "idea", "sources", "why", "feedback"),
    *("clear", "link", "consent", "export", "forget", "stop"),
)
_TYPING = 1.2  # seconds after which it says so beside the placeholder: most answers are there by then
_MOST_TYPING = 16  # answers that are awaited at once: beyond, nobody has the time to say so
_LATE = 15.0  # seconds after which a preview that was given up has landed or never will


class TelegramConnector:
    """One bot. api: the Bot API server. webhook_url: where Telegram reaches us; empty for long polling.

    drafts: previews in private chats are drafts.

    Raises SettingsError for a token, a URL or a secret that cannot be right.
    """

    name = "telegram"
    grace = 60.0
    edits_only = True

    def __init__(
        self,
        token: str,
        tenant: str,
        *,
        api: str = "https://api.telegram.org",
        webhook_url: str = "",
        webhook_secret: str = "",
        drafts: bool = False,
    ) -> None:
        if not re.fullmatch(r"\d+:[\w-]+", token):
            raise SettingsError("The Telegram token is not one: @BotFather gives tokens like 123456:AbC-dEf.")
        if webhook_url and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", webhook_secret):
            raise SettingsError("A Telegram webhook needs a secret: 1 to 256 of A-Z, a-z, 0-9, _ and -.")
        # httpx, which fetches files, logs URLs, which hold the token; the library logs answers that it cannot parse.
        for noisy, level in (("httpx", logging.WARNING), ("httpcore", logging.WARNING), ("telegram", logging.CRITICAL)):
            logging.getLogger(noisy).setLevel(level)
        # The library's own opt-in to the types of its next version: without it each RetryAfter comes with a warning.
        os.environ.setdefault("PTB_TIMEDELTA", "true")
        self._tenant = tenant
        self._webhook_url = webhook_url
        self._webhook_secret = webhook_secret
        self._drafts = drafts
        self._requests = (
            Requests(2),
            Requests(64, read=TIMEOUT, pool=5.0),
        )
        self._bot = Bot(
            token,
            base_url=f"{api}/bot",
            base_file_url=f"{api}/file/bot",
            get_updates_request=self._requests[0],
            request=self._requests[1],
        )
        self._presses = Presses(self._bot, self._later)
        self._identity: events.Identity | None = None
        self._pace = Pace()
        self._writing = Writing(self._bot, self._pace)
        self._heard = time.monotonic()
        self._late: set[str] = set()  # handles of which a preview may still land
        self._previews: dict[str, asyncio.Task[None]] = {}
        self._typing: dict[str, asyncio.Task[None]] = {}
        self._background: set[asyncio.Task[Any]] = set()

    async def check(self) -> str:
        """Raises Refused for a wrong token; once it runs, a token that is taken back is waited for instead."""
        with _mapping():
            try:
                me = await self._learn()
            except InvalidToken:
                raise Refused("Telegram does not accept the bot's token.") from None
            except RetryAfter as error:
                self._pace.hold("", seconds_of(error))
                raise
        way = "by webhook" if self._webhook_url else "by polling"
        if me.sees_all:
            return f"Telegram: @{me.username}, {way}; in groups it sees every message."
        return (
            f"Telegram: @{me.username}, {way}; privacy mode is on, so in groups it sees only mentions, replies and "
            "commands (@BotFather's /setprivacy changes that, or make the bot an administrator of the group)."
        )

    async def run(self, accept: Accept) -> None:
        """Receive until cancelled."""
        await asyncio.sleep(self._pace.held(""))
        identity = self._identity = await insist(self._learn)
        with suppress(TelegramError):  # a bot without a menu works
            for language in ("", *languages()):  # each person's app shows its own, or the first
                menu = [(name, say(language, f"menu_{name}")) for name in MENU]
                await self._bot.set_my_commands(menu, language_code=language or None)
        if self._webhook_url:
            await insist(
                lambda: self._bot.set_webhook(
                    self._webhook_url, secret_token=self._webhook_secret, allowed_updates=ALLOWED
                )
            )
            await asyncio.Event().wait()
        await insist(self._bot.delete_webhook)
        await poll(self._bot, identity, self._tenant, accept, self._presses.acknowledge, self._hear)

    def _hear(self) -> None:
        self._heard = time.monotonic()

    def silence(self) -> float:
        """A poll is answered after 25 seconds at the latest; by webhook Telegram calls us."""
        return 0.0 if self._webhook_url else time.monotonic() - self._heard

    async def _learn(self) -> events.Identity:
        me = await self._bot.get_me()
        return events.Identity(me.id, me.username or "", bool(me.can_read_all_group_messages))

    def routes(self, accept: Accept) -> list[web.RouteDef]:
        """The webhook, at the path of its URL; nothing when polling."""
        if not self._webhook_url:
            return []
        webhook = Webhook(self._webhook_secret, self._tenant, lambda: self._identity, accept, self._presses.acknowledge)
        return [web.post(urlsplit(self._webhook_url).path or "/", webhook.handle)]

    def read(self, payload: str) -> Event | None:
        """What a stored payload says. Raises ValueError for a broken one."""
        return events.read(payload, self._tenant)

    def parts(self, outgoing: Outgoing) -> list[Outgoing]:
        """`outgoing` as messages that fit."""
        return cut.parts(outgoing)

    async def open(self, place: Place, asker: str, key: str, stop: Button | None = None) -> str:
        """Send the placeholder, silently, or begin a draft where an answer is yet to be made. Returns its handle."""
        if self._drafts and stop is not None and asker and is_private(place.channel):  # none is told how far a job is
            draft = Opened.draft_for(place.channel, key)
            with suppress(TelegramError):  # a server that is too old for drafts has placeholders
                await self._writing.draft(draft, place, Rendered("", (), 0))
                return draft.handle()
        shown = Rendered(NOTHING, (), 0)
        with _mapping():
            message = await self._writing.post(
                place, shown, keyboard([stop] if stop else []), is_silent=stop is not None
            )
        chat = str(message.chat.id)
        handle = Opened(chat, message.message_id, stop).handle()

        async def typing() -> None:
            await asyncio.sleep(_TYPING)
            if len(self._typing) <= _MOST_TYPING:
                await self._bot.send_chat_action(chat, ChatAction.TYPING, message_thread_id=thread(place))

        self._typing[handle] = task = self._later(typing)
        task.add_done_callback(lambda _: self._typing.pop(handle, None))
        return handle

    async def show(self, place: Place, handle: str, text: str, button: Button | None = None) -> None:  # noqa: ARG002 - the handle holds it
        """Preview `text`, or its beginning where one message does not hold it. Goes on by itself; never raises."""
        opened = Opened.of(handle)
        if handle in self._previews or not await self._pace.preview(opened.chat):
            return
        task = asyncio.create_task(self._preview(opened, place, text[: 2 * MOST_UNITS]))
        self._previews[handle] = task
        task.add_done_callback(lambda _: self._previews.pop(handle, None))

    async def _preview(self, opened: Opened, place: Place, text: str) -> None:
        rendered = render(cut.parts(Outgoing(place, text))[0])
        try:
            if opened.draft:
                await self._writing.draft(opened, place, rendered)
            else:
                await self._writing.edit(opened, rendered, opened.keyboard, patience=PREVIEW_TIMEOUT)
        except RetryAfter as error:
            self._pace.hold(opened.chat, seconds_of(error))
        except TelegramError as error:
            if isinstance(mapped(error), Unsure):
                self._late.add(opened.handle())
            log.debug("A preview was not shown: %s", mapped(error))

    async def send(self, part: Outgoing, key: str, handle: str = "") -> str:  # noqa: ARG002 - nothing here carries a key
        """Put `part` in place of the placeholder. Raises Gone where that was deleted."""
        if part.press and not handle:
            await self._presses.toast(part)
            return ""
        rendered, buttons = render(part), keyboard(part.buttons)
        with _mapping():
            if handle:
                opened = Opened.of(handle)
                if typing := self._typing.get(handle):
                    typing.cancel()
                if preview := self._previews.get(handle):
                    await asyncio.wait({preview})  # else it could land after the final and stay
                if opened.draft:
                    raise Gone("A draft cannot become a message: a placeholder has to be opened.")
                try:
                    await self._writing.put(opened, part, rendered, buttons)
                    if handle in self._late:  # a preview that nobody heard of again could come after this
                        await asyncio.sleep(_LATE)
                        await self._writing.put(opened, part, rendered, buttons)
                        self._late.discard(handle)
                except (ChatMigrated, BadRequest) as error:
                    if isinstance(error, BadRequest) and not says(error, *GONE):
                        raise
                    raise Gone("The message that was opened for the answer is not there any more.") from None
                return str(opened.message)
            message = await self._writing.post(part.place, rendered, buttons)
            return str(message.message_id)

    async def find(self, place: Place, key: str) -> str | None:  # noqa: ARG002 - the seam's
        """A bot cannot look messages up."""
        return None

    async def earlier(self, place: Place, before: str, limit: int) -> list[Line]:  # noqa: ARG002 - the seam's
        """A bot cannot read what was written before."""
        return []

    async def language(self, account: str) -> str:  # noqa: ARG002 - the seam's
        """Telegram tells it with each event."""
        return ""

    async def called(self, account: str) -> str:
        return await people.called(self._bot, account)

    async def belongs(self, account: str, place: Place) -> bool:
        return await people.belongs(self._bot, account, place)

    async def has_left(self, account: str, place: Place) -> bool:
        return await people.has_left(self._bot, account, place)

    async def members(self, place: Place) -> frozenset[str]:  # noqa: ARG002 - the seam's
        """A bot cannot list them."""
        return frozenset()

    async def is_open(self, place: Place) -> bool:  # noqa: ARG002 - the seam's
        """A group is for who is in it."""
        return False

    async def threads(self, place: Place, since: datetime, limit: int) -> list[list[Said]]:  # noqa: ARG002 - the seam's
        """A bot cannot read what was written before."""
        return []

    def address(self, parameter: str) -> str:
        """https://core.telegram.org/bots/features#deep-linking."""
        return f"https://t.me/{self._identity.username}?start={parameter}" if self._identity else ""

    def under(self, place: Place, handle: str) -> Place:  # noqa: ARG002 - the seam's
        """A message begins no place of its own here."""
        return place

    async def aside(self, account: str, place: Place) -> Place:
        """A private chat's id is the person's. The bot may write there once they have opened it."""
        return Place(place.platform, place.tenant, account.rpartition(":")[2])

    async def said(self, place: Place, message: str) -> Post | None:  # noqa: ARG002 - the seam's
        """A bot cannot look messages up."""
        return None

    async def fetch(self, file: File, to: Path) -> None:
        """Write the file to `to`. Raises Refused when it is gone or larger than 20 MB."""
        with _mapping():
            await download.fetch(self._bot, file, to)

    async def close(self) -> None:
        """End what still runs and close the connections."""
        tasks = [*self._background, *self._previews.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for request in self._requests:
            await request.shutdown()

    def _later(self, request: Callable[[], Awaitable[object]]) -> "asyncio.Task[None]":
        """Do something beside it all whose failure nobody misses."""

        async def attempt() -> None:
            with suppress(TelegramError):
                await request()

        task = asyncio.create_task(attempt())
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


@contextmanager
def _mapping() -> Iterator[None]:
    """The library's errors leave as the seam's, without their text and without themselves."""
    try:
        yield
    except TelegramError as error:
        raise mapped(error) from None
