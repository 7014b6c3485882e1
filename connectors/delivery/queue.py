"""The states of an event on its way to an answer, and every legal step between them. Each function is one write job.

inbox   new -> claimed -> done | dead        a claim whose lease ran out may be claimed again
outbox  ready -> sending -> sent | dead      `sending` is only needed where a repeated send would show twice
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from agent.events import Outgoing
from agent.message import Place
from connectors.connector import Received
from connectors.delivery.tables import OPEN, inbox, outbox
from connectors.delivery.wire import read_outgoing, write_outgoing
from retrieval.errors import StoreError

MESSAGE = "message:"  # begins the keys of what people write, on every platform
UNPROMPTED = "out:"  # begins the key of an event that is nobody's: a message of Atelier's own
OURS = (UNPROMPTED, "due:")  # never too much: nobody else will say it again
MOST_WAITING = 200  # open events of one conversation: more of it are excess, and others need not suffer
_ACCEPTING = 0xA7E11E14  # PostgreSQL's advisory lock, any number of our own
KEPT = 14 * 86_400  # seconds that keys of what is done are remembered: no platform repeats an event for so long


class QueueFull(StoreError):
    """Nothing more can be kept: the platform is told that the event has to come again."""


class LeaseLost(StoreError):
    """Another worker has taken this event over, so nothing more may be written for it here."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One event, ours until the lease runs out. key: what its answer's messages are marked with.

    has_more: something of its conversation waits behind it.
    """

    id: int
    fence: int
    platform: str
    tenant: str
    event_key: str
    conversation: str
    payload: str
    received: float
    is_excess: bool
    attempts: int
    handle: str
    is_stopped: bool
    has_more: bool

    @property
    def key(self) -> str:
        return _digest(self.platform, self.tenant, self.event_key)[:24]

    @property
    def is_unprompted(self) -> bool:
        return self.event_key.startswith(UNPROMPTED)


@dataclass(frozen=True, slots=True)
class Part:
    """One message on its way out. key: in the store and, where the platform can carry it, on the message."""

    key: str
    body: Outgoing
    state: str
    since: float
    handle: str


@dataclass(frozen=True, slots=True)
class Taken:
    """added: new events to be handled. refused: conversations that will be told that there is too much."""

    added: frozenset[int]
    refused: tuple[str, ...]


def accept(
    connection: Connection, platform: str, events: Sequence[Received], backlog: int, told: Collection[str] = ()
) -> Taken:
    """Take events in. Beyond `backlog` open ones they are excess: in a lane of their own, one for each conversation.

    told: conversations that have been told lately that there is too much: more of theirs is noted and needs no word.
    So the excess is bounded too: by the number of conversations, and by `backlog`. Keys are kept as digests: they name
    messages, and so people, long after both are forgotten. Raises QueueFull, with nothing taken in.
    """
    if connection.dialect.name == "postgresql":  # else a later id could be seen, and claimed, before an earlier one
        connection.execute(_IN_TURN)
    waiting, refusing = connection.execute(_COUNT_OPEN).one()
    now, added, refused = time.time(), set[int](), list[str]()
    for event in events:
        prefix = UNPROMPTED if event.key.startswith(UNPROMPTED) else ""
        key = prefix + _digest(platform, event.tenant, event.key)
        is_post = event.key.startswith(MESSAGE)
        is_excess = not event.key.startswith(OURS) and (
            waiting >= backlog or _count(connection, event.conversation) >= MOST_WAITING
        )
        lane = f"excess:{event.conversation if is_post else key}" if is_excess else event.conversation
        is_covered = is_excess and is_post and (event.conversation in told or _count(connection, lane) > 0)
        if is_excess and not is_covered and refusing >= backlog:
            raise QueueFull("More messages wait than Atelier can keep, so this one has to come again later.")
        row = {
            "platform": platform,
            "tenant": event.tenant,
            "key": key,
            "conversation": "" if is_covered else lane,
            "payload": "" if is_covered else event.payload,
            "received": now,
            "state": "done" if is_covered else "new",
            "is_excess": is_excess,
            "due": now + max(0.0, event.wait),
            "lease": 0.0,
            "fence": 0,
            "attempts": 0,
            "handle": "",
            "is_stopped": False,
            "error": "",
        }
        number = connection.execute(_INSERT[connection.dialect.name], row).scalar()
        if number is None or is_covered:
            continue
        added.add(number)
        waiting, refusing = waiting + (not is_excess), refusing + is_excess
        if is_excess and is_post:
            refused.append(event.conversation)
    return Taken(frozenset(added), tuple(refused))


def _count(connection: Connection, conversation: str) -> int:
    return int(connection.execute(_COUNT_HERE, {"here": conversation}).scalar_one())


def claim(connection: Connection, platforms: Sequence[str], lease: float, limit: int, excess: int = 0) -> list[Claim]:
    """Up to `limit` events that may be handled now: due, unclaimed, and the first open one of their conversation.

    And up to `excess` of those that are only to be refused.
    """
    now = time.time()
    given = {"now": now, "platforms": list(platforms)}
    found = [
        row
        for lane, room in ((False, limit), (True, excess))
        if room > 0
        for row in connection.execute(_READY, given | {"lane": lane, "room": room})
    ]
    if found:
        connection.execute(_TAKE, [{"row": row.id, "until": now + lease, "next": row.fence + 1} for row in found])
    return [
        Claim(
            row.id,
            row.fence + 1,
            row.platform,
            row.tenant,
            row.key,
            row.conversation,
            row.payload,
            row.received,
            row.is_excess,
            row.attempts,
            row.handle,
            row.is_stopped,
            row.has_more,
        )
        for row in found
    ]


def renew(connection: Connection, claim: Claim, lease: float) -> bool:
    """Keep it for longer; whether the person wants it stopped. Raises LeaseLost."""
    _change(connection, claim, lease=time.time() + lease)
    return bool(connection.execute(sa.select(inbox.c.is_stopped).where(inbox.c.id == claim.id)).scalar_one())


def opened(connection: Connection, claim: Claim, handle: str) -> None:
    """The answer has a message on the platform. Raises LeaseLost."""
    _change(connection, claim, handle=handle)


def parts_of(connection: Connection, claim: Claim) -> list[Part]:
    """What is still to be sent of an answer that was made before, in order; and nothing when none was made."""
    query = sa.select(outbox).where(outbox.c.inbox == claim.id, _UNSENT).order_by(outbox.c.part)
    return [
        Part(row.key, read_outgoing(row.body), row.state, row.since, row.handle) for row in connection.execute(query)
    ]


def is_made(connection: Connection, claim: Claim) -> bool:
    """Whether the answer was made, and committed, by an earlier claim."""
    return connection.execute(sa.select(outbox.c.key).where(outbox.c.inbox == claim.id).limit(1)).first() is not None


def put(connection: Connection, claim: Claim, bodies: Sequence[Outgoing], handle: str) -> list[Part]:
    """Commit the answer, its parts in order; the first goes into the opened message `handle`. Raises LeaseLost."""
    _change(connection, claim, received=time.time())  # what was made for hours is not too old to be sent
    made = [
        Part(f"{claim.key}-{number}", body, "ready", 0.0, body.renews or (handle if number == 0 else ""))
        for number, body in enumerate(bodies)
    ]
    rows = [
        {
            "key": part.key,
            "inbox": claim.id,
            "part": number,
            "body": write_outgoing(part.body),
            "state": part.state,
            "since": 0.0,
            "handle": part.handle,
            "message": "",
        }
        for number, part in enumerate(made)
    ]
    connection.execute(_PUT, rows)
    return made


def mark_sending(connection: Connection, claim: Claim, part: Part) -> None:
    """From here on nobody knows whether the part was shown, until `sent`. Raises LeaseLost."""
    _change(connection, claim)
    connection.execute(_SENDING, {"which": part.key, "began": time.time()})


def mark_ready(connection: Connection, claim: Claim, part: Part) -> None:
    """It was not shown, for certain. Raises LeaseLost."""
    _change(connection, claim)
    connection.execute(outbox.update().where(outbox.c.key == part.key).values(state="ready"))


def part_opened(connection: Connection, claim: Claim, part: Part, handle: str) -> None:
    """A further part has a message of its own to be edited into it. Raises LeaseLost."""
    _change(connection, claim)
    connection.execute(outbox.update().where(outbox.c.key == part.key).values(handle=handle))


def redirected(connection: Connection, claim: Claim, part: Part, body: Outgoing) -> None:
    """The platform will never take the part, and something else is said in its stead. Raises LeaseLost."""
    _change(connection, claim)
    values = {"state": "ready", "handle": "", "body": write_outgoing(body)}
    connection.execute(outbox.update().where(outbox.c.key == part.key).values(values))


def sent(connection: Connection, claim: Claim, part: Part, message: str) -> None:
    """Shown. Its text is not needed here any more. Raises LeaseLost."""
    _change(connection, claim)
    place = part.body.place
    shown = _digest(place.platform, place.tenant, f"{place.channel}/{message}")
    connection.execute(_SENT, {"which": part.key, "shown": shown})


def undeliverable(connection: Connection, claim: Claim, part: Part) -> None:
    """The platform will never take it. Raises LeaseLost."""
    _change(connection, claim)
    connection.execute(outbox.update().where(outbox.c.key == part.key).values(state="dead", body=""))


def finish(connection: Connection, claim: Claim, *, error: str = "") -> bool:
    """Over: answered, or with an `error` given up; whether more of the conversation waits. Raises LeaseLost."""
    state = "dead" if error else "done"
    _change(connection, claim, state=state, payload="", conversation="", handle="", error=error)
    connection.execute(_LEFT, {"row": claim.id})
    return connection.execute(_MORE, {"here": claim.conversation}).first() is not None


def take_over(connection: Connection, landed: float) -> int:
    """What other processes held is free, for none of them lives any more; how many events that are.

    landed: seconds from now after which what they sent last has arrived or never will; before, an answer that was
    opened may still be written to.
    """
    held, until = inbox.c.state == "claimed", time.time() + landed
    seen = inbox.update().where(held, inbox.c.handle != "", inbox.c.lease > until)
    unseen = inbox.update().where(held, inbox.c.handle == "")
    changed = [connection.execute(each).rowcount for each in (seen.values(lease=until), unseen.values(lease=0.0))]
    return sum(changed)


def put_back(connection: Connection, claim: Claim, seconds: float, error: str, *, failed: bool) -> None:
    """Try again after `seconds`; `failed` counts towards giving up. Raises LeaseLost."""
    values = {"state": "new", "lease": 0.0, "due": time.time() + seconds, "error": error}
    _change(connection, claim, **values, attempts=claim.attempts + failed)


def stop(connection: Connection, event: int) -> bool:
    """Somebody wants no more of an answer; whether it was still being made."""
    running = inbox.update().where(inbox.c.id == event, OPEN)
    return bool(connection.execute(running.values(is_stopped=True)).rowcount)


def running(connection: Connection, prefix: str) -> list[int]:
    """Events being answered in conversations whose key begins with `prefix`."""
    here = sa.func.substr(inbox.c.conversation, 1, len(prefix)) == prefix
    return list(connection.execute(sa.select(inbox.c.id).where(inbox.c.state == "claimed", here)).scalars())


def event_of(connection: Connection, place: Place, message: str) -> str | None:
    """The key of the event that the platform's message `message` in the channel of `place` answers."""
    shown = _digest(place.platform, place.tenant, f"{place.channel}/{message}")
    joined = sa.select(inbox.c.key).join(outbox, outbox.c.inbox == inbox.c.id)
    return connection.execute(joined.where(outbox.c.message == shown).limit(1)).scalar()


