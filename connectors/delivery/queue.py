"""The states of an event on its way to an answer, and every legal step between them. Each function is one write job.

inbox   new -> claimed -> done | dead        a claim whose lease ran out may be claimed again
outbox  ready -> sending -> sent | dead      `sending` is only needed where a repeated send would show twice
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy import Connection

from agent.events import Outgoing
from agent.message import Place
from connectors.connector import Received
from connectors.delivery import statements
from connectors.delivery.tables import OPEN, inbox, outbox
from connectors.delivery.wire import read_outgoing, write_outgoing
from retrieval.errors import StoreError

MESSAGE = "message:"  # begins the keys of what people write, on every platform
UNPROMPTED = "out:"  # begins the key of an event that is nobody's: a message of Atelier's own
OURS = (UNPROMPTED, "due:")  # never too much: nobody else will say it again
MOST_WAITING = 200  # open events of one conversation: more of it are excess, and others need not suffer
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
    """added: new events to be handled. refused: conversations that will be told that there is too much.

    is_full: whatever comes now is excess.
    """

    added: frozenset[int]
    refused: tuple[str, ...]
    is_full: bool


def accept(
    connection: Connection,
    platform: str,
    events: Sequence[Received],
    backlog: int,
    told: Collection[str] = (),
    flooded: Collection[str] = (),
) -> Taken:
    """Take events in. Beyond `backlog` open ones they are excess: in a lane of their own, one for each conversation.

    told: conversations that have been told lately that there is too much: more of theirs is noted and needs no word.
    flooded: conversations in which somebody sends so much now that it is excess, however little waits.
    So the excess is bounded too: by the number of conversations, and by `backlog`. Keys are kept as digests: they name
    messages, and so people, long after both are forgotten. Raises QueueFull, with nothing taken in.
    """
    if connection.dialect.name == "postgresql":  # else a later id could be seen, and claimed, before an earlier one
        connection.execute(statements.IN_TURN)
    first = events[0].conversation if events else ""
    ((waiting, refusing, here),) = statements.COUNT_OPEN.run(connection, {"here": first})
    now, added, refused = time.time(), set[int](), list[str]()
    for number, event in enumerate(events):
        prefix = UNPROMPTED if event.key.startswith(UNPROMPTED) else ""
        key = prefix + _digest(platform, event.tenant, event.key)
        is_post = event.key.startswith(MESSAGE)
        is_excess = not event.key.startswith(OURS) and (
            waiting >= backlog
            or event.conversation in flooded
            or (_count(connection, event.conversation) if number else here) >= MOST_WAITING
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
        made = statements.INSERT[connection.dialect.name].run(connection, row)
        if not made or is_covered:
            continue
        added.add(made[0][0])
        waiting, refusing = waiting + (not is_excess), refusing + is_excess
        if is_excess and is_post:
            refused.append(event.conversation)
    return Taken(frozenset(added), tuple(refused), waiting >= backlog)


def _count(connection: Connection, conversation: str) -> int:
    ((count,),) = statements.COUNT_HERE.run(connection, {"here": conversation})
    return int(count)


def claim(connection: Connection, platforms: Sequence[str], lease: float, limit: int, excess: int = 0) -> list[Claim]:
    """Up to `limit` events that may be handled now: due, unclaimed, and the first open one of their conversation.

    And up to `excess` of those that are only to be refused.
    """
    now = time.time()
    given: dict[str, object] = {"now": now} | {f"p{number}": name for number, name in enumerate(platforms)}
    claims: list[Claim] = []
    for lane, room in ((False, limit), (True, excess)):
        rows = (
            statements.ready(len(platforms)).run(connection, given | {"lane": lane, "room": room}) if room > 0 else ()
        )
        for number, fence, platform, tenant, key, place, payload, received, *flags in rows:
            statements.TAKE.change(connection, {"row": number, "until": now + lease, "next": fence + 1})
            is_excess, attempts, handle, is_stopped, has_more = flags
            state = (bool(is_excess), int(attempts), str(handle), bool(is_stopped), bool(has_more))
            claims.append(Claim(number, fence + 1, platform, tenant, key, place, payload, received, *state))
    return claims


def renew(connection: Connection, claim: Claim, lease: float) -> bool:
    """Keep it for longer; whether the person wants it stopped. Raises LeaseLost."""
    _change(connection, claim, lease=time.time() + lease)
    return bool(connection.execute(sa.select(inbox.c.is_stopped).where(inbox.c.id == claim.id)).scalar_one())


def opened(connection: Connection, claim: Claim, handle: str) -> None:
    """The answer has a message on the platform. Raises LeaseLost."""
    _change(connection, claim, handle=handle)


def parts_of(connection: Connection, claim: Claim) -> list[Part]:
    """What is still to be sent of an answer that was made before, in order; and nothing when none was made."""
    query = sa.select(outbox).where(outbox.c.inbox == claim.id, statements.UNSENT).order_by(outbox.c.part)
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
    for row in rows:
        statements.PUT.change(connection, row)
    return made


def mark_sending(connection: Connection, claim: Claim, part: Part) -> None:
    """From here on nobody knows whether the part was shown, until `sent`. Raises LeaseLost."""
    _change(connection, claim)
    statements.SENDING.change(connection, {"which": part.key, "began": time.time()})


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
    place = part.body.place
    shown = _digest(place.platform, place.tenant, f"{place.channel}/{message}")
    given = {"which": part.key, "shown": shown, "row": claim.id, "held": claim.fence}
    if not statements.SENT.change(connection, given):
        raise LeaseLost("Another worker goes on with this event.")


def undeliverable(connection: Connection, claim: Claim, part: Part) -> None:
    """The platform will never take it. Raises LeaseLost."""
    _change(connection, claim)
    connection.execute(outbox.update().where(outbox.c.key == part.key).values(state="dead", body=""))


def finish(connection: Connection, claim: Claim, *, error: str = "") -> bool:
    """Over: answered, or with an `error` given up; whether more of the conversation waits. Raises LeaseLost."""
    state = "dead" if error else "done"
    _change(connection, claim, state=state, payload="", conversation="", handle="", error=error)
    statements.LEFT.change(connection, {"row": claim.id})
    return bool(statements.MORE.run(connection, {"here": claim.conversation}))


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
    return {row.held: row.events for row in connection.execute(statements.COUNTS, {"now": time.time()})}


def name_of(place: Place, message: str) -> str:
    """How `Stage.message` names the event in which somebody wrote `message`, the platform's id in that channel."""
    key = _digest(place.platform, place.tenant, f"message:{place.channel}:{message}")
    return f"{place.platform}/{place.tenant}/{key}"


def _change(connection: Connection, claim: Claim, **values: object) -> None:
    """Write to the claimed row, or fail when the claim is not ours any more."""
    given = {"row": claim.id, "held": claim.fence} | {f"new_{name}": value for name, value in values.items()}
    if not statements.changing(tuple(values)).change(connection, given):
        raise LeaseLost("Another worker goes on with this event.")


def _digest(platform: str, tenant: str, key: str) -> str:
    return sha256(f"{platform}/{tenant}/{key}".encode()).hexdigest()[:40]
