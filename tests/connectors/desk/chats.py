"""One way to use both platforms as people do, so that one test states what holds on both."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from tests.emulators import slack, slack_world, telegram
from tests.emulators.slack_person import Person as SlackPerson
from tests.emulators.telegram import Person as TelegramPerson

Attachment = tuple[str, bytes]  # file name, content
Who = Any  # a person of either emulator, or a room: handed back to the chat that made it


@dataclass(slots=True)
class Room:
    """A thread in a shared channel. Slack: it begins with the first message said in it; Telegram: a forum's topic."""

    channel: Any
    thread: Any = None


@dataclass(frozen=True, slots=True)
class Shown:
    """One message of Atelier's as it is seen now. only_for: who alone sees it, or empty. ref: the platform's."""

    text: str
    buttons: tuple[str, ...]
    thread: str
    only_for: str
    ref: Any

    @property
    def is_final(self) -> bool:
        return self.text != "…" and not {"Stop", "Stopp"} & set(self.buttons)


class Chat(Protocol):
    """`to` is a Room, or None for the person's own conversation with Atelier."""

    name: str
    begin: str  # what a command begins with

    def person(self, name: str, language: str = "") -> Who: ...
    def account(self, who: Who) -> str: ...
    def room(self, *people: Who) -> Room: ...
    def another_thread(self, room: Room) -> Room: ...
    def says(
        self, who: Who, text: str, to: Room | None = None, *, called: bool = False, files: Sequence[Attachment] = ()
    ) -> Any: ...
    def edits(self, who: Who, said: Any, text: str, *, called: bool = False) -> None: ...
    def told(self, who: Who, room: Room) -> list[Shown]: ...
    def orders(self, who: Who, words: str, to: Room | None = None) -> None: ...
    def presses(self, who: Who, shown: Shown, label: str) -> None: ...
    def reacts(self, who: Who, shown: Any, emoji: str) -> None: ...  # on what was shown, or what somebody said
    def shown(self, where: Who) -> list[Shown]: ...
    def files(self) -> list[tuple[str, bytes]]: ...
    def is_quiet(self) -> bool: ...
    def overtaken(self) -> AbstractContextManager[Callable[[], None]]: ...  # what happens inside comes when called


class SlackChat:
    name, begin = "slack", "/atelier "

    def __init__(self, emulator: slack.SlackEmulator) -> None:
        self.emulator = emulator
        self._count = 0

    def person(self, name: str, language: str = "") -> SlackPerson:
        self._count += 1
        return self.emulator.person(f"U{self._count}", name, locale=language or "en-US")

    def account(self, who: SlackPerson) -> str:
        return f"slack:{who.id}"

    def room(self, *people: SlackPerson) -> Room:
        self._count += 1
        return Room(self.emulator.channel(f"C{self._count}", f"channel-{self._count}", members=people))

    def another_thread(self, room: Room) -> Room:
        return Room(room.channel)

    def says(
        self,
        who: SlackPerson,
        text: str,
        to: Room | None = None,
        *,
        called: bool = False,
        files: Sequence[Attachment] = (),
    ) -> Any:
        ts = who.writes(self._called(text, called), to.channel if to else None, to.thread if to else None, files)
        if to is not None:
            to.thread = to.thread or ts
        return ts

    def _called(self, text: str, called: bool) -> str:
        return f"<@{self.emulator.bot_user}> {text}" if called else text

    def edits(self, who: SlackPerson, said: str, text: str, *, called: bool = False) -> None:
        who.edits(said, self._called(text, called))

    def told(self, who: SlackPerson, room: Room) -> list[Shown]:
        """What one person alone was told, of something they did in a room."""
        return [shown for shown in self.shown(room) if shown.only_for == who.id]

    def orders(self, who: SlackPerson, words: str, to: Room | None = None) -> None:
        who.commands("/atelier", words, to.channel if to else who.dm)

    def presses(self, who: SlackPerson, shown: Shown, label: str) -> None:
        who.presses(shown.ref, label)

    def reacts(self, who: SlackPerson, shown: Shown | str, emoji: str) -> None:
        who.reacts(shown.ref if isinstance(shown, Shown) else shown, {"👍": "+1", "👎": "-1", "💡": "bulb"}[emoji])

    def shown(self, where: SlackPerson | Room) -> list[Shown]:
        channel = where.channel if isinstance(where, Room) else where.dm
        thread = where.thread if isinstance(where, Room) else None
        lines = [line for line in self.emulator.seen(channel) if line.author == "bot"]
        return [
            Shown(_words(line), line.buttons, line.thread_ts or "", line.ephemeral_for or "", line.ts)
            for line in lines
            if thread is None or line.thread_ts == thread or line.ephemeral_for
        ]

    def files(self) -> list[tuple[str, bytes]]:
        """The name and content of every file and picture that was ever sent, in order."""
        return [(each.name, each.content or b"") for each in self.emulator.world.files.values()]

    def is_quiet(self) -> bool:
        return all(made.done for made in self.emulator.deliveries())

    def overtaken(self) -> AbstractContextManager[Callable[[], None]]:
        return self.emulator.overtaken()


