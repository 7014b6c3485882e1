"""What was asked lately and what became of it: a tenant's stored turns with their ratings, for gaps and the digest."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from agent.memory_tables import feedback, places, turn_of, turns
from agent.message import History, Turn
from agent.people import people_of
from agent.support.triggers import is_unanswered
from retrieval.audience import everyone
from retrieval.database import reading

MOST = 5_000  # turns that are looked at, the latest
_PART = 500  # of them read at a time: histories and passages are large
_OWN = "chat-"  # begins the names of audiences that are one conversation's


@dataclass(frozen=True, slots=True)
class Asked:
    """A turn, without its history and without the texts of its passages. kept: when its reply was there.

    ratings: one a person, 1 good, -1 bad.
    """

    turn: Turn
    kept: datetime
    ratings: tuple[int, ...] = ()

    @property
    def is_disliked(self) -> bool:
        """Whether more people found the reply bad than good."""
        return sum(self.ratings) < 0

    @property
    def is_missing(self) -> bool:
        """Whether the knowledge fell short: nothing was found, or what was said was no good."""
        return bool(self.turn.message.text.strip()) and (is_unanswered(self.turn) or self.is_disliked)


def lately_asked(
    engine: Engine, tenant: str, since: datetime, until: datetime | None = None, limit: int = MOST
) -> list[Asked]:
    """The turns of a tenant's conversations that began in this time, oldest first; of too many the latest.

    Raises StoreError.
    """
    within = (places.c.tenant == tenant) & (turns.c.sent >= since)
    within &= turns.c.sent < until if until is not None else sa.true()
    chosen = sa.select(turns.c.id).join(places, places.c.key == turns.c.place).where(within)
    with reading(engine) as connection:
        ids = list(connection.execute(chosen.order_by(turns.c.id.desc()).limit(limit)).scalars())[::-1]
    found: list[Asked] = []
    for start in range(0, len(ids), _PART):
        with reading(engine) as connection:
            found += _read(connection, ids[start : start + _PART])
    return found


def may_be_shown(turn: Turn, readers: Iterable[str], tenant: str) -> bool:
    """Whether somebody's question may be shown, in their words, to whoever reads all of `readers`.

    Its author has agreed that it is learned from, and it was asked where nobody held an audience that is missing here.
    """
    message = turn.message
    named = {each for each in message.readers if not each.partition("/")[2].startswith(_OWN)}
    return message.author.consent and named <= {everyone(tenant), *readers}


def _read(connection: Connection, ids: list[str]) -> list[Asked]:
    ratings: dict[str, list[int]] = {}
    for row in connection.execute(sa.select(feedback.c.turn, feedback.c.rating).where(feedback.c.turn.in_(ids))):
        ratings.setdefault(row.turn, []).append(row.rating)
    joined = sa.select(turns, places.c.platform, places.c.tenant, places.c.channel, places.c.thread)
    query = joined.join(places, places.c.key == turns.c.place).where(turns.c.id.in_(ids)).order_by(turns.c.id)
    rows = connection.execute(query).all()
    people = people_of(connection, sorted({row.author for row in rows}))
    return [Asked(_light(turn_of(row, people[row.author])), row.kept, tuple(ratings.get(row.id, ()))) for row in rows]


def _light(turn: Turn) -> Turn:
    """Of the evidence only where it came from."""
    passages = tuple(replace(each, text="") for each in turn.passages)
    return replace(turn, history=History(), passages=passages)
