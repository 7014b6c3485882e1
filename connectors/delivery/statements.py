"""The queue's statements, ready for the driver: they are run with every message."""

from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from connectors.delivery.tables import OPEN, inbox, outbox
from retrieval.prepared import Prepared

_ACCEPTING = 0xA7E11E14  # PostgreSQL's advisory lock, any number of our own

IN_TURN = sa.select(sa.func.pg_advisory_xact_lock(_ACCEPTING))
COUNT_OPEN = Prepared(
    sa.select(
        sa.func.count().filter(~inbox.c.is_excess),
        sa.func.count().filter(inbox.c.is_excess),
        sa.func.count().filter(inbox.c.conversation == sa.bindparam("here")),
    ).where(
        OPEN,
        ~inbox.c.conversation.startswith("due/"),  # nobody waits for a timer
    )
)
COUNT_HERE = Prepared(sa.select(sa.func.count()).where(OPEN, inbox.c.conversation == sa.bindparam("here")))
_GIVEN = tuple(column.name for column in inbox.c if column.name != "id")
INSERT = {
    name: Prepared(insert(inbox).on_conflict_do_nothing().returning(inbox.c.id), _GIVEN)
    for name, insert in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}


def _open(name: str) -> sa.TextClause:
    """OPEN of an alias. In the index's own words: with parameters, or said otherwise, SQLite does not see that it fits.

    https://sqlite.org/partialindex.html#queries_using_partial_indexes
    """
    return sa.text(f"{name}.{OPEN.text}")


_earlier, _later = inbox.alias("earlier"), inbox.alias("later")
_FIRST = ~sa.exists().where(
    _earlier.c.conversation == inbox.c.conversation, _earlier.c.id < inbox.c.id, _open("earlier")
)
_HAS_MORE = sa.exists().where(_later.c.conversation == inbox.c.conversation, _later.c.id > inbox.c.id, _open("later"))
_FREE = sa.or_(inbox.c.state == "new", inbox.c.lease < sa.bindparam("now"))
_CLAIMED = ("id", "fence", "platform", "tenant", "key", "conversation", "payload", "received", "is_excess", "attempts")


@lru_cache(maxsize=8)
def ready(platforms: int) -> Prepared:
    """What may be claimed of so many platforms, p0, p1, ...: the columns of a Claim.

    It walks ix_inbox_lane in its order and ends at the first few, however much waits and however much was done before.
    """
    columns = (inbox.c[name] for name in (*_CLAIMED, "handle", "is_stopped"))
    return Prepared(
        sa.select(*columns, _HAS_MORE.label("has_more"))
        .where(_open("inbox"), _FREE, inbox.c.due + 0 <= sa.bindparam("now"), _FIRST)  # + 0: not by ix_inbox_due
        .where(sa.or_(*(inbox.c.platform + "" == sa.bindparam(f"p{number}") for number in range(platforms))))
        .where(inbox.c.is_excess == sa.bindparam("lane"))
        .order_by(inbox.c.id)
        .limit(sa.bindparam("room"))
        .with_for_update(skip_locked=True, of=inbox)  # in SQLite a writer is alone anyway
    )


TAKE = Prepared(
    inbox.update()
    .where(inbox.c.id == sa.bindparam("row"))
    .values(state="claimed", lease=sa.bindparam("until"), fence=sa.bindparam("next"))
)
MORE = Prepared(sa.select(inbox.c.id).where(OPEN, inbox.c.conversation == sa.bindparam("here")).limit(1))
_IS_TIMER = (inbox.c.state == "new") & inbox.c.conversation.startswith("due/") & (inbox.c.due > sa.bindparam("now"))
_HELD = sa.case((_IS_TIMER, "later"), else_=inbox.c.state).label("held")
COUNTS = sa.select(_HELD, sa.func.count().label("events")).group_by("held")
PUT = Prepared(outbox.insert(), tuple(column.name for column in outbox.c))
UNSENT = sa.or_(outbox.c.state == "ready", outbox.c.state == "sending")
_ONE_PART = outbox.update().where(outbox.c.key == sa.bindparam("which"))
SENDING = Prepared(_ONE_PART.values(state="sending", since=sa.bindparam("began")))
_ours = sa.exists().where(
    inbox.c.id == sa.bindparam("row"), inbox.c.fence == sa.bindparam("held"), inbox.c.state == "claimed"
)
SENT = Prepared(_ONE_PART.where(_ours).values(state="sent", message=sa.bindparam("shown"), body=""))
LEFT = Prepared(
    outbox.update()
    .where(outbox.c.inbox == sa.bindparam("row"), sa.or_(UNSENT, outbox.c.handle != ""))
    .values(state=sa.case((UNSENT, "dead"), else_=outbox.c.state), body="", handle="")
)


@lru_cache(maxsize=16)
def changing(names: tuple[str, ...]) -> Prepared:
    """An update of these columns of a claimed row; without any it only asks whether the claim is still ours."""
    ours = (inbox.c.id == sa.bindparam("row"), inbox.c.fence == sa.bindparam("held"), inbox.c.state == "claimed")
    values = {name: sa.bindparam(f"new_{name}", type_=inbox.c[name].type) for name in names}
    return Prepared(inbox.update().where(*ours).values(values or {"fence": sa.bindparam("held")}))
