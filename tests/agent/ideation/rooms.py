"""A store with people in it who hold sessions; shared by the tests of ideation."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from agent.ideation.acts import Phase, Rules
from agent.ideation.board import Board
from agent.ideation.sessions import Sessions
from agent.memory import Memory
from agent.message import Person, Place

SLACK = Place("slack", "acme", "C1", "170.1")
TELEGRAM = Place("telegram", "acme", "-100")
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)


class Room:
    """A store with people in it; every act gets a key of its own unless a test names one."""

    def __init__(self, engine: Engine) -> None:
        self.clock, self.memory = Clock(), Memory(engine)
        self.sessions = Sessions(engine, now=self.clock)
        self.keys = iter(range(10_000))

    def person(self, name: str) -> Person:
        return self.memory.person(f"slack:acme:{name}")

    def key(self) -> str:
        return f"event-{next(self.keys)}"

    def open(self, topic: str = "a warmer welcome", **rules: object) -> str:
        done = self.sessions.open(SLACK, self.person("ann"), topic, key=self.key(), rules=Rules(**rules))
        return done.board.session.id

    def add(self, session: str, name: str, text: str) -> str:
        done = self.sessions.add(session, self.person(name), text, key=self.key())
        assert done.idea is not None
        return done.idea.id

    def move(self, session: str, phase: Phase) -> Board:
        return self.sessions.course.move(session, self.person("ann"), phase, key=self.key()).board
