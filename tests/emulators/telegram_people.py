"""The human side: people and groups. Every method may be called from any thread."""

import re
from collections.abc import Sequence

from tests.emulators.telegram_sending import MOST_CAPTION, MOST_TEXT, plain_emoji
from tests.emulators.telegram_text import recognise, utf16
from tests.emulators.telegram_values import Answer, Json, Seen
from tests.emulators.telegram_world import Chat, Content, Message, StoredFile, User, World

_SUPERGROUPS = -1_000_000_000_000  # their ids lie below: https://core.telegram.org/api/bots/ids
_START = re.compile(r"[A-Za-z0-9_-]{1,64}")  # https://core.telegram.org/bots/features#deep-linking


class Group:
    """A group or supergroup; its first member owns it. https://core.telegram.org/bots/api#chat"""

    def __init__(self, world: World, chat: Chat) -> None:
        self._world, self._chat = world, chat
        self.id = chat.id

    def topic(self, name: str) -> int:
        """Open a forum topic; its id is that of the service message. https://core.telegram.org/bots/api#forumtopic"""
        with self._world.changed:
            if not self._chat.forum:
                raise ValueError(f"{self._chat.title} has no topics")
            thread = self._chat.last_id + 1
            self._chat.topics[thread] = name
            self._serve({"forum_topic_created": {"name": name, "icon_color": 0x6FB9F0}}, thread)
            return thread

    def deletes_topic(self, thread: int) -> None:
        with self._world.changed:
            del self._chat.topics[thread]

    def gives_up_topics(self) -> None:
        """What was written stays, in one conversation. https://core.telegram.org/api/forum#enabling-forum-functionality"""
        with self._world.changed:
            self._chat.forum = False
            self._chat.topics.clear()

    def adds(self, person: "Person") -> None:
        with self._world.changed:
            self._world.member_becomes(self._chat, person.user, present=True, by=self._owner)
            self._serve({"new_chat_members": [person.user.json()]})

    def removes(self, person: "Person") -> None:
        with self._world.changed:
            self._world.member_becomes(self._chat, person.user, present=False, by=self._owner)
            self._serve({"left_chat_member": person.user.json()})

    def adds_bot(self) -> None:
        """The bot hears of it twice, as from the platform: my_chat_member and a service message."""
        with self._world.changed:
            self._world.bot_becomes(self._chat, "member", self._owner)
            self._serve({"new_chat_members": [self._world.bot.json()]})

    def promotes_bot(self) -> None:
        self._bot_becomes("administrator")

    def demotes_bot(self) -> None:
        self._bot_becomes("member")

    def kicks_bot(self) -> None:
        self._bot_becomes("kicked")

    def upgrades(self) -> "Group":
        """Become a supergroup, with another id: told of in both. https://core.telegram.org/bots/api#message"""
        old, world = self._chat, self._world
        with world.changed:
            if old.kind != "group":
                raise ValueError(f"{old.title} is a supergroup already")
            chat_id = _SUPERGROUPS - world.new_id()
            new = Chat(chat_id, "supergroup", old.title, old.bot, False, old.privacy, old.owner, dict(old.members))
            world.chats[chat_id] = new
            self._serve({"migrate_to_chat_id": chat_id})
            old.moved_to = chat_id
            upgraded = Group(world, new)
            upgraded._serve({"migrate_from_chat_id": old.id})
            return upgraded

    @property
    def _owner(self) -> User:
        return self._chat.members[self._chat.owner]

    def _bot_becomes(self, status: str) -> None:
        with self._world.changed:
            self._world.bot_becomes(self._chat, status, self._owner)
            self._world.touch()

    def _serve(self, service: Json, thread: int | None = None) -> None:
        message = self._world.post(self._chat, self._owner, Content(""), thread=thread, service=service)
        self._world.deliver(self._chat, message)
        self._world.touch()


