"""A person's messages that still wait in the queue: let go of when they are forgotten, and part of their copy."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypedDict

import sqlalchemy as sa
from sqlalchemy import Engine

from agent.events import Command, Edited, Event, Post
from agent.message import Person
from connectors.delivery.tables import OPEN, inbox
from connectors.delivery.waiting import forget
from retrieval.database import reading, writing


class WaitingCopy(TypedDict):
    """A message that is not answered yet, or at this moment. received: ISO 8601 in UTC."""

    received: str
    words: str


def drop_waiting(engine: Engine, person: Person) -> int:
    """Let go of a person's messages in the queue and of answers to them, where no door is open; how many.

    Raises StoreError.
    """

    def is_theirs(platform: str, payload: str) -> bool:
        return _event_of(person, platform, payload) is not None

    with writing(engine) as connection:
        return forget(connection, is_theirs, frozenset(person.accounts))


def waiting_of(engine: Engine, person: Person) -> list[WaitingCopy]:
    """What a person wrote that still waits, oldest first. Raises StoreError."""
    query = sa.select(inbox.c.platform, inbox.c.payload, inbox.c.received).where(OPEN).order_by(inbox.c.id)
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    said = [(row.received, _words(_event_of(person, row.platform, row.payload))) for row in rows]
    return [{"received": datetime.fromtimestamp(at, UTC).isoformat(), "words": words} for at, words in said if words]


def _words(event: Event | None) -> str:
    if isinstance(event, Post | Edited):
        return event.text
    return f"{event.name} {event.argument}" if isinstance(event, Command) and event.argument else ""


def _event_of(person: Person, platform: str, payload: str) -> Event | None:
    """What a stored payload says, where it is something that the person did."""
    tenants = {platform: tenant for platform, tenant, _ in (each.split(":", 2) for each in person.accounts)}
    try:
        event = _reader(platform)(payload, tenants.get(platform, "")) if platform in tenants else None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):  # broken, or an event of Atelier's own
        return None
    return event if getattr(event, "account", None) in person.accounts else None


def _reader(platform: str) -> Callable[[str, str], Event | None]:
    """What reads a platform's payloads. Imported only where such a one waits: the libraries are large."""
    if platform == "slack":
        from connectors.slack.events import read

        return lambda payload, _: read(payload)
    from connectors.telegram.events import read as read_telegram

    return read_telegram