def prune(connection: Connection) -> int:
    """Forget the keys of what was done long ago; how many."""
    old = inbox.delete().where(inbox.c.state.in_(("done", "dead")), inbox.c.received < time.time() - KEPT)
    return connection.execute(old).rowcount


def counts(connection: Connection) -> dict[str, int]:
    """How many events are in each state, for the health page: `new`, `claimed`, `done`, `dead`; `later`: timers."""
    return {row.held: row.events for row in connection.execute(_COUNTS, {"now": time.time()})}


def name_of(place: Place, message: str) -> str:
    """How `Stage.message` names the event in which somebody wrote `message`, the platform's id in that channel."""
    key = _digest(place.platform, place.tenant, f"message:{place.channel}:{message}")
    return f"{place.platform}/{place.tenant}/{key}"


def _change(connection: Connection, claim: Claim, **values: object) -> None:
    """Write to the claimed row, or fail when the claim is not ours any more."""
    given = {"row": claim.id, "held": claim.fence} | {f"new_{name}": value for name, value in values.items()}
    if not connection.execute(_changing(tuple(values)), given).rowcount:
        raise LeaseLost("Another worker goes on with this event.")


@lru_cache(maxsize=16)  # to build a statement takes longer than SQLite takes to run it
def _changing(names: tuple[str, ...]) -> sa.Update:
    """An update of these columns of a claimed row; without any it only asks whether the claim is still ours."""
    ours = (inbox.c.id == sa.bindparam("row"), inbox.c.fence == sa.bindparam("held"), inbox.c.state == "claimed")
    values = {name: sa.bindparam(f"new_{name}", type_=inbox.c[name].type) for name in names}
    return inbox.update().where(*ours).values(values or {"fence": sa.bindparam("held")})


