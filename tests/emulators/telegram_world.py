"""Telegram's memory: who is where, what was said, which updates wait for the bot.

One lock guards it all, so that people act from any thread while the server answers the bot in another.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.telegram_text import as_entities
from tests.emulators.telegram_updates import Updates, WebhookSetting
from tests.emulators.telegram_values import Answer, ApiError, Draft, Json, Seen, bad_request, forbidden

DRAFT_SECONDS = 30.0  # https://core.telegram.org/bots/api#sendmessagedraft


@dataclass(frozen=True, slots=True)
class User:
    """https://core.telegram.org/bots/api#user"""

    id: int
    name: str
    username: str | None = None
    language: str | None = None
    is_bot: bool = False

    def json(self) -> Json:
        full = {
            "id": self.id,
            "is_bot": self.is_bot,
            "first_name": self.name,
            "username": self.username,
            "language_code": self.language,
        }
        return {key: value for key, value in full.items() if value is not None}


@dataclass(frozen=True, slots=True)
class StoredFile:
    """kind: "document" or "photo". content: the bytes."""

    file_id: str
    kind: str
    name: str
    mime: str
    content: bytes = field(repr=False)

    def json(self) -> Any:
        """https://core.telegram.org/bots/api#document or an array of https://core.telegram.org/bots/api#photosize"""
        sizes = {"file_id": self.file_id, "file_unique_id": f"u{self.file_id}", "file_size": len(self.content)}
        if self.kind == "photo":
            return [{**sizes, "width": 640, "height": 480}]  # the pictures of tests are never measured
        return {**sizes, "file_name": self.name, "mime_type": self.mime}


@dataclass(frozen=True, slots=True)
class Content:
    """One version of a message. markup: the reply markup as sent. preview: a link preview shows."""

    text: str
    entities: tuple[Json, ...] = ()
    markup: Json | None = None
    file: StoredFile | None = None
    preview: bool = False
    dropped: int = field(default=0, compare=False)  # readers cannot see what was ignored


@dataclass(slots=True)
class Message:
    id: int
    author: User
    date: int
    versions: list[Content]
    thread: int | None = None
    topic: bool = False
    reply_to: int | None = None
    service: Json | None = None  # a service message's own field, such as new_chat_members
    edited_at: int | None = None
    edits: int = 0
    deleted: bool = False
    reactions: dict[int, tuple[User, tuple[str, ...]]] = field(default_factory=dict)

    @property
    def now(self) -> Content:
        return self.versions[-1]


@dataclass(slots=True)
class Chat:
    """kind: "private", "group" or "supergroup". bot: its status there; in private "new", "member" or "kicked".

    moved_to: the supergroup that a group has become.
    """

    id: int
    kind: str
    title: str
    bot: str
    forum: bool = False
    privacy: bool = True
    owner: int = 0
    members: dict[int, User] = field(default_factory=dict)
    messages: dict[int, Message] = field(default_factory=dict)
    topics: dict[int, str] = field(default_factory=dict)
    drafts: list[Draft] = field(default_factory=list)
    draft: Draft | None = None  # the one that shows until it expires or a message replaces it
    last_id: int = 0
    moved_to: int | None = None

    def json(self) -> Json:
        """https://core.telegram.org/bots/api#chat"""
        if self.kind == "private":
            (user,) = self.members.values()
            named = {"first_name": user.name, **({"username": user.username} if user.username else {})}
            return {"id": self.id, "type": "private", **named}
        return {"id": self.id, "type": self.kind, "title": self.title, **({"is_forum": True} if self.forum else {})}


