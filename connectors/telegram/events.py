"""Updates of the Bot API as events. Pure: a stored payload holds the update and who the bot is, and needs no network.

Shapes: https://core.telegram.org/bots/api#update. An update that says nothing to us is None: channel posts, service
messages, other bots, commands for another bot.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from telegram import (
    CallbackQuery,
    ChatMemberRestricted,
    ChatMemberUpdated,
    Message,
    MessageEntity,
    MessageReactionUpdated,
    ReactionTypeEmoji,
    Update,
    User,
)
from telegram.constants import ChatMemberStatus, ChatType, MessageEntityType

from agent.events import Arrived, Command, Edited, Event, File, Joined, Left, Moved, Opened, Post, Press, Reaction
from agent.message import Place

PLATFORM = "telegram"
_PRESENT = (ChatMemberStatus.MEMBER, ChatMemberStatus.ADMINISTRATOR, ChatMemberStatus.OWNER)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the bot is, from getMe. sees_all: privacy mode is off, so it reads all messages of its groups."""

    id: int
    username: str
    sees_all: bool


def wrap(update: object, bot: Identity) -> str:
    """The payload to store: the raw update and the bot's identity, as JSON in ASCII."""
    return json.dumps({"bot": asdict(bot), "update": update}, separators=(",", ":"))


def read(payload: str, tenant: str) -> Event | None:
    """What a payload made by `wrap` says. Raises ValueError for one that is broken."""
    try:
        stored = json.loads(payload)
        bot = Identity(**stored["bot"])
        raw = stored["update"]
        _checked(raw)
        update = Update.de_json(raw, None)
        return _Reader(bot, tenant).event(update)
    except Exception as error:  # noqa: BLE001 - the library parses unchecked: anything can come of a strange shape
        # Not `from error`: its text may hold what somebody wrote.
        raise ValueError(f"The update is not of a shape that Telegram documents ({type(error).__name__}).") from None


def _checked(update: Any) -> None:
    """The library takes any type for a field; what ends up in an event must be what it is said to be."""
    if not isinstance(update["update_id"], int):
        raise TypeError
    for kind in ("message", "edited_message"):
        message = update.get(kind, {})
        for name, expected in (("text", str), ("caption", str), ("message_id", int), ("migrate_to_chat_id", int)):
            if not isinstance(message.get(name, expected()), expected):
                raise TypeError
        if message and not isinstance(message["chat"]["id"], int):
            raise TypeError