def _digest(platform: str, tenant: str, key: str) -> str:
    return sha256(f"{platform}/{tenant}/{key}".encode()).hexdigest()[:40]


# Built once, for the same reason.
_IN_TURN = sa.select(sa.func.pg_advisory_xact_lock(_ACCEPTING))
_COUNT_OPEN = sa.select(sa.func.count().filter(~inbox.c.is_excess), sa.func.count().filter(inbox.c.is_excess)).where(
    OPEN,
    ~inbox.c.conversation.startswith("due/"),  # nobody waits for a timer
)
_COUNT_HERE = sa.select(sa.func.count()).where(OPEN, inbox.c.conversation == sa.bindparam("here"))
_INSERT = {
    name: insert(inbox).on_conflict_do_nothing().returning(inbox.c.id)
    for name, insert in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}
_earlier = inbox.alias()
_FIRST = ~sa.exists().where(
    _earlier.c.conversation == inbox.c.conversation,
    _earlier.c.id < inbox.c.id,
    _earlier.c.state.in_(("new", "claimed")),
)
_later = inbox.alias()
_HAS_MORE = sa.exists().where(
    _later.c.conversation == inbox.c.conversation,
    _later.c.id > inbox.c.id,
    _later.c.state.in_(("new", "claimed")),
)
_FREE = sa.or_(inbox.c.state == "new", inbox.c.lease < sa.bindparam("now"))
_READY = (
    sa.select(inbox, _HAS_MORE.label("has_more"))
    .where(OPEN, _FREE, inbox.c.due <= sa.bindparam("now"), _FIRST)
    .where(inbox.c.platform.in_(sa.bindparam("platforms", expanding=True)), inbox.c.is_excess == sa.bindparam("lane"))
    .order_by(inbox.c.id)
    .limit(sa.bindparam("room"))
    .with_for_update(skip_locked=True, of=inbox)  # in SQLite a writer is alone anyway
)
_TAKE = (
    inbox.update()
    .where(inbox.c.id == sa.bindparam("row"))
    .values(state="claimed", lease=sa.bindparam("until"), fence=sa.bindparam("next"))
)
_MORE = sa.select(inbox.c.id).where(OPEN, inbox.c.conversation == sa.bindparam("here")).limit(1)
_IS_TIMER = (inbox.c.state == "new") & inbox.c.conversation.startswith("due/") & (inbox.c.due > sa.bindparam("now"))
_HELD = sa.case((_IS_TIMER, "later"), else_=inbox.c.state).label("held")
_COUNTS = sa.select(_HELD, sa.func.count().label("events")).group_by("held")
_PUT = outbox.insert()
_UNSENT = outbox.c.state.in_(("ready", "sending"))
_ONE_PART = outbox.update().where(outbox.c.key == sa.bindparam("which"))
_SENDING = _ONE_PART.values(state="sending", since=sa.bindparam("began"))
_SENT = _ONE_PART.values(state="sent", message=sa.bindparam("shown"), body="")
_LEFT = (
    outbox.update()
    .where(outbox.c.inbox == sa.bindparam("row"), sa.or_(_UNSENT, outbox.c.handle != ""))
    .values(state=sa.case((_UNSENT, "dead"), else_=outbox.c.state), body="", handle="")
)
