"""Drives events through the queue: in order inside a conversation, parallel across, and to the end whatever fails."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection, Engine

from agent.erasure import lock_memory
from agent.events import Due, Event, Outgoing
from agent.message import Place
from connectors.connector import Accept, Connector, Received, Refused, Unsure
from connectors.delivery import failing, queue, waiting
from connectors.delivery.flood import Flood
from connectors.delivery.meter import Meter
from connectors.delivery.queue import Claim, LeaseLost, Part
from connectors.delivery.sending import send
from connectors.delivery.serving import Serving
from connectors.delivery.stage import LONG, USUAL, Pace, Poison, Stage, read, room, room_to_refuse
from connectors.delivery.wire import read_outgoing, write_due, write_outgoing
from connectors.delivery.writer import Step, Writer
from retrieval.database import reading
from retrieval.errors import AtelierError

log = logging.getLogger(__name__)

LANDED = 10.0  # seconds after which what a killed process sent last has arrived or never will

Handler = Callable[[Event, Stage], Awaitable[Sequence[Outgoing]]]
Apology = Callable[[Event], Outgoing]


class Delivery:
    """The queue of one process over the shared store. Several processes may run one each over the same PostgreSQL."""

    def __init__(
        self,
        engine: Engine,
        connectors: Mapping[str, Connector],
        handler: Handler,
        apology: Apology,
        pace: Pace = USUAL,
    ) -> None:
        """handler: makes the answer to an event, in Outgoings; an event may be handed to it again after a crash.

        apology: what is said where it failed for good.
        """
        self._connectors = dict(connectors)
        self._handler = handler
        self._apology = apology
        self._pace = pace
        self._engine = engine
        self._write = Writer(engine)
        # What is kept in memory waits while somebody is forgotten; acks do not. SQLite has one writer anyway.
        self._keep = Writer(engine, lock_memory) if engine.dialect.name == "postgresql" else self._write
        self._work = asyncio.Event()
        self._running: dict[int, tuple[asyncio.Task[None], Stage]] = {}
        self._is_working = False  # between the beginning of `run` and its end
        self._taking: set[asyncio.Task[None]] = set()
        self._promised = 0  # slots that are kept for claims on their way
        self._has_excess = True  # perhaps: refusals wait
        self._is_crowded = False  # the last look found no less than there was room for: there may be more
        self._flood = Flood(pace.flood)
        self.meter = Meter()
        self.last_look = time.monotonic()

    def acceptor(self, platform: str) -> Accept:
        """What a connector's `run` calls with what it receives: returns when that is safe in the store."""
        return partial(self._accept, platform)

    async def _accept(self, platform: str, events: Sequence[Received], along: Sequence[Step] = ()) -> None:
        """Whoever waits for it may be cancelled: what it has claimed is begun all the same."""
        kept, flooding = self._flood.kept(events)
        self.meter.copies.labels(platform).inc(len(events) - len(kept))
        if events and not kept:
            return
        taking = asyncio.create_task(self._take_in(platform, kept, along, flooding))
        self._taking.add(taking)
        taking.add_done_callback(self._taking.discard)
        await asyncio.shield(taking)

    async def _take_in(
        self, platform: str, events: Sequence[Received], along: Sequence[Step], flooding: Mapping[str, str]
    ) -> None:
        """Events are taken in and, where there is room, claimed by one commit: each costs a wait for the disk."""
        told, backlog, platforms = self._flood.told(), self._pace.backlog, tuple(self._connectors)
        room = max(0, min(len(events), self._room())) if self._is_working else 0

        def taking(connection: Connection) -> tuple[queue.Taken, list[Claim]]:
            taken = queue.accept(connection, platform, events, backlog, told, flooding)
            for step in along:
                step(connection)
            is_idle = not (taken.added and room)
            return taken, [] if is_idle else queue.claim(connection, platforms, self._pace.lease, room)

        with self._promising(room):
            taken, claims = await self._write(taking)
            for claim in claims:
                self._start(claim)
        self.meter.taken.labels(platform).inc(len(taken.added))
        self.meter.copies.labels(platform).inc(len(events) - len(taken.added))
        self.meter.excess.labels(platform).inc(len(taken.refused))
        self._flood.tell([*taken.refused, *flooding.values()], is_full=taken.is_full)
        self._has_excess |= bool(taken.refused)
        if taken.added - {claim.id for claim in claims}:
            self._work.set()

    @contextmanager
    def _promising(self, slots: int) -> Iterator[None]:
        """Nobody else claims for these slots meanwhile."""
        self._promised += slots
        try:
            yield
        finally:
            self._promised -= slots

    async def post(self, key: str, outgoing: Outgoing, along: Sequence[Step] = ()) -> None:
        """Say something unprompted, once for each `key`, after what is already under way in its place.

        along: what is committed together with that, each time.
        """
        place = outgoing.place
        event = Received(place.tenant, queue.UNPROMPTED + key, place.key, write_outgoing(outgoing))
        await self._accept(place.platform, [event], along)

    async def follow(self, due: Due, *, wait: float = 0.0, lane: str = "") -> None:
        """Hand an event of our own to the handler, once for each id, beside all conversations.

        wait: seconds until then, also over a restart. lane: those of one lane come one after the other.
        """
        key = f"due:{due.id}"
        event = Received(due.place.tenant, key, f"due/{due.place.tenant}/{lane or due.id}", write_due(due), wait)
        await self.acceptor(due.place.platform)([event])

    async def stop(self, event: int) -> bool:
        """End the answer to an event early, in whichever process it is made; whether it was still being made."""
        if event in self._running:
            self._running[event][1].stopped.set()
        return await self._write(partial(queue.stop, event=event))

    async def stop_all(self, platform: str, tenant: str, channel: str) -> int:
        """End every answer under way in a channel; how many."""
        events = await self._write(partial(queue.running, prefix=f"{platform}/{tenant}/{channel}/"))
        return sum([await self.stop(event) for event in events])

    def answered(self, place: Place, message: str) -> str | None:
        """The message (as `Stage.message` names it) whose answer the platform shows as `message`. Raises StoreError."""
        with reading(self._engine) as connection:
            key = queue.event_of(connection, place, message)
        return key and f"{place.platform}/{place.tenant}/{key}"

    async def behind(self, stage: Stage, message: str) -> list[Event]:
        """What waits behind an event and names a message: it may have been changed or taken back meanwhile."""
        return await asyncio.to_thread(self._behind, stage, message)

    def _behind(self, stage: Stage, message: str) -> list[Event]:
        with reading(self._engine) as connection:
            payloads = waiting.after(connection, stage.event, message)
        return [event for each in payloads if (event := self._readable(stage.platform, each)) is not None]

    async def drop(self, place: Place, before: int) -> int:
        """Let go of all that waits for the channel of `place`, or its whole tenant, from before the event `before`."""
        return await self._write(partial(waiting.drop, place=place, before=before))

    async def forget(self, accounts: Sequence[str], but: int) -> int:
        """Let go of a person's messages and of answers to them; how many. but: the event that asks for it."""
        theirs = frozenset(accounts)

        def is_theirs(platform: str, payload: str) -> bool:
            event = self._readable(platform, payload) if platform in self._connectors else None
            return getattr(event, "account", None) in theirs

        return await self._write(partial(waiting.forget, is_theirs=is_theirs, accounts=theirs, but=but))

    def _readable(self, platform: str, payload: str) -> Event | None:
        try:
            return read(self._connectors[platform], payload)
        except Poison:
            return None

    async def counts(self) -> dict[str, int]:
        return await asyncio.to_thread(self._count)

    def _count(self) -> dict[str, int]:
        with reading(self._engine) as connection:
            return queue.counts(connection)

    async def run(self) -> None:
        """Work until cancelled; then let what is being answered end, or hand it to others."""
        with Serving(self._engine) as here:
            try:
                if here.is_alone:
                    await self._write(partial(queue.take_over, landed=LANDED))
            except AtelierError as error:
                log.warning("What a dead process held has to wait for its lease: %s", error)
            await asyncio.to_thread(here.share)
            await self._work_on()

    async def _work_on(self) -> None:
        pruned = looked = 0.0
        self._is_working = True
        try:
            while True:
                self._work.clear()
                try:
                    if time.monotonic() > looked + self._pace.poll:  # other processes take excess in too
                        self._has_excess, looked = True, time.monotonic()
                    await self._claim()
                    self.last_look = time.monotonic()
                    if time.monotonic() > pruned + 3600:
                        await self._write(queue.prune)
                        pruned = time.monotonic()
                except AtelierError as error:  # the store is busy or away: events wait in it or with the platform
                    log.warning("The queue waits for the store: %s", error)
                    await asyncio.sleep(1)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pace.poll):  # Python 3.11's wait_for can swallow a cancellation
                        await self._work.wait()
        finally:
            self._is_working = False
            await self._drain()

    async def _drain(self) -> None:
        await asyncio.gather(*self._taking, return_exceptions=True)
        tasks = [task for task, _ in self._running.values()]
        for task, stage in self._running.values():
            if stage.is_waiting:
                task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._pace.drain)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await asyncio.gather(*(asyncio.to_thread(each.close) for each in (self._write, self._keep)))

    def _room(self) -> int:
        """How many more answers may be made at once."""
        return room([stage for _, stage in self._running.values()], self._pace.slots) - self._promised

    @property
    def is_behind(self) -> bool:
        """No slot is free: what only shows that an answer is made has to be rarer, so that more are made."""
        return self._room() <= 0

    async def _claim(self) -> None:
        free = self._room()
        excess = room_to_refuse([stage for _, stage in self._running.values()]) if self._has_excess else 0
        self._is_crowded = True
        if free > 0 or excess > 0:
            job = partial(queue.claim, platforms=tuple(self._connectors), lease=self._pace.lease)
            with self._promising(max(0, free)):
                claims = await self._write(partial(job, limit=free, excess=excess))
                for claim in claims:
                    self._start(claim)
            refused = sum(claim.is_excess for claim in claims)
            self._has_excess = self._has_excess and refused >= excess
            self._is_crowded = len(claims) - refused >= free or self._has_excess

    def _start(self, claim: Claim) -> None:
        if claim.id in self._running:  # our own claim ran out (the machine slept): what it does is void
            older, before = self._running[claim.id]
            before.is_ours = False
            older.cancel()
        stage = Stage(claim, self._connectors[claim.platform], self._write, self)
        task = asyncio.create_task(self._serve(claim, stage))
        self._running[claim.id] = task, stage

        def ended(task: "asyncio.Task[None]") -> None:
            if self._running.get(claim.id, (None,))[0] is task:
                del self._running[claim.id]
            if self._is_crowded:
                self._work.set()  # a slot is free

        task.add_done_callback(ended)

    async def _serve(self, claim: Claim, stage: Stage) -> None:
        this = asyncio.current_task()
        assert this is not None
        renewing = asyncio.create_task(self._renew(claim, stage, this))
        try:
            await self._deliver(claim, stage)
        except LeaseLost:
            log.info("Event %d is another worker's now.", claim.id)
        except asyncio.CancelledError:
            with suppress(AtelierError):
                await self._write(partial(queue.put_back, claim=claim, seconds=0.0, error="", failed=False))
            raise
        except Exception as error:  # noqa: BLE001 - the last door: an event's failure stays its own
            await self._failed(claim, stage, error)
        finally:
            renewing.cancel()

    async def _renew(self, claim: Claim, stage: Stage, serving: "asyncio.Task[None]") -> None:
        """Keeps the lease while the answer is made, and learns of a wish to stop from other processes."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(self._pace.lease / 6)
            stage.is_ours = time.monotonic() < renewed + self._pace.lease
            try:
                asked = time.monotonic()
                if await self._write(partial(queue.renew, claim=claim, lease=self._pace.lease)):
                    stage.stopped.set()
                renewed, stage.is_ours = asked, True
            except LeaseLost:
                stage.is_ours = False
                serving.cancel()
                return
            except AtelierError as error:
                log.warning("A lease could not be renewed: %s", error)

    async def _deliver(self, claim: Claim, stage: Stage) -> None:
        parts, is_made = list[Part](), False
        if claim.fence > 1:  # an earlier claim may have come so far
            parts = await self._write(partial(queue.parts_of, claim=claim))
            is_made = not parts and await self._write(partial(queue.is_made, claim=claim))
        if not parts and not is_made:
            parts = await self._make(claim, stage)
        stage.is_making, stage.is_made = False, True  # sending waits for the platform, and the next answer need not
        if self._is_crowded:
            self._work.set()
        steps: list[Step] = []
        for part in parts:
            for step in steps:
                await self._write(step)
            steps = [await send(self._connectors[claim.platform], self._write, claim, part)]
        await self._end(claim, *steps)

    async def _end(self, claim: Claim, *steps: Step, error: str = "") -> None:
        """Commit the last part's outcome together with the end of the event."""

        def ending(connection: Connection) -> bool:
            for step in steps:
                step(connection)
            return queue.finish(connection, claim, error=error)

        if await self._write(ending):
            self._work.set()
        self.meter.ended.labels(claim.platform, "given up" if error else "done").inc()
        if steps:
            self.meter.seconds.labels(claim.platform).observe(max(0.0, time.time() - claim.received))

    async def _make(self, claim: Claim, stage: Stage) -> list[Part]:
        if claim.is_stopped:
            stage.stopped.set()
        if claim.is_unprompted:
            return await self._put(claim, stage, [read_outgoing(claim.payload)])
        event = read(self._connectors[claim.platform], claim.payload)
        return await self._put(claim, stage, await self._handler(event, stage)) if event is not None else []

    async def _put(self, claim: Claim, stage: Stage, answer: Sequence[Outgoing]) -> list[Part]:
        cut = partial(self._parts, claim.platform, answer)
        bodies = await asyncio.to_thread(cut) if sum(len(each.text) for each in answer) > LONG else cut()
        if not bodies:
            return []
        stage.since = time.time()

        def putting(connection: Connection) -> list[Part]:
            for step in stage.along:
                step(connection)
            return queue.put(connection, claim, bodies, stage.handle)

        return await (self._keep if stage.along else self._write)(putting)

    def _parts(self, platform: str, answer: Sequence[Outgoing]) -> list[Outgoing]:
        cut = [self._connectors[platform].parts(outgoing) for outgoing in answer]
        return [part for first, *more in cut for part in (first, *(replace(each, renews="") for each in more))]

    async def _failed(self, claim: Claim, stage: Stage, error: Exception) -> None:
        """Try again later, or give up and say so."""
        kind = type(error).__name__
        self.meter.again.labels(claim.platform, kind).inc()
        try:
            if (again := failing.again(claim, stage, error, self._pace.attempts)) is not None:
                await self._write(again)
            elif isinstance(error, Refused | Unsure):
                log.warning("An event on %s could not be answered: %s", claim.platform, error)
                await self._end(claim, error=kind)
            else:
                await self._give_up(claim, stage, error)
        except LeaseLost:
            log.info("Event %d is another worker's now.", claim.id)
        except AtelierError as fault:  # the claim's lease runs out, and somebody takes it up again
            log.warning("The queue waits for the store: %s", fault)

    async def _give_up(self, claim: Claim, stage: Stage, error: Exception) -> None:
        kind, place = type(error).__name__, failing.place_of(error)
        log.error("Event %d on %s is given up: %s at %s.", claim.id, claim.platform, kind, place)
        try:
            event = read(self._connectors[claim.platform], claim.payload)
            stage.along.clear()  # that was for the answer
            if event is not None and stage.handle and not await self._write(partial(queue.is_made, claim=claim)):
                for part in await self._put(claim, stage, [self._apology(event)]):  # a person sees "…"
                    await self._write(await send(self._connectors[claim.platform], self._write, claim, part))
        except (Poison, AtelierError) as fault:
            log.warning("Nobody could be told: %s.", type(fault).__name__)
        await self._end(claim, error=kind)
