"""Answers that were proposed of what people said: where they come of, and what becomes of them when that is deleted."""

import sqlalchemy as sa
from sqlalchemy import Engine

from agent.erasure import lock_memory
from agent.support.tables import case_lines, curated
from retrieval.database import writing

KIND = "faq"  # of the events and buttons about them
OF_CASE, HEARD = "case/", "heard/"  # begin the origins of what is proposed of a case, of talk between people


def heard_origin(question: str, reply: str) -> str:
    """The origin of what is proposed of a question and its reply, messages as the queue names them."""
    return f"{HEARD}{_key(question)}/{_key(reply)}"


def take_back(engine: Engine, tenant: str, message: str) -> int:
    """Delete what was proposed of a message that was deleted; what was approved stays, but not in its asker's words.

    message: as the queue names it. How many entries went. Raises StoreError.
    """
    key = _key(message)
    with writing(engine) as connection:
        lock_memory(connection)
        lines = sa.select(case_lines.c.number).where(case_lines.c.key == message)
        origins = [f"{OF_CASE}{number}" for number in connection.execute(lines).scalars()]
        made_of: sa.ColumnElement[bool] = curated.c.origin.in_(origins)
        if key.isalnum():
            made_of |= curated.c.origin.like(f"{HEARD}{key}/%") | curated.c.origin.like(f"{HEARD}%/{key}")
        is_verbatim = (curated.c.state != "approved") | curated.c.asked_by.is_not(None)
        return connection.execute(curated.delete().where((curated.c.tenant == tenant) & made_of & is_verbatim)).rowcount


def _key(message: str) -> str:
    return message.rpartition("/")[2]
