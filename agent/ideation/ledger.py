"""The acts of sessions in the store: appended once each, numbered within their session, read again into a board."""

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from agent.erasure import lock_memory
from agent.ideation.acts import Act, Added, Divided, Merged, PlaceJoined, Reworded, Spoken, Withdrawn
from agent.ideation.board import Board, Session
from agent.ideation.event import Event, from_json, name_of, to_json
from agent.ideation.fold import fold
from agent.ideation.persons import REMOVED
from agent.ideation.refusals import refuse
from agent.ideation.tables import events, session_places, sessions
from agent.memory_tables import insert_new, put
from agent.message import Person, Place
from agent.people import LETTERS, id_today
from retrieval.database import reading, writing
from retrieval.errors import StoreError
from retrieval.prepared import Prepared

_CACHED = 64  # sessions whose acts are kept in memory
KEPT = 300  # lines of talk of a session that are kept, up to twice as many
CODE = 6  # 24 ** 6, about 2 * 10 ** 8 codes, for the sessions of one tenant


@dataclass(frozen=True, slots=True)
class New:
    """An act that is to be appended. key: its own, where one chat event leads to several acts."""

    act: Act
    subject: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Acting:
    """Who does something, and the names that ideas and actions get, which are never used twice.

    who: the person's id today, or empty for the machine and for timers, who may do what the facilitator may.
    """

    who: str
    is_administrator: bool
    taken: int

    def name(self, place: int = 0) -> str:
        return str(self.taken + 1 + place)

    def facilitates(self, board: Board) -> bool:
        return self.is_administrator or self.who in ("", board.session.facilitator) or not board.session.facilitator


Row = sa.Row[Any]
_IS_TALK = events.c.kind == Spoken.__name__
Decide = Callable[[Board, Acting], Sequence[New]]  # looks at the board, then refuses or says what happens


