"""What the store knows of a channel's conversations where the platform does not say which of them is meant."""

import sqlalchemy as sa

from agent.memory import Memory
from agent.memory_tables import places, turns
from agent.message import Place, Turn
from agent.people import owner_of
from retrieval.database import reading


def meant(memory: Memory, place: Place) -> list[Place]:
    """The conversations that an order given in `place` is about.

    On Slack all of the channel, as no command can be given in a thread there; elsewhere this one.
    """
    if place.platform != "slack":
        return [place]
    with reading(memory.engine) as connection:
        rows = connection.execute(sa.select(places.c.thread).where(_here(place)))
        return [Place(place.platform, place.tenant, place.channel, row.thread) for row in rows]


def last_turn(memory: Memory, person: str, place: Place) -> Turn | None:
    """The latest turn of a person's own in the conversations that are `meant`."""
    theirs = sa.select(turns.c.id).join(places, places.c.key == turns.c.place).where(turns.c.author == person)
    here = _here(place) if place.platform == "slack" else places.c.key == place.key
    with reading(memory.engine) as connection:
        found = connection.execute(theirs.where(here).order_by(turns.c.id.desc()).limit(1)).scalar_one_or_none()
    return memory.turn(found) if found else None


def is_known(memory: Memory, account: str) -> bool:
    """Whether this account has been seen before."""
    with reading(memory.engine) as connection:
        return owner_of(connection, account) is not None


def _here(place: Place) -> sa.ColumnElement[bool]:
    is_ours = (places.c.platform == place.platform) & (places.c.tenant == place.tenant)
    return is_ours & (places.c.channel == place.channel)
