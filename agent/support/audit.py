"""The audit log: every administrative act and every one that was refused, by whom, when, where and on what."""

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import Engine

from agent.erasure import lock_memory
from agent.memory_tables import insert_new
from agent.people import owner_of
from agent.support.tables import audit
from retrieval.database import reading, writing

LONGEST = 200  # characters of what an act was about


@dataclass(frozen=True, slots=True)
class Act:
    """account: as settings write it (`slack:U1`), empty once its person is forgotten. outcome: done or refused."""

    at: datetime
    account: str
    role: str
    verb: str
    object: str
    outcome: str
    place: str


class Audit:
    """The log in the store. Thread-safe, and safe beside other processes. Every method raises StoreError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def note(self, key: str, account: str, role: str, verb: str, object_: str, outcome: str, place: str = "") -> None:
        """Keep one act. key: the event's: one that comes again after a crash is one act.

        account: `platform:tenant:user`; its person is looked up, so that forgetting reaches the log.
        """
        platform, _, user = account.split(":", 2)
        with reading(self._engine) as connection:  # a look takes no write lock, and who insists is refused often
            if connection.execute(sa.select(audit.c.id).where(audit.c.key == key[:200])).first() is not None:
                return
        with writing(self._engine) as connection:
            lock_memory(connection)
            person = owner_of(connection, account)
            row = {"key": key[:200], "at": datetime.now(UTC), "actor": None if person is None else person.id}
            row |= {"account": f"{platform}:{user}", "role": role, "verb": verb[:40], "object": object_[:LONGEST]}
            insert_new(connection, audit, row | {"outcome": outcome, "place": place})

    def acts(self, *, limit: int | None = None) -> list[Act]:
        """The acts, oldest first; of more than `limit` the latest."""
        query = sa.select(audit).order_by(audit.c.id.desc()).limit(limit)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [
            Act(row.at, row.account, row.role, row.verb, row.object, row.outcome, row.place) for row in reversed(rows)
        ]

    def of(self, person: str) -> list[Act]:
        """What one person did."""
        query = sa.select(audit).where(audit.c.actor == person).order_by(audit.c.id)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [Act(row.at, row.account, row.role, row.verb, row.object, row.outcome, row.place) for row in rows]