class Ledger:
    """Acts in the store. Thread-safe, and safe beside other processes. Every method raises StoreError."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._lock = threading.Lock()
        self._read: OrderedDict[str, tuple[int, tuple[Event, ...]]] = OrderedDict()  # erased, acts

    def open(
        self, key: str, person: Person | None, place: Place, acts: Sequence[Act], at: datetime
    ) -> tuple[str, bool]:
        """Begin a session; its id and whether it is new. The same key opens no second one.

        Raises SessionRefused when the place has an open one already.
        """
        session = f"s-{digest(f'{place.tenant}/{key}')[:24]}"
        with writing(self.engine) as connection:
            lock_memory(connection)
            who = _known(connection, person)
            if connection.execute(sa.select(sessions.c.id).where(sessions.c.id == session)).first() is not None:
                return session, False
            if _open_at(connection, place) is not None:
                refuse("runs_already")
            code = "".join(secrets.choice(LETTERS) for _ in range(CODE))
            row = {"id": session, "tenant": place.tenant, "code": code, "opened": at, "events": len(acts)}
            connection.execute(sessions.insert().values(row | {"ideas": 0, "erased": 0, "is_open": True}))
            put(connection, session_places, {"place": place.key, "session": session})
            for number, act in enumerate(acts, 1):
                _insert(connection, session, Event(number, digest(f"{key}/{number}"), who, "", at, act))
        return session, True

    def append(self, session: str, key: str, person: Person | None, at: datetime, decide: Decide) -> tuple[Board, bool]:
        """Let `decide` say what happens, and keep it; the board after it, and whether anything happened.

        An act with this key was kept already: nothing happens, and `decide` is not asked. Sessions are locked one by
        one meanwhile, so what `decide` saw still holds. Raises SessionRefused when there is no such session.
        """
        with writing(self.engine) as connection:
            lock_memory(connection)
            who = _known(connection, person)
            row = connection.execute(sa.select(sessions).where(sessions.c.id == session).with_for_update()).first()
            if row is None:
                refuse("no_session")
            board, known = self._board(connection, row)
            if any(each.key == digest(key) for each in known):
                return board, False
            made = decide(board, Acting(who, person is not None and person.administrator, row.ideas))
            happened = [
                Event(
                    row.events + i,
                    digest(each.key or (key if i == 1 else f"{key}/{i}")),
                    who,
                    each.subject,
                    at,
                    each.act,
                )
                for i, each in enumerate(made, 1)
            ]
            for event in happened:
                _insert(connection, session, event)
                if isinstance(event.act, PlaceJoined):
                    if _open_at(connection, event.act.place) not in (None, session):
                        refuse("runs_already")
                    put(connection, session_places, {"place": event.act.place.key, "session": session})
            after = fold(_start(row), (*known, *happened))
            _forget_places(connection, session, board, after)
            counted = {"events": row.events + len(happened), "ideas": row.ideas + _names(happened)}
            counted["is_open"] = not after.session.is_closed
            if _forget_talk(connection, session, (*known, *happened), is_over=after.session.is_closed):
                counted["erased"] = row.erased + 1
            connection.execute(sessions.update().where(sessions.c.id == session).values(counted))
        return after, bool(happened)

    def board(self, session: str) -> Board | None:
        with reading(self.engine) as connection:
            row = connection.execute(sa.select(sessions).where(sessions.c.id == session)).first()
            if row is None:
                return None
            board, known = self._board(connection, row)
        self._remember(row, known)
        return board

    def events(self, session: str) -> tuple[Event, ...]:
        """Everything that happened, in order."""
        with reading(self.engine) as connection:
            row = connection.execute(sa.select(sessions).where(sessions.c.id == session)).first()
            return () if row is None else self._board(connection, row)[1]

    def at(self, place: Place) -> str | None:
        """The open session of a place."""
        rows = _OPEN_AT.ask(self.engine, {"here": place.key})
        return rows[0][0] if rows else None

    def by_code(self, code: str, tenant: str) -> str | None:
        """The open session that a code stands for, however it was typed."""
        typed = "".join(each for each in code.upper() if each.isalnum())
        mine = (sessions.c.code == typed) & (sessions.c.tenant == tenant) & sessions.c.is_open
        with reading(self.engine) as connection:
            return connection.execute(sa.select(sessions.c.id).where(mine)).scalar_one_or_none()

    def all(self, tenant: str, *, open_only: bool = False) -> tuple[str, ...]:
        """The sessions of a tenant, the oldest first."""
        query = sa.select(sessions.c.id).where(sessions.c.tenant == tenant).order_by(sessions.c.opened, sessions.c.id)
        with reading(self.engine) as connection:
            return tuple(connection.execute(query.where(sessions.c.is_open) if open_only else query).scalars())

    def made_of(self, tenant: str, keys: Sequence[str]) -> tuple[tuple[str, str, int], ...]:
        """What became of chat events with these keys in open sessions: session, idea, and the place of its key."""
        places = {digest(key): place for place, key in enumerate(keys)}
        mine = events.c.session.in_(_open_of(tenant)) & events.c.key.in_(places)
        with reading(self.engine) as connection:
            rows = connection.execute(sa.select(events).where(mine).order_by(events.c.session, events.c.number)).all()
        known = ((row, event.act) for row in rows if (event := _event(row)) is not None)
        return tuple((row.session, act.idea, places[row.key]) for row, act in known if isinstance(act, Added))

    def act(self, session: str, key: str) -> Act | None:
        """What was done by the key, as it reads now."""
        here = (events.c.session == session) & (events.c.key == digest(key))
        with reading(self.engine) as connection:
            row = connection.execute(sa.select(events).where(here)).first()
        event = None if row is None else _event(row)
        return None if event is None else event.act

    def spoken(self, session: str, key: str) -> Spoken | None:
        """What was said in the chat event with this key, as it reads now."""
        found = self.act(session, key)
        return found if isinstance(found, Spoken) else None

    def retell(self, tenant: str, key: str, text: str) -> None:
        """What was said in this chat event reads so now; without a text it was taken back."""
        mine = events.c.session.in_(_open_of(tenant)) & (events.c.key == digest(key)) & _IS_TALK
        with writing(self.engine) as connection:
            lock_memory(connection)
            for row in connection.execute(sa.select(events).where(mine)).all():
                here = (events.c.session == row.session) & (events.c.number == row.number)
                change = events.update().values(body={**row.body, "text": text}) if text else events.delete()
                connection.execute(change.where(here))
                again = sessions.update().where(sessions.c.id == row.session).values(erased=sessions.c.erased + 1)
                connection.execute(again)

    def empty(self, tenant: str, keys: Sequence[str]) -> tuple[str, ...]:
        """Delete the words of ideas that came of chat events with these keys, where they are withdrawn or merged.

        An idea that was made of them says what another of its parts says. The sessions whose boards read otherwise now.
        """
        given = events.c.key.in_([digest(key) for key in keys]) & (events.c.kind == Added.__name__)
        of_tenant = sa.select(sessions.c.id).where(sessions.c.tenant == tenant)
        changed = []
        with writing(self.engine) as connection:
            lock_memory(connection)
            found = sa.select(events.c.session).where(given, events.c.session.in_(of_tenant)).distinct()
            for session in connection.execute(found).scalars().all():
                here = events.c.session == session
                theirs = {row.body["idea"] for row in connection.execute(sa.select(events).where(here, given))}
                is_open = sessions.c.id.in_(_open_of(tenant))  # of one that is closed, what was merged is its outcome
                merges = connection.execute(sa.select(sessions.c.id).where(sessions.c.id == session, is_open)).first()
                kinds = (Added, Divided, Reworded, Withdrawn, *((Merged,) if merges is not None else ()))
                on_ideas = events.c.kind.in_([kind.__name__ for kind in kinds])
                rows = connection.execute(sa.select(events).where(here, on_ideas).order_by(events.c.number)).all()
                bodies = _emptied(rows, theirs)
                for number, body in bodies.items():
                    connection.execute(events.update().where(here, events.c.number == number).values(body=body))
                again = sessions.update().where(sessions.c.id == session).values(erased=sessions.c.erased + 1)
                connection.execute(again)
                if any(row.kind == Merged.__name__ and row.number in bodies for row in rows):
                    changed.append(session)
        return tuple(changed)

    def of_person(self, person: str) -> tuple[str, ...]:
        """The sessions in which a person did something."""
        query = sa.select(events.c.session).where(events.c.person == person).distinct().order_by(events.c.session)
        with reading(self.engine) as connection:
            return tuple(connection.execute(query).scalars())

    def _board(self, connection: Connection, row: Row) -> tuple[Board, tuple[Event, ...]]:
        known = self._events(connection, row)
        return fold(_start(row), known), known

    def _events(self, connection: Connection, row: Row) -> tuple[Event, ...]:
        """All acts of a session: those in memory, unless people were forgotten or linked since, and what is newer."""
        with self._lock:
            erased, known = self._read.get(row.id, (row.erased, ()))
        if erased != row.erased:
            known = ()
        query = sa.select(events).where(events.c.session == row.id).order_by(events.c.number)
        if known:
            query = query.where(events.c.number > known[-1].number)
        return (*known, *(event for each in connection.execute(query) if (event := _event(each)) is not None))

    def _remember(self, row: Row, known: tuple[Event, ...]) -> None:
        """Keep acts in memory; only such as are committed, which those that a writer sees need not be."""
        with self._lock:
            self._read[row.id] = (row.erased, known)
            self._read.move_to_end(row.id)
            while len(self._read) > _CACHED:
                self._read.popitem(last=False)


def _emptied(rows: Sequence[Row], theirs: AbstractSet[str]) -> dict[int, dict[str, Any]]:
    """What acts on ideas say, by number, once the words of `theirs` are gone that stand no more. rows: in order.

    What an idea was split into is theirs too, and of a split one nothing stands once none of that does.
    """
    splits = [row.body for row in rows if row.kind == Divided.__name__]
    theirs = set(theirs)
    for split in splits:
        theirs.update(split["ideas"] if split["idea"] in theirs else ())
    withdrawn = {row.body["idea"] for row in rows if row.kind == Withdrawn.__name__}
    parts = {each for row in rows if row.kind == Merged.__name__ for each in row.body["parents"]}
    gone = theirs & (withdrawn | parts)
    gone.update(
        split["idea"] for split in reversed(splits) if split["idea"] in theirs and gone.issuperset(split["ideas"])
    )
    words = {text for row in rows for idea, text in _texts(row.body) if idea in gone}
    made_of = set(gone)
    reads: dict[str, str] = {}
    bodies: dict[int, dict[str, Any]] = {}
    for row in rows:
        idea, text = row.body["idea"], row.body.get("text")
        if row.kind == Divided.__name__:
            reads |= {part: REMOVED if part in gone else said for part, said in _texts(row.body)}
            texts = [reads[part] for part in row.body["ideas"]]
            if texts != list(row.body["texts"]):
                bodies[row.number] = {**row.body, "texts": texts}
        if text is None:
            continue
        now = REMOVED if idea in gone else text
        if row.kind == Merged.__name__ and not made_of.isdisjoint(row.body["parents"]):
            made_of.add(idea)
            others = [reads.get(each, REMOVED) for each in row.body["parents"]]
            if text in words or not text:
                now = next((each for each in others if each != REMOVED), REMOVED)
        reads[idea] = now
        if now != text:
            bodies[row.number] = {**row.body, "text": now}
    return bodies


def _texts(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Which ideas an act words, and how."""
    if "texts" in body:
        return list(zip(body["ideas"], body["texts"], strict=True))
    return [(body["idea"], body["text"])] if "text" in body else []