class World:
    """All state. Every method is called with `changed` held; `touch` tells those who wait that something changed."""

    def __init__(self, bot: User) -> None:
        self.bot = bot
        self.changed = threading.Condition()
        self.version = 0
        self.updates = Updates()
        self.webhook = WebhookSetting()
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, StoredFile] = {}
        self.queries: dict[str, Answer | None] = {}
        self.commands: dict[str, list[Json]] = {}
        self.menu: Json = {"type": "commands"}
        self.reads_all = False
        self._ids = 1000
        self._private_ids = 0

    def touch(self) -> None:
        self.version += 1
        self.changed.notify_all()

    def new_id(self) -> int:
        self._ids += 1
        return self._ids

    def chat(self, chat_id: object) -> Chat:
        if not isinstance(chat_id, int) or chat_id not in self.chats:
            raise bad_request("chat not found")
        return self.chats[chat_id]

    def writable(self, chat_id: object) -> Chat:
        """The chat, if the bot may write there. https://core.telegram.org/bots/faq#why-doesn-39t-my-bot-see-messages"""
        chat = self.chat(chat_id)
        if chat.moved_to is not None:
            reason = "Bad Request: group chat was upgraded to a supergroup chat"
            raise ApiError(400, reason, moved_to=chat.moved_to)
        if chat.kind == "private" and chat.bot == "new":
            raise forbidden("bot can't initiate conversation with a user")
        if chat.kind == "private" and chat.bot == "kicked":
            raise forbidden("bot was blocked by the user")
        if chat.bot == "kicked":
            raise forbidden("bot was kicked from the supergroup chat")
        if chat.bot == "left":
            raise forbidden("bot is not a member of the supergroup chat")
        return chat

    def topic(self, chat: Chat, thread: int | None) -> int | None:
        """Check a thread to send to: only a forum has them. https://core.telegram.org/bots/api#sendmessage"""
        if thread is not None and thread not in chat.topics:
            raise bad_request("message thread not found")
        return thread

    def message(self, chat: Chat, message_id: int | None, what: str) -> Message:
        found = chat.messages.get(message_id or 0)
        if found is None or found.deleted:
            raise bad_request(f"message {what} not found")
        return found

    def post(
        self,
        chat: Chat,
        author: User,
        content: Content,
        *,
        thread: int | None = None,
        reply_to: int | None = None,
        service: Json | None = None,
    ) -> Message:
        """Put a message into a chat. Ids are unique in a supergroup, and among all private chats of the bot.

        https://core.telegram.org/bots/api#message
        """
        if chat.kind == "private":
            self._private_ids += 1
            chat.last_id = self._private_ids
        else:
            chat.last_id += 1
        topic = thread is not None
        if topic and reply_to is None and service is None:
            reply_to = thread  # a message in a topic "replies" to the service message that opened it
        elif chat.kind == "supergroup" and not chat.forum and reply_to is not None:
            parent = chat.messages[reply_to]
            thread = parent.thread or parent.id  # replies form a thread in any supergroup, but no topic
        message = Message(chat.last_id, author, int(time.time()), [content], thread, topic, reply_to, service)
        chat.messages[message.id] = message
        if author is self.bot:
            chat.draft = None
        return message

    def edit(self, message: Message, content: Content) -> None:
        message.versions.append(content)
        message.edited_at = int(time.time())
        message.edits += 1

    def json(self, chat: Chat, message: Message, *, nested: bool = False) -> Json:
        """https://core.telegram.org/bots/api#message"""
        now = message.now
        found: Json = {
            "message_id": message.id,
            "date": message.date,
            "chat": chat.json(),
            "from": message.author.json(),
            **(message.service or {}),
        }
        if message.edited_at is not None:
            found["edit_date"] = message.edited_at
        if message.thread is not None:
            found["message_thread_id"] = message.thread
        if message.topic:
            found["is_topic_message"] = True
        text, entities = ("caption", "caption_entities") if now.file else ("text", "entities")
        if now.file:
            found[now.file.kind] = now.file.json()
        if now.text:
            found[text] = now.text
            if now.entities:
                found[entities] = list(now.entities)
        if now.markup and "inline_keyboard" in now.markup:
            found["reply_markup"] = now.markup
        if message.reply_to is not None and not nested:  # replies are shown one level deep
            parent = chat.messages.get(message.reply_to)
            if parent is not None and not parent.deleted:
                found["reply_to_message"] = self.json(chat, parent, nested=True)
        return found

    def member(self, chat: Chat, user: User) -> Json:
        """https://core.telegram.org/bots/api#chatmember"""
        status = chat.bot if user is self.bot else "member" if user.id in chat.members else "left"
        if user.id == chat.owner:
            return {"status": "creator", "user": user.json(), "is_anonymous": False}
        found: Json = {"status": "member" if status == "new" else status, "user": user.json()}
        if status == "kicked":
            found["until_date"] = 0
        if status == "administrator":
            rights = (
                "manage_chat delete_messages manage_video_chats restrict_members change_info invite_users "
                "post_stories edit_stories delete_stories pin_messages"
            )
            found |= {f"can_{right}": True for right in rights.split()}
            found |= {"can_be_edited": False, "is_anonymous": False, "can_promote_members": False}
        return found

    def bot_becomes(self, chat: Chat, status: str, by: User) -> None:
        """Change the bot's status and tell it. https://core.telegram.org/bots/api#chatmemberupdated"""
        old = self.member(chat, self.bot)
        chat.bot = status
        change = {
            "chat": chat.json(),
            "from": by.json(),
            "date": int(time.time()),
            "old_chat_member": old,
            "new_chat_member": self.member(chat, self.bot),
        }
        self.updates.add("my_chat_member", change, chat.id)

    def member_becomes(self, chat: Chat, user: User, *, present: bool, by: User) -> None:
        """Somebody comes or goes; bots hear of it as administrators. https://core.telegram.org/bots/api#update"""
        old = self.member(chat, user)
        if present:
            chat.members[user.id] = user
        else:
            chat.members.pop(user.id)
        if chat.bot == "administrator":
            change = {"chat": chat.json(), "from": by.json(), "date": int(time.time())}
            change |= {"old_chat_member": old, "new_chat_member": self.member(chat, user)}
            self.updates.add("chat_member", change, chat.id)

    def deliver(self, chat: Chat, message: Message, kind: str = "message") -> None:
        """Tell the bot of a message, if it may see it."""
        if self.visible(chat, message):
            self.updates.add(kind, self.json(chat, message), chat.id)

    def visible(self, chat: Chat, message: Message) -> bool:
        """https://core.telegram.org/bots/features#privacy-mode"""
        if chat.bot not in {"member", "administrator"}:
            return False
        if chat.kind == "private" or chat.bot == "administrator" or not chat.privacy or message.service:
            return True
        parent = chat.messages.get(message.reply_to or 0)
        if parent is not None and parent.author is self.bot and not parent.service:
            return True
        own = f"@{self.bot.username}".lower()
        for entity in as_entities(message.now.text, message.now.entities):
            if entity.type == "mention" and entity.text.lower() == own:
                return True
            if entity.type == "bot_command":
                _, at, addressee = entity.text.lower().partition("@")
                if not at or f"@{addressee}" == own:
                    return True
        return False

    def seen(self, chat: Chat, thread: int | None) -> list[Seen]:
        found = [
            self.snapshot(chat, message)
            for message in chat.messages.values()
            if not message.deleted and not message.service and (thread is None or message.thread == thread)
        ]
        draft = chat.draft
        if draft is not None and time.monotonic() - draft.at < DRAFT_SECONDS and thread is None:
            found.append(Seen(chat.id, draft.draft_id, "bot", draft.text, draft=True))
        return found

    def snapshot(self, chat: Chat, message: Message) -> Seen:
        now = message.now
        rows = (now.markup or {}).get("inline_keyboard", [])
        return Seen(
            chat.id,
            message.id,
            "bot" if message.author is self.bot else message.author.name,
            now.text,
            as_entities(now.text, now.entities),
            tuple(tuple(str(button["text"]) for button in row) for row in rows),
            message.edits,
            thread=message.thread if message.topic else None,
            reply_to=None if message.reply_to == message.thread and message.topic else message.reply_to,
            asks_reply=bool((now.markup or {}).get("force_reply")),
            preview=now.preview,
            file=None if now.file is None else now.file.name if now.file.kind == "document" else "photo",
            reactions=tuple(
                ("bot" if user is self.bot else user.name, emoji)
                for user, emojis in message.reactions.values()
                for emoji in emojis
            ),
            entities_dropped=now.dropped,
        )

    def react(self, chat: Chat, message: Message, user: User, emojis: Sequence[str]) -> None:
        """Set someone's reactions; the bot hears of people's as an administrator only.

        https://core.telegram.org/bots/api#update (message_reaction)
        """
        _, old = message.reactions.pop(user.id, (user, ()))
        if emojis:
            message.reactions[user.id] = (user, tuple(emojis))
        if user is not self.bot and chat.bot == "administrator":
            change = {
                "chat": chat.json(),
                "message_id": message.id,
                "user": user.json(),
                "date": int(time.time()),
                "old_reaction": [{"type": "emoji", "emoji": emoji} for emoji in old],
                "new_reaction": [{"type": "emoji", "emoji": emoji} for emoji in emojis],
            }
            self.updates.add("message_reaction", change, chat.id)

    def store(self, kind: str, name: str, mime: str, content: bytes) -> StoredFile:
        stored = StoredFile(f"{kind}-{self.new_id()}", kind, name, mime, content)
        self.files[stored.file_id] = stored
        return stored

    def find(self, message_id: int) -> Iterator[Message]:
        return (chat.messages[message_id] for chat in self.chats.values() if message_id in chat.messages)
