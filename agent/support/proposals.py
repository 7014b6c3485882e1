"""Answers that were proposed of what people said: where they come of, and what becomes of them when that is deleted."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from agent.erasure import lock_memory
from agent.memory_tables import turns
from agent.message import Place
from agent.support.tables import OF_THREAD, case_lines, curated
from retrieval.database import writing
from retrieval.tokens import words

if TYPE_CHECKING:
    from agent.support.curated import Entry

KIND = "faq"  # of the events and buttons about them
OF_CASE = "case/"  # begins the origins of what is proposed of a case
SAME = 0.5  # of a question's words those that a message has, from which it was put in these: names were taken out


@dataclass(frozen=True, slots=True)
class Thread:
    """Where people settled a question among themselves. is_open: everybody of the team may read there.

    question, answer: the platform's ids of the two messages. origin: `thread/open/slack/C1/QUESTION/ANSWER`.
    """

    is_open: bool
    place: Place
    question: str
    answer: str

    def is_to_stay(self, entry: "Entry") -> bool:
        """Whether an entry of it may be for nobody else: said among a few, in the words of who said it there."""
        return not self.is_open and bool(entry.asked_by or entry.proposed_by)

    @property
    def origin(self) -> str:
        whole = ("open" if self.is_open else "closed", self.place.platform, self.place.channel)
        return f"{OF_THREAD}{'/'.join((*whole, self.question, self.answer))}"

    @classmethod
    def of(cls, origin: str, tenant: str) -> "Thread | None":
        """What an origin says; None for another's."""
        parts = origin.removeprefix(OF_THREAD).split("/")
        if not origin.startswith(OF_THREAD) or len(parts) != 5:
            return None
        kind, platform, channel, question, answer = parts
        return cls(kind == "open", Place(platform, tenant, channel), question, answer)


def take_back(engine: Engine, tenant: str, message: str, place: Place | None = None, id_: str = "") -> int:
    """Delete what was proposed of a message that was deleted; what was approved stays, but not in its author's words.

    message: as the queue names it; its turn is still kept. place, id_: where it stood, and the platform's id of it.
    How many entries went. Raises StoreError.
    """
    with writing(engine) as connection:
        lock_memory(connection)
        lines = sa.select(case_lines.c.number).where(case_lines.c.key == message)
        origins = [f"{OF_CASE}{number}" for number in connection.execute(lines).scalars()]
        is_verbatim = (curated.c.state != "approved") | curated.c.asked_by.is_not(None)
        gone = curated.c.origin.in_(origins) & is_verbatim | curated.c.id.in_(list(_asked(connection, message)))
        if place is not None and id_:
            gone |= curated.c.id.in_(list(_settled(connection, replace(place, tenant=tenant, thread=""), id_)))
        return connection.execute(curated.delete().where((curated.c.tenant == tenant) & gone)).rowcount


def _asked(connection: Connection, message: str) -> Iterator[int]:
    """The entries whose question is put in the words of a message, which came before its case and is no line of it."""
    for turn in connection.execute(sa.select(turns.c.author, turns.c.text).where(turns.c.message == message)).all():
        said = set(words(turn.text))
        theirs = (curated.c.asked_by == turn.author) & curated.c.origin.startswith(OF_CASE)
        for row in connection.execute(sa.select(curated.c.id, curated.c.question).where(theirs)):
            question = words(row.question)
            if sum(word in said for word in question) >= SAME * max(len(question), 1):
                yield row.id


def _settled(connection: Connection, place: Place, message: str) -> Iterator[int]:
    """The entries that stand in the words of a message of a thread: as their question, or as their answer."""
    theirs = (curated.c.tenant == place.tenant) & curated.c.origin.startswith(OF_THREAD)
    for row in connection.execute(
        sa.select(curated).where(theirs & curated.c.origin.contains(message, autoescape=True))
    ):
        thread = Thread.of(row.origin, place.tenant)
        if thread is None or thread.place != place:
            continue
        if (thread.question == message and row.asked_by) or (thread.answer == message and row.proposed_by):
            yield row.id