def digest(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _known(connection: Connection, person: Person | None) -> str:
    if person is None:
        return ""
    who = id_today(connection, person)
    if who is None:
        raise StoreError("What was known about you was deleted, so this was not kept. Write again to begin anew.")
    return who


def _start(row: Row) -> Session:
    return Session(str(row.id), str(row.tenant), str(row.code))


def _event(row: Row) -> Event | None:
    act = from_json(row.kind, row.body)
    return None if act is None else Event(row.number, row.key, row.person, row.subject, row.at, act)


def _insert(connection: Connection, session: str, event: Event) -> None:
    row = {"session": session, "number": event.number, "key": event.key, "kind": name_of(event.act)}
    row |= {"person": event.person, "subject": event.subject, "at": event.at, "body": to_json(event.act)}
    if not insert_new(connection, events, row):
        raise StoreError("Two acts of a session came with one key, so the second was not kept. Try again.")


def _open_at(connection: Connection, place: Place) -> str | None:
    rows = _OPEN_AT.run(connection, {"here": place.key})
    return rows[0][0] if rows else None


_OPEN_AT = Prepared(  # asked with every message
    sa.select(session_places.c.session)
    .join(sessions, sessions.c.id == session_places.c.session)
    .where(session_places.c.place == sa.bindparam("here"), sessions.c.is_open)
)


def _open_of(tenant: str) -> sa.Select[tuple[str]]:
    return sa.select(sessions.c.id).where((sessions.c.tenant == tenant) & sessions.c.is_open)


def _forget_talk(connection: Connection, session: str, known: Sequence[Event], *, is_over: bool) -> bool:
    """Talk is kept while its session runs, and not for ever even then; whether some went."""
    said = [each.number for each in known if isinstance(each.act, Spoken)]
    if not said or not (is_over or len(said) > 2 * KEPT):
        return False
    last = said[-1] if is_over else said[-KEPT - 1]
    here = (events.c.session == session) & _IS_TALK & (events.c.number <= last)
    connection.execute(events.delete().where(here))
    return True


def _forget_places(connection: Connection, session: str, before: Board, after: Board) -> None:
    gone = [each.key for each in before.session.places if each not in after.session.places]
    here = (session_places.c.session == session) & session_places.c.place.in_(gone)
    if gone:
        connection.execute(session_places.delete().where(here))


def _names(happened: list[Event]) -> int:
    """How many names of ideas and actions these acts took."""
    count = 0
    for each in happened:
        act = each.act
        named = getattr(act, "ideas", ()) if name_of(act) == "Divided" else ()
        count += len(named) if named else name_of(act) in ("Added", "Merged", "ActionTaken")
    return count
