"""What is written on Telegram: messages, edits and drafts, each at its pace, each in a form that the server takes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from telegram import Bot, InlineKeyboardMarkup, InputMediaDocument, InputMediaPhoto, LinkPreviewOptions, Message
from telegram.error import BadRequest, ChatMigrated, RetryAfter

from agent.events import Outgoing
from agent.message import Place
from connectors.connector import Throttled
from connectors.telegram.failures import says, seconds_of
from connectors.telegram.opened import Opened
from connectors.telegram.pace import Pace
from connectors.telegram.render import Rendered

log = logging.getLogger(__name__)

TIMEOUT = 15.0  # seconds
PREVIEW_TIMEOUT = 5.0  # seconds; a final waits for the preview before it
GONE = ("message to edit not found", "message can't be edited", "message_id_invalid")
_SHORT_PAUSE = 3.0  # seconds: a wish for less is waited for here
_TRIES = 3
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)

T = TypeVar("T")


class Writing:
    """Raises the library's errors; those that ask for a pause only where it is long, or as Throttled."""

    def __init__(self, bot: Bot, pace: Pace) -> None:
        self._bot, self._pace = bot, pace

    async def draft(self, opened: Opened, place: Place, rendered: Rendered) -> None:
        """Shown for half a minute; an empty one says "Thinking…"."""
        await self._bot.send_message_draft(
            int(opened.chat),
            opened.draft,
            rendered.text,
            entities=rendered.entities,
            message_thread_id=thread(place),
            read_timeout=PREVIEW_TIMEOUT,
        )

    async def put(
        self, opened: Opened, part: Outgoing, rendered: Rendered, buttons: InlineKeyboardMarkup | None
    ) -> None:
        """The placeholder becomes the text, or the picture: it can be repeated, as `sendPhoto` could not.

        https://core.telegram.org/bots/api#editmessagemedia "or to add media to text messages"; a server that is too
        old for that shows the words alone.
        """
        if part.pictures:
            await self._paced(opened.chat, lambda: self._picture(opened, part, rendered, buttons))
        else:
            await self._paced(opened.chat, lambda: self.edit(opened, rendered, buttons))

    async def _picture(
        self, opened: Opened, part: Outgoing, rendered: Rendered, buttons: InlineKeyboardMarkup | None
    ) -> None:
        (picture,) = part.pictures
        said, formats = rendered.text, rendered.entities
        shown: InputMediaDocument | InputMediaPhoto
        if picture.name:
            shown = InputMediaDocument(picture.content, said, caption_entities=formats, filename=picture.name)
        else:
            shown = InputMediaPhoto(picture.content, said, caption_entities=formats, filename="picture.png")
        try:
            await self._bot.edit_message_media(shown, opened.chat, opened.message, reply_markup=buttons)
        except BadRequest as error:
            if says(error, "message is not modified"):
                return
            if says(error, *GONE):
                raise
            log.warning("Telegram did not take a picture; its words are shown alone.")
            await self.edit(opened, rendered, buttons)

    async def edit(
        self, opened: Opened, rendered: Rendered, buttons: InlineKeyboardMarkup | None, patience: float = TIMEOUT
    ) -> None:
        """At once. Repeating it changes nothing. What Telegram cannot format is shown without formatting."""
        for entities in (rendered.entities, ()):
            try:
                await self._bot.edit_message_text(
                    rendered.text,
                    opened.chat,
                    opened.message,
                    entities=entities,
                    link_preview_options=_NO_PREVIEW,
                    reply_markup=buttons,
                    read_timeout=patience,
                )
            except BadRequest as error:
                if says(error, "message is not modified"):
                    return
                if not (entities and says(error, "entit")):
                    raise
            else:
                return

    async def post(
        self, place: Place, rendered: Rendered, buttons: InlineKeyboardMarkup | None, *, is_silent: bool = False
    ) -> Message:
        """A new message. What Telegram cannot format is sent without formatting."""
        topic = thread(place)

        async def sent(chat: str, entities: tuple[Any, ...]) -> Message:
            return await self._bot.send_message(
                chat,
                rendered.text,
                entities=entities,
                message_thread_id=topic,
                link_preview_options=_NO_PREVIEW,
                reply_markup=buttons,
                disable_notification=is_silent,
            )

        async def taken(chat: str) -> Message:
            try:
                return await self._paced(chat, lambda: sent(chat, rendered.entities))
            except BadRequest as error:
                if not (rendered.entities and says(error, "entit")):
                    raise
                return await self._paced(chat, lambda: sent(chat, ()))

        try:
            return await taken(place.channel)
        except ChatMigrated as error:  # the group became a supergroup since somebody wrote
            return await taken(str(error.new_chat_id))
        except BadRequest as error:
            if topic is None or not says(error, "message thread not found"):
                raise
            if (await self._bot.get_chat(place.channel)).is_forum:  # that one topic was deleted
                raise
            topic = None  # the group gave up its topics since somebody wrote: all is one conversation there now
            return await taken(place.channel)

    async def _paced(self, chat: str, request: Callable[[], Awaitable[T]]) -> T:
        """Wait for a turn in `chat`, and for a short pause that Telegram asks for."""
        for left in reversed(range(_TRIES)):
            if (held := self._pace.held(chat)) >= _SHORT_PAUSE:  # the queue waits, and the slot is another's meanwhile
                raise Throttled("Telegram asked for a pause.", held)
            if held:
                await asyncio.sleep(held)
            await self._pace.turn(chat)
            try:
                return await request()
            except RetryAfter as error:
                pause = seconds_of(error)
                self._pace.hold(chat, pause)
                if pause >= _SHORT_PAUSE or not left:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")


def thread(place: Place) -> int | None:
    """The forum topic of a place."""
    return int(place.thread) if place.thread else None
