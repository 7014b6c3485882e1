"""Where one answer is made, and how much is made at once."""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from agent.events import Button, Event
from connectors.connector import Connector
from connectors.delivery import queue
from connectors.delivery.queue import Claim
from connectors.delivery.writer import Writer

if TYPE_CHECKING:
    from connectors.delivery.worker import Delivery


@dataclass(frozen=True, slots=True)
class Pace:
    """How much at once and for how long.

    slots: answers made side by side. backlog: open events from which more are refused. lease: seconds a claim lasts
    unless renewed. attempts: failures of ours after which an event is given up. poll: seconds between looks for work
    that no accept of this process announced. drain: seconds that answers may take to end when the process is asked to.
    """

    slots: int = 32
    backlog: int = 1000
    lease: float = 30.0
    attempts: int = 3
    poll: float = 0.5
    drain: float = 10.0


USUAL = Pace()


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
        self.is_making = not claim.is_excess  # holds a slot
        self.is_waiting = False  # for something outside this process: a process that ends does not wait for it
        self.since = claim.received
        self.stopped = asyncio.Event()
        self.handle = claim.handle
        self.is_ours = True  # until the lease is lost, or may be
        self._claim = claim
        self._connector = connector
        self._write = write

    async def open(self, event: Event, stop: Button | None = None) -> None:
        """Show that an answer is on its way. Once an event, also after a crash. Raises as Connector.open."""
        if not self.handle:
            account = getattr(event, "account", "")
            self.handle = await self._connector.open(event.place, account, self.key, stop)
            await self._write(partial(queue.opened, claim=self._claim, handle=self.handle))

    async def show(self, event: Event, text: str, button: Button | None = None) -> None:
        """Preview the answer so far. Not once another worker may have put its final text there.

        button: the one it was opened with, where that may have been long ago and in another process.
        """
        if self.handle and self.is_ours:
            await self._connector.show(event.place, self.handle, text, button)

    def wait(self, *, waiting: bool = True) -> None:
        """What comes now takes hours and is done elsewhere: it holds no slot, and another process may go on with it."""
        self.is_making, self.is_waiting = False, waiting
