"""People who think together in a room of either platform, and what they see of it."""

from collections.abc import Sequence
from typing import Any

import pytest

from agent.ideation.acts import Added, Reworded
from connectors.desk import ideation
from connectors.desk.ideation_stand import Pace
from connectors.slack import calls
from connectors.telegram import pace
from tests.connectors.desk.chats import Chat, Room, Shown, SlackChat, TelegramChat, Who
from tests.connectors.desk.doors import Doors
from tests.emulators.telegram import FloodLimits

NAMES = ("Ann", "Bob", "Cem", "Dee", "Eva", "Fen", "Gil", "Hal")
TOPIC = "how might we welcome new colleagues?"


def hurry(monkeypatch: pytest.MonkeyPatch, telegram: TelegramChat, look: float = 3600.0) -> None:
    """An hour in seconds: boards are renewed at once, and the platforms take as many messages as come.

    look: seconds between looks at how a group is doing.
    """
    monkeypatch.setattr(ideation, "Pace", lambda: Pace(0.05, look))
    monkeypatch.setattr(calls, "POST_PAUSE", 0.0)
    limiter = pace.AsyncLimiter
    monkeypatch.setattr(pace, "AsyncLimiter", lambda *_: limiter(10_000, 1))
    telegram.emulator.flood_limits = FloodLimits(0.0, 10_000, 10_000, 10_000)


class Meeting:
    """Some people in one room. Slack: the session's thread is the room's from the moment it is opened."""

    def __init__(self, doors: Doors, chat: Chat, count: int = 3, language: str = "") -> None:
        self.doors, self.chat = doors, chat
        self.people: list[Who] = [chat.person(name, language) for name in NAMES[:count]]
        self.room: Room = chat.room(*self.people)

    async def opens(self, words: str = TOPIC, who: int = 0) -> Shown:
        self.chat.orders(self.people[who], f"ideate {words}", self.room)
        await self.doors.settle()
        return self.in_thread()

    def in_thread(self) -> Shown:
        board = self.chat.shown(self.room)[-1]
        if isinstance(self.chat, SlackChat):
            self.room.thread = board.ref
        return board

    async def says(self, *lines: str) -> None:
        """Each line by the next person."""
        for number, line in enumerate(lines):
            self.chat.says(self.people[number % len(self.people)], line, self.room)
        await self.doors.settle()

    async def orders(self, words: str, who: int = 0) -> Shown:
        """What is shown last of it."""
        self.chat.orders(self.people[who], words, self.room)
        await self.doors.settle()
        return self.shown[-1]

    async def presses(self, label: str, who: int = 0, on: Shown | None = None) -> str:
        """Press a button of the board; what that person alone is told."""
        person, board = self.people[who], on or self.board
        if isinstance(self.chat, TelegramChat):
            query = person.presses(board.ref, label)
            await self.doors.settle()
            answer = person.was_told(query)
            return answer.text or "" if answer is not None else ""
        before = len(self.whispers(person))
        self.chat.presses(person, board, label)
        await self.doors.settle()
        return "\n".join(each.text for each in self.whispers(person)[before:])

    def whispers(self, who: Who) -> list[Shown]:
        return [each for each in self.shown if each.only_for and each.only_for == getattr(who, "id", "")]

    @property
    def shown(self) -> list[Shown]:
        """What the room sees; in Slack the whole channel, where the session is one thread."""
        return self.chat.shown(Room(self.room.channel) if isinstance(self.chat, SlackChat) else self.room)

    @property
    def board(self) -> Shown:
        """The one that can be pressed."""
        return [each for each in self.shown if each.buttons and not each.only_for][-1]

    @property
    def session(self) -> Any:
        """The board as the store has it."""
        running = self.doors.house.store
        sessions = ideation.Sessions(running.engine)
        (only,) = sessions.ledger.all(running.settings.tenant)
        return sessions.board(only)

    def texts(self) -> Sequence[str]:
        return [each.text for each in self.session.open]

    def words(self) -> Sequence[str]:
        """All words of ideas that the store holds, also those of ideas that are gone."""
        running = self.doors.house.store
        events = ideation.Sessions(running.engine).events(self.session.session.id)
        return [each.act.text for each in events if isinstance(each.act, Added | Reworded)]
