"""What sessions hold of one person: for a copy of it, for two accounts becoming one person, and to be forgotten.

Forgetting is the one thing that changes acts: what somebody wrote and how they voted is deleted, their words leave what
others made of them, and what they did for all (a phase moved, ideas merged) stays without their name.
"""

import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from agent.ideation.tables import events, session_places, sessions
from agent.memory_tables import insert_new
from agent.message import Place
from retrieval.database import reading

REMOVED = "[removed]"
IDEAS = "ideas/"  # begins the sources of the documents that later sessions find: who agreed, and their ideas
_THEIRS = frozenset(  # acts that are somebody's own words or choices
    "Added Remarked Divided Reworded Chosen Tagged Celled Dotted Preferred Scored Pressed Entered ActionTaken "
    "Spoken".split()
)
_VOTES = frozenset(("Dotted", "Preferred", "Scored"))
_PLACED = ("Opened", "PlaceJoined", "PlaceLeft")
_CLOSED = {"phase": "closed", "ends": None}
_WORDS = ("text", "topic", "reason", "tag", "due", "owner")  # fields that hold somebody's words
_LISTS = ("texts", "versions")
Cut = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Erased:
    """How many of a person's contributions and votes were deleted."""

    ideas: int = 0
    votes: int = 0


@dataclass(frozen=True, slots=True)
class Trace:
    """One act of a person, for their copy. words: what they wrote in it; about: the ideas it is on."""

    session: str
    at: datetime
    what: str
    words: str
    about: tuple[str, ...]


def of(engine: Engine, person: str) -> tuple[Trace, ...]:
    """Everything a person did in sessions, in order. Raises StoreError."""
    query = sa.select(events).where((events.c.person == person) | (events.c.subject == person))
    with reading(engine) as connection:
        rows = connection.execute(query.order_by(events.c.at, events.c.session, events.c.number)).all()
    return tuple(
        Trace(row.session, row.at, row.kind, "\n".join(_words_in(row.body)), tuple(_ideas_in(row.body))) for row in rows
    )


def opened_by(engine: Engine, person: str) -> tuple[tuple[str, str], ...]:
    """Tenant and code of the sessions a person opened: their topic is the person's words. Raises StoreError."""
    mine = (events.c.person == person) & (events.c.kind == "Opened")
    query = sa.select(sessions.c.tenant, sessions.c.code).join(events, events.c.session == sessions.c.id).where(mine)
    with reading(engine) as connection:
        return tuple((row.tenant, row.code) for row in connection.execute(query.order_by(sessions.c.code)))


def merge(connection: Connection, gone: str, into: str) -> None:
    """Acts of and about the person `gone` become `into`'s. One person has one ballot: the board counts it so."""
    touched = _sessions_of(connection, gone)
    for column in (events.c.person, events.c.subject):
        connection.execute(events.update().where(column == gone).values({column.name: into}))
    _changed(connection, touched)


def move(connection: Connection, old: Place, new: Place) -> None:
    """Sessions in the channel of `old`, or in a thread of it, go on in the channel of `new`."""
    bare = replace(old, thread="").key
    inside = sa.func.substr(session_places.c.place, 1, len(bare)) == bare
    for row in connection.execute(sa.select(session_places).where(inside)).all():
        connection.execute(session_places.delete().where(session_places.c.place == row.place))
        target = replace(new, thread="").key + row.place[len(bare) :]
        insert_new(connection, session_places, {"place": target, "session": row.session})
        placed = (events.c.session == row.session) & events.c.kind.in_(_PLACED)
        for each in connection.execute(sa.select(events).where(placed)).all():
            place = Place(**each.body["place"])
            if replace(place, thread="").key == bare:
                here = (events.c.session == each.session) & (events.c.number == each.number)
                moved = {**each.body["place"], "channel": new.channel}
                connection.execute(events.update().where(here).values(body={**each.body, "place": moved}))
        _changed(connection, [row.session])


def erase(
    connection: Connection,
    person: str,
    accounts: Collection[str],
    sources: Collection[str],
    cutting: Callable[[Iterable[str]], Cut],
) -> Erased:
    """Delete what sessions hold of a person. sources: documents of theirs. cutting: what takes texts out of others'.

    A session is held in their private chats no more; where it was held in no other place, it is closed. Call inside a
    write transaction that holds memory's lock exclusively.
    """
    ideas = votes = 0
    touched = _sessions_of(connection, person)
    if sources:
        touched = tuple(connection.execute(sa.select(sessions.c.id).order_by(sessions.c.id)).scalars())
    for session in touched:
        rows = connection.execute(sa.select(events).where(events.c.session == session).order_by(events.c.number)).all()
        own = [row for row in rows if row.person == person]
        if own and all(row.person in ("", person) for row in rows):
            connection.execute(sessions.delete().where(sessions.c.id == session))
            connection.execute(events.delete().where(events.c.session == session))
        else:
            texts = [word for row in own for word in _words_in(row.body)]
            given = frozenset(word for row in own if row.kind != "Spoken" for word in _words_in(row.body))
            made = {idea for row in own if row.kind in ("Added", "Divided") for idea in _made_by(row.body)}
            cut = cutting(texts)
            # the sharper versions of a question are made of its words, in no sentence that could be cut
            made_of_theirs = any(row.kind == "Opened" for row in own)
            versions = (each for row in rows if row.kind == "Reframed" for each in row.body["versions"])
            given |= frozenset(versions if made_of_theirs else ())
            for row in rows:
                _forget_in(connection, row, person, made, sources, _Cutting(given, cut))
            _leave_chats(connection, session, [row for row in rows if row.kind in _PLACED], person, accounts)
        ideas += sum(row.kind in ("Added", "Remarked") for row in own)
        votes += sum(row.kind in _VOTES for row in own)
    _changed(connection, touched)
    return Erased(ideas, votes)