class TelegramChat:
    name, begin = "telegram", "/"

    def __init__(self, emulator: telegram.TelegramEmulator) -> None:
        self.emulator = emulator

    def person(self, name: str, language: str = "") -> TelegramPerson:
        return self.emulator.person(name, language=language or None)

    def account(self, who: TelegramPerson) -> str:
        return f"telegram:{who.id}"

    def room(self, *people: TelegramPerson) -> Room:
        group = self.emulator.group("Group", people, topics=True, privacy=False)
        return Room(group, group.topic("Topic"))

    def another_thread(self, room: Room) -> Room:
        return Room(room.channel, room.channel.topic("Another"))

    def says(
        self,
        who: TelegramPerson,
        text: str,
        to: Room | None = None,
        *,
        called: bool = False,
        files: Sequence[Attachment] = (),
    ) -> Any:
        text = self._called(text, called)
        group, thread = (to.channel, to.thread) if to else (None, None)
        sent = [who.sends_file(name, content, text, group, thread=thread) for name, content in files]
        return sent[-1] if sent else who.writes(text, group, thread=thread)

    def _called(self, text: str, called: bool) -> str:
        return f"@{self.emulator.username} {text}" if called else text

    def edits(self, who: TelegramPerson, said: telegram.Seen, text: str, *, called: bool = False) -> None:
        who.edits(said, self._called(text, called))

    def told(self, who: TelegramPerson, room: Room) -> list[Shown]:
        return self.shown(who)

    def orders(self, who: TelegramPerson, words: str, to: Room | None = None) -> None:
        who.writes(f"/{words}", to.channel if to else None, thread=to.thread if to else None)

    def presses(self, who: TelegramPerson, shown: Shown, label: str) -> None:
        who.presses(shown.ref, label)

    def reacts(self, who: TelegramPerson, shown: Shown | telegram.Seen, emoji: str) -> None:
        who.reacts(shown.ref if isinstance(shown, Shown) else shown, emoji)

    def shown(self, where: TelegramPerson | Room) -> list[Shown]:
        chat, thread = (where.channel, where.thread) if isinstance(where, Room) else (where, None)
        return [
            Shown(line.text, tuple(label for row in line.buttons for label in row), str(line.thread or ""), "", line)
            for line in self.emulator.seen(chat, thread)
            if line.author == "bot" and not line.draft
        ]

    def files(self) -> list[tuple[str, bytes]]:
        return self.emulator.files

    def is_quiet(self) -> bool:
        return not self.emulator.pending()

    def overtaken(self) -> AbstractContextManager[Callable[[], None]]:
        return self.emulator.overtaken()


def _words(line: slack_world.Seen) -> str:
    """All that can be read in a Slack message: of a stream its text and the blocks below, else the blocks."""
    is_stream = not any(block["type"] == "markdown" for block in line.blocks)
    said = [line.text] if is_stream else []
    return "\n".join([*said, *_texts([block for block in line.blocks if "action" not in block["type"]])])


def _texts(value: object) -> Iterator[str]:
    """Every text in some blocks, in order."""
    if isinstance(value, dict):
        if isinstance(value.get("text"), str):
            yield value["text"]
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
