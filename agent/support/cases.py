"""Cases: a person's question that people take up. Their states, and every legal step between them, in the store.

    open ── claim ──> claimed ── resolve ──> resolved          withdraw: the asker needs nobody any more, from
      ^                  │                      ^              open and claimed alike
      └──── return ──────┘     open ── resolve ─┘

While a case is claimed, Atelier is silent where it was asked. Every step and every word is a line with the key of the
event it came from, so what is done again after a crash is done once, and the lines are the trail of the case.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from agent.erasure import lock_memory
from agent.memory_tables import insert_new, persons
from agent.message import Place
from agent.support.tables import case_lines, cases
from retrieval.database import reading, writing


class State(StrEnum):
    OPEN = "open"  # waits for somebody to take it
    CLAIMED = "claimed"  # a person has it
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"  # the asker needs nobody any more, or was forgotten


class Kind(StrEnum):
    """What a line of a case is."""

    OPENED = "opened"
    ASKED = "asked"  # by the asker, or beside them in their place
    ANSWERED = "answered"  # by who has the case, passed on
    NOTE = "note"  # by who has the case, kept at the desk
    CLAIMED = "claimed"
    RETURNED = "returned"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"
    REMINDED = "reminded"
    RATED = "rated"
    CARD = "card"  # it was shown at the desk


WORDS = frozenset({Kind.OPENED, Kind.ASKED, Kind.ANSWERED, Kind.NOTE, Kind.RESOLVED})
_PARTS = ("platform", "tenant", "channel", "thread")
LIVE = (State.OPEN.value, State.CLAIMED.value)


@dataclass(frozen=True, slots=True)
class Case:
    """number: as people call it. origin: the event that opened it. asker, owner: persons, empty once forgotten.

    place: where it was asked. direct: nobody else reads there. turn: the one that led to it. desk: where those are who
    take it up; once it was shown there, its thread.
    """

    number: int
    origin: str
    state: State
    reason: str
    asker: str
    asker_account: str
    place: Place
    direct: bool
    language: str
    turn: str
    desk: Place
    owner: str
    owner_account: str
    rating: int | None
    opened: datetime
    closed: datetime | None

    @property
    def is_live(self) -> bool:
        return self.state.value in LIVE

    @property
    def is_one_room(self) -> bool:
        """Whether it was asked where it is taken up: nothing has to be passed on."""
        here, there = self.place, self.desk
        return (here.platform, here.tenant, here.channel) == (there.platform, there.tenant, there.channel)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a case. author: the id of a person, empty for Atelier and for who was forgotten."""

    id: int
    number: int
    kind: Kind
    author: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Opening:
    """What a case begins with. origin: the event it comes of, unique."""

    origin: str
    reason: str
    asker: str
    account: str
    place: Place
    direct: bool
    language: str
    turn: str
    desk: Place
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was made, now or before the same event came again: the case after it, and its line."""

    case: Case
    line: int


class Cases:
    """The cases in the store. Thread-safe, and safe beside other processes. Every method raises StoreError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open(self, opening: Opening) -> Case:
        """A new case; the same one when its event comes again."""
        now = datetime.now(UTC)
        place, desk = opening.place, opening.desk
        row = {
            "origin": opening.origin,
            "state": State.OPEN.value,
            "reason": opening.reason,
            "asker": opening.asker,
            "asker_account": opening.account,
            "direct": opening.direct,
            "language": opening.language[:20],
            "turn": opening.turn,
            "owner": None,
            "owner_account": "",
            "rating": None,
            "opened": now,
            "closed": None,
        }
        row |= {part: getattr(place, part) for part in _PARTS} | {
            f"desk_{part}": getattr(desk, part) for part in _PARTS
        }
        with writing(self._engine) as connection:
            lock_memory(connection)
            insert_new(connection, cases, row)
            case = _one(connection, cases.c.origin == opening.origin)
            assert case is not None, "it was just inserted, or was there"
            _write(connection, case.number, f"open/{opening.origin}", Kind.OPENED, opening.asker, opening.text)
            return case

    def get(self, number: int) -> Case | None:
        with reading(self._engine) as connection:
            return _one(connection, cases.c.number == number)

    def held(self, place: Place) -> Case | None:
        """The case that a person has in this place: Atelier is silent there."""
        with reading(self._engine) as connection:
            return _one(connection, _asked_in(place) & (cases.c.state == State.CLAIMED.value))

    def live(self, place: Place, asker: str) -> Case | None:
        """The person's case in this place that is not over."""
        with reading(self._engine) as connection:
            return _one(connection, _asked_in(place) & (cases.c.asker == asker) & cases.c.state.in_(LIVE))

    def last_turn(self, place: Place, asker: str) -> str:
        """The turn that led to the person's latest case in this place; empty without any."""
        with reading(self._engine) as connection:
            case = _one(connection, _asked_in(place) & (cases.c.asker == asker))
        return case.turn if case else ""

    def at_desk(self, thread: Place) -> Case | None:
        """The claimed case whose thread at a desk this is."""
        if not thread.thread:
            return None
        here = [cases.c[f"desk_{part}"] == getattr(thread, part) for part in _PARTS]
        with reading(self._engine) as connection:
            return _one(connection, sa.and_(*here) & (cases.c.state == State.CLAIMED.value))

    def shown_as(self, message: str) -> Case | None:
        """The case that a message at a desk is about. message: as the queue names it."""
        about = sa.select(case_lines.c.number).where(case_lines.c.shown == message).limit(1)
        with reading(self._engine) as connection:
            return _one(connection, cases.c.number.in_(about))

    def answered_in(self, key: str) -> Case | None:
        """The case in which the event with this key was an answer."""
        about = sa.select(case_lines.c.number).where(case_lines.c.key == key, case_lines.c.kind == Kind.ANSWERED.value)
        with reading(self._engine) as connection:
            return _one(connection, cases.c.number.in_(about))

    def step(
        self, number: int, kind: Kind, person: str, account: str, key: str, *, text: str = ""
    ) -> Step | Case | None:
        """Claim, return, resolve or withdraw a case; the Case as it is where that step is not possible (any more).

        Who may is asked above. key: of the event that asks for it. None where there is no such case.
        """
        with writing(self._engine) as connection:
            lock_memory(connection)
            case = _one(connection, cases.c.number == number, locked=True)
            if case is None:
                return None
            before = connection.execute(sa.select(case_lines.c.id).where(case_lines.c.key == key)).scalar_one_or_none()
            if before is not None:  # the same event again, after a crash
                return Step(case, before)
            if case.state not in _FROM[kind] or not _knows(connection, person):
                return case
            now = datetime.now(UTC)
            values: dict[str, Any] = {"state": _TO[kind].value}
            if kind is Kind.CLAIMED:
                values |= {"owner": person, "owner_account": account}
            elif kind is Kind.RETURNED:
                values |= {"owner": None, "owner_account": ""}
            else:
                values["closed"] = now
                if kind is Kind.RESOLVED and not case.owner:
                    values |= {"owner": person, "owner_account": account}
            connection.execute(cases.update().where(cases.c.number == number).values(values))
            line = _write(connection, number, key, kind, person, text)
            changed = _one(connection, cases.c.number == number)
            assert changed is not None, "it is locked"
            return Step(changed, line)

    def seat(self, number: int, desk: Place) -> None:
        """The case is dealt with in this thread from now on."""
        with writing(self._engine) as connection:
            values = {"desk_channel": desk.channel, "desk_thread": desk.thread}
            connection.execute(cases.update().where(cases.c.number == number).values(values))

    def write(self, number: int, kind: Kind, person: str, text: str, key: str, shown: str = "") -> int:
        """Add words to a case, once for each key; the line's id. person: empty for Atelier."""
        with writing(self._engine) as connection:
            lock_memory(connection)
            author = person if person and _knows(connection, person) else ""
            return _write(connection, number, key, kind, author, text, shown)

    def take_back(self, key: str) -> None:
        """Forget the words of one event, as its message was deleted; that something was said stays."""
        with writing(self._engine) as connection:
            lock_memory(connection)
            connection.execute(case_lines.update().where(case_lines.c.key == key).values(text=""))

    def rate(self, number: int, asker: str, rating: int, key: str) -> bool:
        """The asker's rating of how it went, once it is resolved; whether it was taken."""
        theirs = (cases.c.number == number) & (cases.c.asker == asker) & (cases.c.state == State.RESOLVED.value)
        with writing(self._engine) as connection:
            lock_memory(connection)
            if not connection.execute(cases.update().where(theirs).values(rating=rating)).rowcount:
                return False
            _write(connection, number, key, Kind.RATED, asker, "")
            return True

    def lines(self, number: int) -> list[Entry]:
        """What was said and done, in order."""
        query = sa.select(case_lines).where(case_lines.c.number == number).order_by(case_lines.c.id)
        with reading(self._engine) as connection:
            return [_entry(row) for row in connection.execute(query)]

    def listed(self, tenant: str, *, is_live: bool = False, limit: int | None = None) -> list[Case]:
        """The cases of a tenant, oldest first; of more than `limit` the latest."""
        query = sa.select(cases).where(cases.c.desk_tenant == tenant).order_by(cases.c.number.desc())
        query = query.where(cases.c.state.in_(LIVE)) if is_live else query
        with reading(self._engine) as connection:
            return [_case(row) for row in reversed(connection.execute(query.limit(limit)).all())]

    def of(self, person: str) -> list[tuple[Case, list[Entry]]]:
        """A person's own cases, and those in which they said or did something, with their own lines."""
        mine = sa.select(case_lines).where(case_lines.c.author == person).order_by(case_lines.c.id)
        with reading(self._engine) as connection:
            said = [_entry(row) for row in connection.execute(mine)]
            numbers = {each.number for each in said}
            theirs = (cases.c.asker == person) | (cases.c.owner == person) | cases.c.number.in_(numbers)
            found = [_case(row) for row in connection.execute(sa.select(cases).where(theirs).order_by(cases.c.number))]
        return [(case, [each for each in said if each.number == case.number]) for case in found]


