"""Where one answer is made, and how much is made at once."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from agent.events import Button, Event
from agent.message import Place
from connectors.connector import Connector
from connectors.delivery import queue, waiting
from connectors.delivery.queue import Claim
from connectors.delivery.wire import DUE, read_due
from connectors.delivery.writer import Step, Writer

if TYPE_CHECKING:
    from connectors.delivery.worker import Delivery


@dataclass(frozen=True, slots=True)
class Pace:
    """How much at once and for how long.

    slots: answers made side by side. backlog: open events from which more are refused. flood: messages of one person in
    a minute from which more are refused at the door. lease: seconds a claim lasts unless renewed. attempts: failures of
    ours after which an event is given up. poll: seconds between looks for work that nobody here announced. drain:
    seconds that answers may take to end when the process is asked to.
    """

    slots: int = 32
    backlog: int = 1000
    flood: int = 1000
    lease: float = 30.0
    attempts: int = 3
    poll: float = 0.5
    drain: float = 10.0


USUAL = Pace()
YIELDING = 4  # while refusals are made, new answers take so small a part of the slots
REFUSING = 32  # refusals written side by side: they hardly compute, and wait for the disk together
LONG = 4_000  # characters of an answer that is cut beside all else: 32,000 brackets take a second
WAITING = 8  # for each slot, answers on their way at once: most wait for the platform's pace


class Poison(ValueError):
    """An event that cannot be read: trying again will not help."""


class Stage:
    """Where one answer is made: what its maker may show before it is final."""

    def __init__(self, claim: Claim, connector: Connector, write: Writer, delivery: "Delivery") -> None:
        self.event = claim.id
        self.delivery = delivery
        self.key = claim.key
        self.platform = claim.platform
        self.message = f"{claim.platform}/{claim.tenant}/{claim.event_key}"  # unique over all platforms
        self.is_excess = claim.is_excess
        self.is_first = claim.fence == 1  # nobody began to answer it before
        self.has_more = claim.has_more  # waited behind it in its conversation when it was claimed
        self.is_making = not claim.is_excess  # holds a slot
        self.is_made = False  # it is on its way to the platform
        self.is_waiting = False  # for something outside this process: a process that ends does not wait for it
        self.since = claim.received
        self.stopped = asyncio.Event()
        self.handle = claim.handle
        self.along: list[Step] = []  # what is committed together with the answer, or not at all
        self.is_ours = True  # until the lease is lost, or may be
        self._claim = claim
        self._connector = connector
        self._write = write

    async def open(self, event: Event, stop: Button | None = None, *, along: Sequence[Step] = ()) -> None:
        """Show that an answer is on its way. Once an event, also after a crash. Raises as Connector.open.

        along: what is committed together with that.
        """
        if self.handle:
            return
        handle = await self._connector.open(event.place, getattr(event, "account", ""), self.key, stop)
        self.handle = handle

        def opened(connection: Connection) -> None:
            queue.opened(connection, self._claim, handle)
            for step in along:
                step(connection)

        await self._write(opened)

    async def has_come(self, place: Place, message: str) -> bool:
        """Whether the platform's message of this id was taken in before this event."""
        return await self._write(partial(waiting.has_come, place=place, message=message, before=self.event))

    async def supersede(self, place: Place, message: str) -> None:
        """A message that was deleted is not answered, even where the platform brings it only after that."""
        await self._write(partial(waiting.supersede, place=place, message=message))

    async def show(self, event: Event, text: str, button: Button | None = None) -> None:
        """Preview the answer so far. Not once another worker may have put its final text there.

        button: the one it was opened with, where that may have been long ago and in another process.
        """
        if self.handle and self.is_ours:
            await self._connector.show(event.place, self.handle, text, button)

    def wait(self, *, waiting: bool = True) -> None:
        """What comes now takes hours and is done elsewhere: it holds no slot, and another process may go on with it."""
        self.is_making, self.is_waiting = False, waiting


def room(stages: Collection[Stage], slots: int) -> int:
    """How many more answers may be made at once beside what is under way in `stages`.

    Who cannot be answered is told so before many more answers are begun: that takes a moment, and ends, as each
    conversation is told once.
    """
    waiting = WAITING * slots - sum(not stage.is_excess for stage in stages)
    if any(stage.is_excess and not stage.is_made for stage in stages):
        slots = max(1, slots // YIELDING)
    return min(slots - sum(stage.is_making for stage in stages), waiting)


def room_to_refuse(stages: Collection[Stage]) -> int:
    """How many more may be refused at once: while some wait for one platform's pace, the other's are told."""
    refused = [stage for stage in stages if stage.is_excess]
    making = sum(not stage.is_made for stage in refused)
    return min(REFUSING - making, WAITING * REFUSING - len(refused))


def read(connector: Connector, payload: str) -> Event | None:
    """What a stored payload says, of a platform's or of our own; None where it says nothing. Raises Poison."""
    try:
        if payload.startswith(DUE):
            return read_due(payload)
        return connector.read(payload)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise Poison("The payload is broken.") from error