class _Reader:
    def __init__(self, bot: Identity, tenant: str) -> None:
        self._bot = bot
        self._tenant = tenant

    def event(self, update: Update) -> Event | None:
        if update.message:
            return self._message(update.message)
        if update.edited_message:
            return self._edited(update.edited_message, update.update_id)
        if update.callback_query:
            return self._press(update.callback_query)
        if update.message_reaction:
            return self._reaction(update.message_reaction, update.update_id)
        if update.my_chat_member:
            return self._joined(update.my_chat_member, update.update_id)
        if update.chat_member:
            return self._arrived(update.chat_member, update.update_id)
        return None

    def _message(self, message: Message) -> Event | None:
        if message.migrate_to_chat_id is not None:
            new = Place(PLATFORM, self._tenant, str(message.migrate_to_chat_id))
            return Moved(str(message.message_id), Place(PLATFORM, self._tenant, str(message.chat.id)), new)
        account = self._author(message)
        files = _files(message)
        written = message.text or message.caption or ""
        if not account or not (written or files):
            return None
        place = self._place(message)
        is_private = message.chat.type == ChatType.PRIVATE
        language = _language(message.from_user)
        number = str(message.message_id)
        entities = message.entities or message.caption_entities
        command = next((e for e in entities if e.type == MessageEntityType.BOT_COMMAND and e.offset == 0), None)
        if command:
            name, _, addressee = _covered(written, command)[1:].lower().partition("@")
            if addressee and addressee != self._bot.username.lower():
                return None
            if message.text:
                argument = _clean(self._without_name(written, entities)[len(_covered(written, command)) :])
                if name == "start" and is_private:
                    return Opened(number, place, account, argument, language)
                return Command(number, place, account, name, argument, is_private, language)
        return Post(
            id=number,
            place=place,
            account=account,
            text=_clean(self._without_name(written, entities)),
            sent=message.date,
            direct=is_private,
            called=is_private or self._is_named(written, entities) or bool(self._replies_to(message)),
            files=files,
            language=language,
            replies_to=self._replies_to(message),
        )

    def _edited(self, message: Message, update: int) -> Edited | None:
        account = self._author(message)
        if not account:
            return None
        written, entities = message.text or message.caption or "", message.entities or message.caption_entities
        is_private = message.chat.type == ChatType.PRIVATE
        return Edited(
            id=f"update:{update}",
            place=self._place(message),
            account=account,
            message=str(message.message_id),
            text=_clean(self._without_name(written, entities)),
            sent=message.date,
            direct=is_private,
            called=is_private or self._is_named(written, entities),
            files=_files(message),
            language=_language(message.from_user),
            replies_to=self._replies_to(message),
            changed=message.edit_date,
        )

    def _press(self, query: CallbackQuery) -> Press | None:
        if query.message is None or not isinstance(query.data, str):
            return None
        thread = ""
        if isinstance(query.message, Message):
            thread = _thread(query.message)
        place = Place(PLATFORM, self._tenant, str(query.message.chat.id), thread)
        return Press(
            id=str(query.id),
            place=place,
            account=self._account(query.from_user.id),
            button=query.data,
            message=str(query.message.message_id),
            direct=query.message.chat.type == ChatType.PRIVATE,
            language=_language(query.from_user),
        )

    def _reaction(self, changed: MessageReactionUpdated, update: int) -> Reaction | None:
        """One emoji an update: the first that was added, else the first that was taken back."""
        actor = changed.user or changed.actor_chat
        if actor is None or (changed.user and changed.user.is_bot):
            return None
        before = [kind.emoji for kind in changed.old_reaction if isinstance(kind, ReactionTypeEmoji)]
        after = [kind.emoji for kind in changed.new_reaction if isinstance(kind, ReactionTypeEmoji)]
        added = [emoji for emoji in after if emoji not in before]
        taken = [emoji for emoji in before if emoji not in after]
        if not added and not taken:
            return None
        return Reaction(
            id=f"update:{update}",
            place=Place(PLATFORM, self._tenant, str(changed.chat.id)),  # a reaction does not name its topic
            account=self._account(actor.id),
            message=str(changed.message_id),
            emoji=(added or taken)[0],
            is_added=bool(added),
        )

    def _joined(self, change: ChatMemberUpdated, update: int) -> Joined | Left | None:
        """In a private chat the bot is a member until the person blocks it."""
        was, is_now = is_present(change.old_chat_member), is_present(change.new_chat_member)
        place = Place(PLATFORM, self._tenant, str(change.chat.id))
        if was and not is_now:
            return Left(f"update:{update}", place)
        if was or not is_now or change.chat.type not in (ChatType.GROUP, ChatType.SUPERGROUP):
            return None
        sees_all = self._bot.sees_all or change.new_chat_member.status == ChatMemberStatus.ADMINISTRATOR
        language = _language(change.from_user)
        return Joined(f"update:{update}", place, self._account(change.from_user.id), sees_all, language)

    def _arrived(self, change: ChatMemberUpdated, update: int) -> Arrived | None:
        """Told only where the bot is an administrator."""
        member = change.new_chat_member
        if member.user.is_bot or is_present(change.old_chat_member) or not is_present(member):
            return None
        return Arrived(
            f"update:{update}", Place(PLATFORM, self._tenant, str(change.chat.id)), self._account(member.user.id)
        )

    def _author(self, message: Message) -> str:
        """The account of who wrote it; empty for bots and for channels' posts.

        An administrator who stays anonymous, and somebody who writes as a channel, are that chat: Telegram puts a bot
        of its own in `from`.
        """
        if message.is_automatic_forward or message.chat.type == ChatType.CHANNEL:
            return ""
        if message.sender_chat:
            return self._account(message.sender_chat.id)
        if message.from_user is None or message.from_user.is_bot:
            return ""
        return self._account(message.from_user.id)

    def _account(self, user: int) -> str:
        return f"{PLATFORM}:{self._tenant}:{user}"

    def _place(self, message: Message) -> Place:
        return Place(PLATFORM, self._tenant, str(message.chat.id), _thread(message))

    def _names_us(self, text: str, entity: MessageEntity) -> bool:
        if entity.type == MessageEntityType.MENTION:
            return _covered(text, entity).lower() == f"@{self._bot.username.lower()}"
        is_person = entity.type == MessageEntityType.TEXT_MENTION and entity.user is not None
        return is_person and entity.user is not None and entity.user.id == self._bot.id

    def _is_named(self, text: str, entities: Sequence[MessageEntity]) -> bool:
        return any(self._names_us(text, entity) for entity in entities)

    def _replies_to(self, message: Message) -> str:
        """The id of the message of ours that this one answers.

        In a topic every message "replies" to the one that created the topic, which the bot may have done.
        """
        replied = message.reply_to_message
        if replied is None or replied.from_user is None or replied.forum_topic_created:
            return ""
        return str(replied.message_id) if replied.from_user.id == self._bot.id else ""

    def _without_name(self, text: str, entities: Sequence[MessageEntity]) -> str:
        units = _units(text)
        for entity in sorted(entities, key=lambda entity: entity.offset, reverse=True):
            if self._names_us(text, entity):
                units = units[: 2 * entity.offset] + units[2 * (entity.offset + entity.length) :]
        return units.decode("utf-16-le", "replace")