_FROM = {
    Kind.CLAIMED: (State.OPEN,),
    Kind.RETURNED: (State.CLAIMED,),
    Kind.RESOLVED: (State.OPEN, State.CLAIMED),
    Kind.WITHDRAWN: (State.OPEN, State.CLAIMED),
}
_TO = {
    Kind.CLAIMED: State.CLAIMED,
    Kind.RETURNED: State.OPEN,
    Kind.RESOLVED: State.RESOLVED,
    Kind.WITHDRAWN: State.WITHDRAWN,
}


def _asked_in(place: Place) -> sa.ColumnElement[bool]:
    return sa.and_(*(cases.c[part] == getattr(place, part) for part in _PARTS))


def _one(connection: Connection, condition: sa.ColumnElement[bool], *, locked: bool = False) -> Case | None:
    query = sa.select(cases).where(condition).order_by(cases.c.number.desc()).limit(1)
    row = connection.execute(query.with_for_update() if locked else query).first()
    return None if row is None else _case(row)


def _knows(connection: Connection, person: str) -> bool:
    return connection.execute(sa.select(persons.c.id).where(persons.c.id == person)).first() is not None


def _write(connection: Connection, number: int, key: str, kind: Kind, author: str, text: str, shown: str = "") -> int:
    row = {"number": number, "key": key, "kind": kind.value, "author": author or None, "text": text, "shown": shown}
    insert_new(connection, case_lines, row | {"at": datetime.now(UTC)})
    return int(connection.execute(sa.select(case_lines.c.id).where(case_lines.c.key == key)).scalar_one())


def _case(row: sa.Row[*tuple[Any, ...]]) -> Case:
    return Case(
        number=row.number,
        origin=row.origin,
        state=State(row.state),
        reason=row.reason,
        asker=row.asker or "",
        asker_account=row.asker_account,
        place=Place(row.platform, row.tenant, row.channel, row.thread),
        direct=row.direct,
        language=row.language,
        turn=row.turn,
        desk=Place(row.desk_platform, row.desk_tenant, row.desk_channel, row.desk_thread),
        owner=row.owner or "",
        owner_account=row.owner_account,
        rating=row.rating,
        opened=row.opened,
        closed=row.closed,
    )


def _entry(row: sa.Row[*tuple[Any, ...]]) -> Entry:
    return Entry(row.id, row.number, Kind(row.kind), row.author or "", row.text, row.at)