@dataclass(frozen=True, slots=True)
class _Cutting:
    """texts: theirs, whole; not what was only said, as an "ok" is anybody's."""

    texts: frozenset[str]
    cut: Cut

    def __call__(self, text: str) -> str:
        return REMOVED if text in self.texts else self.cut(text)


def _forget_in(
    connection: Connection,
    row: sa.Row[Any],
    person: str,
    made: Collection[str],
    sources: Collection[str],
    cut: _Cutting,
) -> None:
    here = (events.c.session == row.session) & (events.c.number == row.number)
    body: dict[str, Any] = row.body
    is_theirs = row.person == person and row.kind in _THEIRS
    parents = body.get("parents", ())
    of_nobody = row.kind == "Merged" and all(each in made for each in parents)
    if is_theirs or of_nobody or (row.kind == "Sparked" and body["source"] in sources):
        connection.execute(events.delete().where(here))
        return
    if row.kind == "Opened" and row.person == person:
        body = body | {"topic": REMOVED}
    clean = {name: cut(value) if name in _WORDS and isinstance(value, str) else value for name, value in body.items()}
    clean |= {name: [cut(each) for each in body[name]] for name in _LISTS if name in body}
    if "sources" in clean:
        clean["sources"] = [each for each in clean["sources"] if each not in sources]
    if row.kind == "Merged" and row.person == person:
        clean["text"] = ""  # then it has the words of what it was made of
    values: dict[str, Any] = {"body": clean} if clean != row.body else {}
    values |= {name: "" for name in ("person", "subject") if getattr(row, name) == person}
    if values:
        connection.execute(events.update().where(here).values(values))


def _leave_chats(
    connection: Connection, session: str, placed: Iterable[sa.Row[Any]], person: str, accounts: Collection[str]
) -> None:
    """Take the private chats of a person from the places of a session."""
    left: set[str] = set()
    for row in placed:
        place = Place(**row.body["place"])
        # Slack's ids of direct messages begin with a D, and are nobody's: it is theirs where they held a session in it
        is_direct = row.person == person and place.platform == "slack" and place.channel.startswith("D")
        if place.is_chat_of(accounts) or is_direct or place.key in left:
            left.add(place.key)
            here = (events.c.session == session) & (events.c.number == row.number)
            if row.kind == "Opened":
                body = connection.execute(sa.select(events.c.body).where(here)).scalar_one()
                nowhere = {"platform": "", "tenant": place.tenant, "channel": "", "thread": ""}
                connection.execute(events.update().where(here).values(body=body | {"place": nowhere}))
            else:
                connection.execute(events.delete().where(here))
    if not left:
        return
    connection.execute(session_places.delete().where(session_places.c.place.in_(left)))
    known = connection.execute(sa.select(sessions).where(sessions.c.id == session)).one()
    elsewhere = sa.select(session_places.c.place).where(session_places.c.session == session)
    if not known.is_open or connection.execute(elsewhere).first() is not None:
        return
    connection.execute(events.delete().where((events.c.session == session) & (events.c.kind == "Spoken")))
    end = {"session": session, "number": known.events + 1, "key": secrets.token_hex(32), "kind": "Moved"}
    end |= {"person": "", "subject": "", "at": datetime.now(UTC), "body": _CLOSED}
    connection.execute(events.insert().values(end))
    over = {"events": known.events + 1, "is_open": False}
    connection.execute(sessions.update().where(sessions.c.id == session).values(over))


def _sessions_of(connection: Connection, person: str) -> tuple[str, ...]:
    mine = (events.c.person == person) | (events.c.subject == person)
    return tuple(connection.execute(sa.select(events.c.session).where(mine).distinct().order_by("session")).scalars())


def _changed(connection: Connection, touched: Collection[str]) -> None:
    for each in touched:
        connection.execute(sessions.update().where(sessions.c.id == each).values(erased=sessions.c.erased + 1))


def _words_in(body: dict[str, Any]) -> list[str]:
    found = [body[name] for name in _WORDS if isinstance(body.get(name), str) and body[name]]
    return found + [each for name in _LISTS for each in body.get(name, ()) if each]


def _ideas_in(body: dict[str, Any]) -> list[str]:
    named = [body[name] for name in ("idea", "winner", "loser") if body.get(name)]
    return named + [each for each in body.get("ideas", ()) if isinstance(each, str)]


def _made_by(body: dict[str, Any]) -> list[str]:
    return list(body["ideas"]) if "ideas" in body else [body["idea"]]
