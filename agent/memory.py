"""Memory: what was said where, by whom, and what they thought of it, in the one store."""

import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Literal

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from agent.buttons import Meaning, about, drop
from agent.erasure import Forgotten, drop_empty_places, erase, lock_memory, take_back
from agent.memory_tables import erasures, feedback, insert_new, persons, places, summaries, turn_of, turn_row, turns
from agent.message import History, Line, Person, Place, Turn
from agent.people import LinkCode, People, code_of, id_today, people_of
from agent.summary import CountTokens
from agent.window import read_history
from retrieval.database import reading, writing
from retrieval.errors import StoreError
from retrieval.prepared import Prepared

_MANY = 500  # values in one IN list

_last = 0
_lock = threading.Lock()


def new_turn_id() -> str:
    """A unique id, later than every id made before by this process, and in time order across processes.

    Make it when the turn begins, before its history is read: forgetting relies on that order.
    """
    global _last  # noqa: PLW0603 - the clock can stand still or step back; ids must not
    with _lock:
        _last = max(_last + 1, time.time_ns() // 1000)
        return f"{_last:014x}{secrets.token_hex(6)}"


@dataclass(frozen=True, slots=True)
class Rating:
    """What one person thought of one reply. rating: 1 good, -1 bad."""

    turn: str
    rating: int
    comment: str
    given: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """Everything memory holds about one person; their turns in order.

    code: the latest that they asked for. buttons: those that name them or their turns.
    """

    person: Person
    met: datetime
    consent_asked: datetime | None
    code: LinkCode | None
    turns: tuple[Turn, ...]
    ratings: tuple[Rating, ...]
    buttons: tuple[Meaning, ...]


class Memory:
    """Conversations in the store. Thread-safe, and safe beside other processes. Every method raises StoreError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.people = People(engine)

    @property
    def engine(self) -> Engine:
        """The store, for what reaches across rooms: forgetting, export, backup."""
        return self._engine

    def person(self, account: str, audiences: Iterable[str] = (), *, administrator: bool = False) -> Person:
        """`People.person`, for whoever only wants to talk."""
        return self.people.person(account, audiences, administrator=administrator)

    def history(self, place: Place, budget_tokens: int, count_tokens: CountTokens) -> History:
        """What to remember of `place` within `budget_tokens`: the running summary, then the latest lines.

        Lines longer than a quarter of the budget are shortened. What was folded stays folded.
        """
        return read_history(self._engine, place, budget_tokens, count_tokens)

    def append(self, turn: Turn) -> None:
        """Keep a turn; one that is kept already, or another for the same message, stays as it is.

        A message's id is unique across platforms and channels. A turn begun before somebody was forgotten is kept
        without history and passages, which may hold their words. Raises StoreError when its author is not known (any
        more), or when the kept turn for this message id stands in another place.
        """
        with writing(self._engine) as connection:
            _append(connection, turn)

    def keeping(self, turn: Turn) -> Callable[[Connection], None]:
        """What keeps a turn, as `append` does, in somebody else's write transaction, which may be repeated."""
        return partial(_append, turn=turn)

    def turns(self, place: Place, limit: int = 50) -> tuple[Turn, ...]:
        """The latest `limit` turns of a place, oldest first."""
        with reading(self._engine) as connection:
            latest = sa.select(turns.c.id).where(turns.c.place == place.key).order_by(turns.c.id.desc()).limit(limit)
            return _turns(connection, turns.c.id.in_(latest))

    def lines(self, place: Place, limit: int) -> tuple[Line, ...]:
        """The latest `limit` lines of a place word for word, oldest first, however long."""
        rows = _LATEST.ask(self._engine, {"here": place.key, "most": limit // 2})
        return tuple(
            line
            for text, reply in reversed(rows)
            for line in (Line("user", text), Line("assistant", reply))
            if line.text
        )

    def turn(self, turn_id: str) -> Turn | None:
        with reading(self._engine) as connection:
            return next(iter(_turns(connection, turns.c.id == turn_id)), None)

    def turn_for(self, message_id: str) -> Turn | None:
        """The turn that answered a message."""
        with reading(self._engine) as connection:
            return next(iter(_turns(connection, turns.c.message == message_id)), None)

    def clear(self, place: Place) -> int:
        """Delete a conversation with its summary, ratings and buttons, whoever wrote in it; how many turns went."""
        with writing(self._engine) as connection:
            lock_memory(connection, exclusive=True)
            connection.execute(summaries.delete().where(summaries.c.place == place.key))
            gone = connection.execute(turns.delete().where(turns.c.place == place.key)).rowcount
            drop_empty_places(connection)
            drop(connection, about(connection, lambda button: button.place == place))
            return gone

    def take_back(self, turn_id: str) -> bool:
        """Forget one turn and what it left in later ones, as its message was deleted; whether it was there."""
        with writing(self._engine) as connection:
            lock_memory(connection, exclusive=True)
            return take_back(connection, turn_id)

    def rate(self, turn_id: str, person_id: str, rating: Literal[1, -1], comment: str = "") -> None:
        """One person's rating of one reply, in place of their earlier one.

        Raises StoreError when the turn or the person is not known (any more).
        """
        with writing(self._engine) as connection:
            lock_memory(connection)
            mine = (feedback.c.turn == turn_id) & (feedback.c.person == person_id)
            connection.execute(feedback.delete().where(mine))
            if connection.execute(sa.select(turns.c.id).where(turns.c.id == turn_id)).first() is None:
                raise StoreError("That answer is not remembered any more, so it cannot be rated.")
            if connection.execute(sa.select(persons.c.id).where(persons.c.id == person_id)).first() is None:
                raise StoreError("What was known about you was deleted, so this rating was not kept.")
            values = {"turn": turn_id, "person": person_id, "rating": rating, "comment": comment}
            connection.execute(feedback.insert().values(values | {"given": datetime.now(UTC)}))

    def withdraw(self, turn_id: str, person_id: str, rating: Literal[1, -1]) -> None:
        """Take a rating back, where it still is the person's of that reply."""
        mine = (feedback.c.turn == turn_id) & (feedback.c.person == person_id) & (feedback.c.rating == rating)
        with writing(self._engine) as connection:
            lock_memory(connection)
            connection.execute(feedback.delete().where(mine))

    def held(self, person_id: str) -> Held | None:
        """Everything about one person, for an export; None when nobody has that id."""
        with reading(self._engine) as connection:
            row = connection.execute(sa.select(persons).where(persons.c.id == person_id)).one_or_none()
            if row is None:
                return None
            query = sa.select(feedback).where(feedback.c.person == person_id).order_by(feedback.c.turn)
            ratings = tuple(
                Rating(each.turn, each.rating, each.comment, each.given) for each in connection.execute(query)
            )
            own = _turns(connection, turns.c.author == person_id)
            person, code = people_of(connection, [person_id])[person_id], code_of(connection, person_id)
            names = {person_id, *(turn.id for turn in own)}
            pressable = about(connection, lambda button: button.names(names))
            return Held(person, row.met, row.consent_asked, code, own, ratings, tuple(pressable.values()))

    def forget(self, person_id: str, sources: Collection[str] = ()) -> Forgotten:
        """Delete one person: their turns with the replies, ratings, accounts, and their words in others' context.

        `sources`: of documents made from their words, which the knowledge base has removed. Others' turns stay.
        """
        with writing(self._engine) as connection:
            lock_memory(connection, exclusive=True)
            forgotten = erase(connection, person_id, sources)
            # Its id is made last: turns that begin while this goes on can still read the words.
            connection.execute(erasures.insert().values(id=new_turn_id(), at=datetime.now(UTC)))
            return forgotten


def _append(connection: Connection, turn: Turn) -> None:
    lock_memory(connection)
    someone_forgotten = bool(_FORGOTTEN_SINCE.run(connection, {"turn": turn.id}))
    author = id_today(connection, turn.message.author)
    # who was forgotten and came back is somebody new
    if author is None or (someone_forgotten and author != turn.message.author.id):
        raise StoreError("The author of this message is not known any more, so the turn was not kept.")
    place = turn.message.place
    parts = {"platform": place.platform, "tenant": place.tenant, "channel": place.channel}
    insert_new(connection, places, parts | {"key": place.key, "thread": place.thread})
    row = turn_row(turn, datetime.now(UTC)) | {"author": author}
    if someone_forgotten:
        row |= {"history": {"summary": "", "lines": []}, "passages": []}
    if not insert_new(connection, turns, row):
        same = (turns.c.message == turn.message.id) & (turns.c.place != place.key)
        if connection.execute(sa.select(turns.c.id).where(same)).first() is not None:
            raise StoreError("Two messages in different places have the same id, so the second was not kept.")


_FORGOTTEN_SINCE = Prepared(sa.select(erasures.c.id).where(erasures.c.id > sa.bindparam("turn")).limit(1))
_LATEST = Prepared(
    sa.select(turns.c.text, turns.c.reply)
    .where(turns.c.place == sa.bindparam("here"))
    .order_by(turns.c.id.desc())
    .limit(sa.bindparam("most"))
)


def _turns(connection: Connection, condition: sa.ColumnElement[bool]) -> tuple[Turn, ...]:
    joined = sa.select(turns, places.c.platform, places.c.tenant, places.c.channel, places.c.thread)
    query = joined.join(places, places.c.key == turns.c.place).where(condition).order_by(turns.c.id)
    rows = connection.execute(query).all()
    authors = sorted({row.author for row in rows})
    people: dict[str, Person] = {}
    for start in range(0, len(authors), _MANY):
        people |= people_of(connection, authors[start : start + _MANY])
    return tuple(turn_of(row, people[row.author]) for row in rows)
