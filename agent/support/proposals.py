"""Answers that were proposed of what people said: where they come of, and what becomes of them when that is deleted."""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from agent.erasure import lock_memory
from agent.memory_tables import turns
from agent.support.tables import case_lines, curated
from retrieval.database import writing
from retrieval.tokens import words

KIND = "faq"  # of the events and buttons about them
OF_CASE = "case/"  # begins the origins of what is proposed of a case
SAME = 0.5  # of a question's words those that a message has, from which it was put in these: names were taken out


def take_back(engine: Engine, tenant: str, message: str) -> int:
    """Delete what was proposed of a message that was deleted; what was approved stays, but not in its asker's words.

    message: as the queue names it; its turn is still kept. How many entries went. Raises StoreError.
    """
    with writing(engine) as connection:
        lock_memory(connection)
        lines = sa.select(case_lines.c.number).where(case_lines.c.key == message)
        origins = [f"{OF_CASE}{number}" for number in connection.execute(lines).scalars()]
        is_verbatim = (curated.c.state != "approved") | curated.c.asked_by.is_not(None)
        gone = curated.c.origin.in_(origins) & is_verbatim | curated.c.id.in_(list(_asked(connection, message)))
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