def _thread(message: Message) -> str:
    """The topic. A reply in an ordinary group has a thread id too, and that is no place of its own."""
    return str(message.message_thread_id) if message.is_topic_message and message.message_thread_id else ""


def _units(text: str) -> bytes:
    """Entities count in UTF-16 units: two bytes each."""
    return text.encode("utf-16-le", "surrogatepass")


def _covered(text: str, entity: MessageEntity) -> str:
    return _units(text)[2 * entity.offset : 2 * (entity.offset + entity.length)].decode("utf-16-le", "replace")


def _language(user: User | None) -> str:
    """What the person's app speaks (an IETF tag); empty for anything else, which the library hands on unread."""
    said = user.language_code if user else None
    return said if isinstance(said, str) and re.fullmatch("[A-Za-z0-9-]{2,35}", said) else ""


def _clean(text: str) -> str:
    """Without what no store keeps: NUL and half characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode().strip()


def is_present(member: Any) -> bool:
    """Whether a ChatMember is in the chat."""
    return member.status in _PRESENT or (isinstance(member, ChatMemberRestricted) and member.is_member)


def _files(message: Message) -> tuple[File, ...]:
    """At most one: Telegram sends an album as one message for each picture."""
    if message.photo:
        largest = max(message.photo, key=lambda size: size.width * size.height)
        return (_file("photo.jpg", largest),)
    named = (
        (message.document, "document"),
        (message.voice, "voice.ogg"),
        (message.audio, "audio.mp3"),
        (message.video, "video.mp4"),
        (message.video_note, "video.mp4"),
    )
    return tuple(_file(getattr(sent, "file_name", None) or name, sent) for sent, name in named if sent)


def _file(name: str, sent: Any) -> File:
    size = int(sent.file_size or 0)
    return File(_clean(str(name)), size, json.dumps({"file_id": str(sent.file_id), "size": size}))
