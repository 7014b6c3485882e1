"""What becomes of a person's part in cases, curated answers and the audit log: forgotten, merged, moved."""

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from agent.message import Place
from agent.support.tables import OF_THREAD, audit, case_lines, cases, curated
from retrieval.database import writing


def erase(connection: Connection, person: str, accounts: Sequence[str]) -> int:
    """Take a person out of all cases, their own ones with every word in them; how many were theirs.

    What is left of such a case is that there was one: its reason, its times and its rating. Call inside a write
    transaction that holds memory's lock exclusively, before the person is deleted.
    """
    own = sa.select(cases.c.number).where(cases.c.asker == person)
    connection.execute(case_lines.update().where(case_lines.c.number.in_(own)).values(text="", shown=""))
    connection.execute(case_lines.update().where(case_lines.c.author == person).values(text="", author=None))
    bare = {"asker": None, "asker_account": "", "platform": "", "channel": "", "thread": "", "turn": "", "language": ""}
    over = {"state": "withdrawn", "closed": datetime.now(UTC)}
    live = (cases.c.asker == person) & cases.c.state.in_(("open", "claimed"))
    connection.execute(cases.update().where(live).values(over))
    gone = connection.execute(cases.update().where(cases.c.asker == person).values(bare)).rowcount
    nobodys = {"actor": None, "account": "", "object": "", "place": ""}  # a private chat's place is its person's
    connection.execute(audit.update().where(audit.c.actor == person).values(nobodys))
    owned = (cases.c.owner == person) | cases.c.owner_account.in_(list(accounts))
    waiting = owned & (cases.c.state == "claimed")
    connection.execute(cases.update().where(waiting).values(state="open"))  # somebody else takes it
    connection.execute(cases.update().where(owned).values(owner=None, owner_account=""))
    return gone


def drop_curated(connection: Connection, person: str) -> frozenset[int]:
    """Answers that nobody approved go with who proposed them, and questions with whose words they are in; their ids.

    The ids are negative, as passages have them. What was approved in other words is the team's: it stays without the
    person's name. Call as `erase`, before it.
    """
    unapproved = (curated.c.proposed_by == person) & (curated.c.state != "approved")
    theirs = unapproved | _in_words_of(person)
    gone = connection.execute(curated.delete().where(theirs).returning(curated.c.id)).scalars().all()
    for column in (curated.c.proposed_by, curated.c.decided_by):
        connection.execute(curated.update().where(column == person).values({column.name: None}))
    return frozenset(-each for each in gone)


def withhold(engine: Engine, person: str) -> int:
    """Take away proposed and approved answers that stand in a person's own words; how many there were.

    What somebody answered as an agent of support, in a case, is the team's.
    """
    with writing(engine) as connection:
        return connection.execute(curated.delete().where(_in_words_of(person))).rowcount


def _in_words_of(person: str) -> sa.ColumnElement[bool]:
    """Entries whose question somebody put themselves, or whose answer they gave a colleague in a thread."""
    answered = (curated.c.proposed_by == person) & curated.c.origin.startswith(OF_THREAD)
    return (curated.c.asked_by == person) | answered


def merge(connection: Connection, gone: str, into: str) -> None:
    """What was the person `gone`'s is the person `into`'s. Needs memory's lock, exclusively."""
    named = (curated.c.proposed_by, curated.c.asked_by, curated.c.decided_by)
    for column in (cases.c.asker, cases.c.owner, case_lines.c.author, audit.c.actor, *named):
        connection.execute(sa.update(column.table).where(column == gone).values({column.name: into}))


def move(connection: Connection, old: Place, new: Place) -> None:
    """The channel of `old` goes on as the channel of `new`, for askers and desks."""
    asked = (cases.c.platform == old.platform) & (cases.c.tenant == old.tenant) & (cases.c.channel == old.channel)
    connection.execute(cases.update().where(asked).values(channel=new.channel))
    desk = (cases.c.desk_platform == old.platform) & (cases.c.desk_tenant == old.tenant)
    desk &= cases.c.desk_channel == old.channel
    connection.execute(cases.update().where(desk).values(desk_channel=new.channel))
