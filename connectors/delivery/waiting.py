"""What still waits in the queue: looked at before its turn, and dropped where nobody may or should be answered."""

import sys
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy import Connection

from agent.events import Outgoing
from agent.message import Place
from connectors.connector import Received
from connectors.delivery.queue import MESSAGE, accept, name_of
from connectors.delivery.tables import OPEN, inbox, outbox
from connectors.delivery.wire import read_outgoing

_PENDING = ("ready", "sending")
_EMPTY = {"state": "done", "payload": "", "conversation": "", "handle": ""}
_it = inbox.alias("it")
_HERE = sa.select(_it.c.conversation).where(_it.c.id == sa.bindparam("row")).scalar_subquery()
_LATER = (inbox.c.conversation == _HERE) & (inbox.c.id > sa.bindparam("row")) & (inbox.c.state == "new")
_AFTER = sa.select(inbox.c.payload).where(OPEN, _LATER).order_by(inbox.c.id)


def after(connection: Connection, event: int, message: str) -> list[str]:
    """The payloads that wait behind an event in its conversation and hold a message's id, in order.

    Most do not: whoever floods may have hundreds there, and each costs a millisecond to read.
    """
    return [payload for payload in connection.execute(_AFTER, {"row": event}).scalars() if message in payload]


def has_come(connection: Connection, place: Place, message: str, before: int = sys.maxsize) -> bool:
    """Whether the platform's message of this id was taken in before the event `before`, also where it is long done."""
    came = sa.select(inbox.c.id).where(*_message(place, message), inbox.c.id < before)
    return connection.execute(came).first() is not None


def supersede(connection: Connection, place: Place, message: str) -> None:
    """Nothing is to be done for a message, whether it waits or comes yet: what became of it overtook it."""
    if not has_come(connection, place, message):
        event = Received(place.tenant, f"{MESSAGE}{place.channel}:{message}", "", "")
        accept(connection, place.platform, [event], sys.maxsize)
    waits = sa.select(inbox.c.id).where(*_message(place, message), inbox.c.state == "new")
    _dropped(connection, list(connection.execute(waits).scalars()))


def _message(place: Place, message: str) -> tuple[sa.ColumnElement[bool], ...]:
    key = name_of(place, message).rpartition("/")[2]
    return inbox.c.platform == place.platform, inbox.c.tenant == place.tenant, inbox.c.key == key


def drop(connection: Connection, place: Place, before: int) -> int:
    """Let go of what came before the event `before` in the channel of `place`, or in its whole tenant; how many.

    What is being answered at this moment ends by itself: the platform refuses it.
    """
    prefix = Place(place.platform, place.tenant, place.channel).key if place.channel else _tenant(place)
    here = sa.func.substr(inbox.c.conversation, 1, len(prefix)) == prefix
    waiting = sa.select(inbox.c.id).where(OPEN, inbox.c.state == "new", inbox.c.id < before, here)
    return _dropped(connection, list(connection.execute(waiting).scalars()))


def forget(
    connection: Connection, is_theirs: Callable[[str, str], bool], accounts: frozenset[str], but: int = 0
) -> int:
    """Let go of a person's messages and of what is still to be said to them; how many. but: the event that asks for it.

    is_theirs: whether a platform's payload holds something that the person did.
    """
    rows = connection.execute(sa.select(inbox.c.id, inbox.c.platform, inbox.c.payload).where(OPEN, inbox.c.id != but))
    theirs = {row.id for row in rows if _is_to(row.payload, accounts) or is_theirs(row.platform, row.payload)}
    parts = sa.select(outbox.c.inbox, outbox.c.body).where(outbox.c.state.in_(_PENDING), outbox.c.inbox != but)
    theirs |= {row.inbox for row in connection.execute(parts) if _is_to(row.body, accounts)}
    return _dropped(connection, sorted(theirs))


def _tenant(place: Place) -> str:
    """How the keys of all its places begin."""
    return Place(place.platform, place.tenant, "").key.removesuffix("/")


def _is_to(body: str, accounts: frozenset[str]) -> bool:
    outgoing = _outgoing(body)
    return outgoing is not None and outgoing.to in accounts


def _outgoing(body: str) -> Outgoing | None:
    """An unprompted message waits in the inbox as it is; anything else there is a platform's payload."""
    try:
        return read_outgoing(body)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _dropped(connection: Connection, events: list[int]) -> int:
    """A worker that holds one of them finds its lease lost: it says and keeps nothing more of it."""
    for event in events:
        connection.execute(inbox.update().where(inbox.c.id == event).values(_EMPTY))
        parts = outbox.update().where(outbox.c.inbox == event, outbox.c.state.in_(_PENDING))
        connection.execute(parts.values(state="dead", body=""))
        connection.execute(outbox.update().where(outbox.c.inbox == event).values(handle=""))
    return len(events)