class Person:
    """Someone with the app in hand. `in_` is the group; None is the private chat with the bot."""

    def __init__(self, world: World, user: User) -> None:
        self._world, self.user = world, user
        self.id, self.name = user.id, user.name

    def writes(
        self, text: str, in_: Group | None = None, *, thread: int | None = None, reply_to: Seen | int | None = None
    ) -> Seen:
        """Send a text; mentions, commands and links are marked as the app does."""
        if not 1 <= utf16(text) <= MOST_TEXT:
            raise ValueError(f"an app sends 1 to {MOST_TEXT} units at once, not {utf16(text)}")
        return self._posts(Content(text, tuple(recognise(text))), in_, thread, reply_to)

    def starts(self, parameter: str = "", in_: Group | None = None) -> Seen:
        """Press Start, or follow a deep link; unblocks a blocked bot."""
        if parameter and not _START.fullmatch(parameter):
            raise ValueError("a deep link's parameter has 1 to 64 characters of A-Z a-z 0-9 _ -")
        with self._world.changed:
            private = self._world.chats[self.id]
            if in_ is None and private.bot == "kicked":
                self._world.bot_becomes(private, "member", self.user)
        return self.writes(f"/start {parameter}".strip(), in_)

    def sends_file(
        self,
        name: str,
        content: bytes,
        caption: str = "",
        in_: Group | None = None,
        *,
        mime: str = "application/octet-stream",
        thread: int | None = None,
        reply_to: Seen | int | None = None,
    ) -> Seen:
        return self._sends("document", name, mime, content, caption, in_, thread, reply_to)

    def sends_photo(
        self,
        content: bytes,
        caption: str = "",
        in_: Group | None = None,
        *,
        thread: int | None = None,
        reply_to: Seen | int | None = None,
    ) -> Seen:
        return self._sends("photo", "photo.jpg", "image/jpeg", content, caption, in_, thread, reply_to)

    def edits(self, message: Seen, text: str) -> Seen:
        """Change an own message. https://core.telegram.org/bots/api#update (edited_message)"""
        with self._world.changed:
            chat, live = self._live(message)
            if live.author is not self.user:
                raise ValueError(f"{self.name} cannot edit what {live.author.name} wrote")
            self._world.edit(live, Content(text, tuple(recognise(text)), file=live.now.file))
            self._world.deliver(chat, live, "edited_message")
            self._world.touch()
            return self._world.snapshot(chat, live)

    def deletes(self, message: Seen) -> None:
        """Remove a message for everyone; the Bot API tells bots nothing of it."""
        with self._world.changed:
            _, live = self._live(message)
            live.deleted = True
            self._world.touch()

    def presses(self, message: Seen, label_or_data: str) -> str:
        """Press an inline button. Returns the query's id. https://core.telegram.org/bots/api#callbackquery"""
        with self._world.changed:
            chat, live = self._live(message)
            buttons = [button for row in (live.now.markup or {}).get("inline_keyboard", []) for button in row]
            chosen = [button for button in buttons if button["text"] == label_or_data]
            chosen = chosen or [button for button in buttons if button.get("callback_data") == label_or_data]
            if not chosen or "callback_data" not in chosen[0]:
                raise LookupError(f"no button {label_or_data!r} among {[button['text'] for button in buttons]}")
            query = str(self._world.new_id())
            self._world.queries[query] = None
            payload = {
                "id": query,
                "from": self.user.json(),
                "message": self._world.json(chat, live),
                "chat_instance": str(chat.id),
                "data": chosen[0]["callback_data"],
            }
            self._world.updates.add("callback_query", payload, chat.id)
            self._world.touch()
            return query

    def was_told(self, query: str) -> Answer | None:
        """How the bot answered a press; None while the button still spins."""
        with self._world.changed:
            return self._world.queries[query]

    def reacts(self, message: Seen, *emojis: str) -> None:
        """Set the reactions; none takes them back."""
        with self._world.changed:
            chat, live = self._live(message)
            self._world.react(chat, live, self.user, [plain_emoji(emoji) for emoji in emojis])
            self._world.touch()

    def blocks_bot(self) -> None:
        """https://core.telegram.org/bots/api#update (my_chat_member: in private when blocked or unblocked)"""
        with self._world.changed:
            self._world.bot_becomes(self._world.chats[self.id], "kicked", self.user)
            self._world.touch()

    def _sends(
        self,
        kind: str,
        name: str,
        mime: str,
        content: bytes,
        caption: str,
        in_: Group | None,
        thread: int | None,
        reply_to: Seen | int | None,
    ) -> Seen:
        if utf16(caption) > MOST_CAPTION:
            raise ValueError(f"a caption has at most {MOST_CAPTION} units")
        with self._world.changed:
            stored: StoredFile = self._world.store(kind, name, mime, content)
            captioned = Content(caption, tuple(recognise(caption)), file=stored)
            return self._posts(captioned, in_, thread, reply_to)

    def _posts(self, content: Content, in_: Group | None, thread: int | None, reply_to: Seen | int | None) -> Seen:
        with self._world.changed:
            chat = self._world.chats[self.id if in_ is None else in_.id]
            if self.id not in chat.members:
                raise ValueError(f"{self.name} is not in {chat.title}")
            if thread is not None and thread not in chat.topics:
                raise ValueError(f"{chat.title} has no topic {thread}")
            if chat.kind == "private" and chat.bot == "new":
                chat.bot = "member"
            parent = reply_to.message_id if isinstance(reply_to, Seen) else reply_to
            if parent is not None and parent not in chat.messages:
                raise ValueError(f"there is no message {parent} in {chat.title}")
            if parent is not None and thread is None and chat.messages[parent].topic:
                thread = chat.messages[parent].thread
            message = self._world.post(chat, self.user, content, thread=thread, reply_to=parent)
            self._world.deliver(chat, message)
            self._world.touch()
            return self._world.snapshot(chat, message)

    def _live(self, message: Seen) -> tuple[Chat, Message]:
        chat = self._world.chats[message.chat_id]
        if self.id not in chat.members:
            raise ValueError(f"{self.name} is not in {chat.title}")
        live = chat.messages.get(message.message_id)
        if live is None or live.deleted or message.draft:
            raise LookupError(f"message {message.message_id} is not there any more")
        return chat, live


def new_person(world: World, name: str, username: str | None, language: str | None) -> Person:
    """A person and their private chat, in which the bot may write once they have written."""
    with world.changed:
        user = User(10_000 + world.new_id(), name, username, language)
        world.chats[user.id] = Chat(user.id, "private", name, "new", members={user.id: user})
        return Person(world, user)


def new_group(
    world: World, title: str, members: Sequence[Person], *, topics: bool, privacy: bool, with_bot: bool, basic: bool
) -> Group:
    """A supergroup, or a basic group. privacy: the bot's privacy mode at the time it joins."""
    if not members:
        raise ValueError("a group needs a member, who owns it")
    with world.changed:
        chat_id = -world.new_id() if basic else _SUPERGROUPS - world.new_id()
        people = {person.id: person.user for person in members}
        kind = "group" if basic else "supergroup"
        chat = Chat(chat_id, kind, title, "left", topics, privacy, members[0].id, people)
        world.chats[chat_id] = chat
        group = Group(world, chat)
        if with_bot:
            world.reads_all = not privacy
            group.adds_bot()
        return group
