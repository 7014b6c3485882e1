"""Drives events through the queue: in order inside a conversation, parallel across, and to the end whatever fails."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection, Engine

from agent.events import Due, Event, Outgoing
from agent.message import Place
from connectors.connector import Accept, Connector, Gone, Received, Refused, Throttled, Unsure
from connectors.delivery import queue, waiting
from connectors.delivery.meter import Meter
from connectors.delivery.queue import Claim, LeaseLost, Part
from connectors.delivery.serving import Serving
from connectors.delivery.stage import USUAL, Pace, Poison, Stage
from connectors.delivery.writer import Writer
from retrieval.database import reading
from retrieval.errors import AtelierError

log = logging.getLogger(__name__)

OLDEST = 3600.0  # seconds after which an event is given up that the platform will not let us answer
WORST_PAUSE = 60.0  # seconds between tries while a platform is down
TOLD = 60.0  # seconds that a conversation's refusal is good for, while there is too much
LANDED = 10.0  # seconds after which what a killed process sent last has arrived or never will
EXCESS_SLOTS = 8  # refusals written side by side
WAITING = 8  # for each slot, answers on their way at once: most wait for the platform's pace


Step = Callable[[Connection], object]
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
        self._work = asyncio.Event()
        self._running: dict[int, tuple[asyncio.Task[None], Stage]] = {}
        self._is_crowded = False  # the last look found no less than there was room for: there may be more
        self._told: dict[str, float] = {}
        self.meter = Meter()
        self.last_look = time.monotonic()

    def acceptor(self, platform: str) -> Accept:
        """What a connector's `run` calls with what it receives: returns when that is safe in the store."""
        backlog = self._pace.backlog

        async def accept(events: Sequence[Received]) -> None:
            told = self._told_lately()
            job = partial(queue.accept, platform=platform, events=events, backlog=backlog, told=told)
            taken = await self._write(job)
            self.meter.taken.labels(platform).inc(taken.added)
            self.meter.copies.labels(platform).inc(len(events) - taken.added)
            self.meter.excess.labels(platform).inc(len(taken.refused))
            self._told |= dict.fromkeys(taken.refused, time.monotonic())
            if taken.added:
                self._work.set()

        return accept

    def _told_lately(self) -> Collection[str]:
        """Conversations that were told in this minute that there is too much. In memory: a restart forgives."""
        if self._told:
            since = time.monotonic() - TOLD
            self._told = {each: at for each, at in self._told.items() if at > since}
        return self._told.keys()

    async def post(self, key: str, outgoing: Outgoing) -> None:
        """Say something unprompted, once for each `key`, after what is already under way in its place."""
        place = outgoing.place
        event = Received(place.tenant, queue.UNPROMPTED + key, place.key, queue.write_outgoing(outgoing))
        await self.acceptor(place.platform)([event])

    async def follow(self, due: Due, *, wait: float = 0.0, lane: str = "") -> None:
        """Hand an event of our own to the handler, once for each id, beside all conversations.

        wait: seconds until then, also over a restart. lane: those of one lane come one after the other.
        """
        key = f"due:{due.id}"
        event = Received(due.place.tenant, key, f"due/{due.place.tenant}/{lane or due.id}", queue.write_due(due), wait)
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

    async def behind(self, stage: Stage) -> list[Event]:
        """What waits behind an event in its conversation: it may have been changed or taken back meanwhile."""
        payloads = await asyncio.to_thread(self._behind, stage.event)
        return [event for each in payloads if (event := self._readable(stage.platform, each)) is not None]

    def _behind(self, event: int) -> list[str]:
        with reading(self._engine) as connection:
            return waiting.after(connection, event)

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
            return _read(self._connectors[platform], payload)
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
        pruned = 0.0
        try:
            while True:
                self._work.clear()
                try:
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
            await self._drain()

    async def _drain(self) -> None:
        tasks = [task for task, _ in self._running.values()]
        for task, stage in self._running.values():
            if stage.is_waiting:
                task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._pace.drain)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await asyncio.to_thread(self._write.close)

    async def _claim(self) -> None:
        stages = [stage for _, stage in self._running.values()]
        excess = sum(stage.is_excess for stage in stages)
        waiting = WAITING * self._pace.slots - len(stages) + excess
        free = min(self._pace.slots - sum(stage.is_making for stage in stages), waiting)
        job = partial(queue.claim, platforms=tuple(self._connectors), lease=self._pace.lease)
        self._is_crowded = True
        if free > 0 or excess < EXCESS_SLOTS:
            claims = await self._write(partial(job, limit=free, excess=EXCESS_SLOTS - excess))
            refused = sum(claim.is_excess for claim in claims)
            self._is_crowded = len(claims) - refused >= free or refused >= EXCESS_SLOTS - excess
            for claim in claims:
                self._start(claim)

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
        parts: list[Part] = []
        is_made = False
        if claim.fence > 1:  # an earlier claim may have come so far
            parts = await self._write(partial(queue.parts_of, claim=claim))
            is_made = not parts and await self._write(partial(queue.is_made, claim=claim))
        if not parts and not is_made:
            parts = await self._make(claim, stage)
        stage.is_making = False  # sending waits for the platform, and the next answer need not
        if self._is_crowded:
            self._work.set()
        steps: list[Step] = []
        for part in parts:
            for step in steps:
                await self._write(step)
            steps = [await self._send(claim, part)]
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
        connector = self._connectors[claim.platform]
        if claim.is_stopped:
            stage.stopped.set()
        if claim.is_unprompted:
            return await self._put(claim, stage, [queue.read_outgoing(claim.payload)])
        event = _read(connector, claim.payload)
        return await self._put(claim, stage, await self._handler(event, stage)) if event is not None else []

    async def _put(self, claim: Claim, stage: Stage, answer: Sequence[Outgoing]) -> list[Part]:
        bodies = [part for outgoing in answer for part in self._parts(claim.platform, outgoing)]
        if not bodies:
            return []
        stage.since = time.time()
        return await self._write(partial(queue.put, claim=claim, bodies=bodies, handle=stage.handle))

    def _parts(self, platform: str, outgoing: Outgoing) -> list[Outgoing]:
        first, *more = self._connectors[platform].parts(outgoing)
        return [first, *(replace(each, renews="") for each in more)]

    async def _send(self, claim: Claim, part: Part) -> Step:
        """Put one part up. Returns what is to be committed of it."""
        connector = self._connectors[claim.platform]
        handle = part.handle
        try:
            if not handle and connector.edits_only and not part.body.press:  # a word on a button has no message
                handle = await connector.open(part.body.place, part.body.to, part.key)
                await self._write(partial(queue.part_opened, claim=claim, part=part, handle=handle))
            if not handle:
                if part.state == "sending":
                    message = await self._arrived(connector, part)
                    if message is not None:
                        return partial(queue.sent, claim=claim, part=part, message=message)
                await self._write(partial(queue.mark_sending, claim=claim, part=part))
            message = await connector.send(part.body, part.key, handle)
        except Gone:  # somebody deleted the message that was opened: another is opened, and committed, first
            if part.body.renews:
                return partial(queue.undeliverable, claim=claim, part=part)
            await self._write(partial(queue.part_opened, claim=claim, part=part, handle=""))
            return await self._send(claim, replace(part, handle="", state="ready"))
        except Refused as error:
            if (instead := part.body.instead) is not None:
                await self._write(partial(queue.redirected, claim=claim, part=part, body=instead))
                return await self._send(claim, replace(part, body=instead, handle="", state="ready"))
            log.warning("An answer on %s could not be delivered: %s", claim.platform, error)
            return partial(queue.undeliverable, claim=claim, part=part)
        except Throttled:
            await self._write(partial(queue.mark_ready, claim=claim, part=part))
            raise
        return partial(queue.sent, claim=claim, part=part, message=message)

    async def _arrived(self, connector: Connector, part: Part) -> str | None:
        """The message of a send with an unknown outcome, if it arrived."""
        await asyncio.sleep(max(0.0, part.since + connector.grace - time.time()))
        if part.body.audience == "one":  # nobody can look it up; a word in passing is better lost than said twice
            return part.key
        try:
            return await connector.find(part.body.place, part.key)
        except Refused:
            return None  # it may have gone another way, to the person directly: rather twice than never

    async def _failed(self, claim: Claim, stage: Stage, error: Exception) -> None:
        """Try again later, or give up and say so."""
        kind = type(error).__name__
        self.meter.again.labels(claim.platform, kind).inc()
        try:
            if isinstance(error, Throttled):
                again = partial(queue.put_back, seconds=error.seconds, error=kind, failed=False)
                await self._write(partial(again, claim=claim))
            elif isinstance(error, Unsure) and time.time() < stage.since + OLDEST:
                pause = min(WORST_PAUSE, 2.0 ** min(claim.attempts, 6))
                again = partial(queue.put_back, seconds=pause, error=kind, failed=True)
                await self._write(partial(again, claim=claim))
            elif isinstance(error, Refused | Unsure):
                log.warning("An event on %s could not be answered: %s", claim.platform, error)
                await self._end(claim, error=kind)
            elif claim.attempts + 1 < self._pace.attempts and not isinstance(error, Poison):
                log.warning("An answer failed (%s) and is tried again.", kind)
                again = partial(queue.put_back, seconds=2.0**claim.attempts, error=kind, failed=True)
                await self._write(partial(again, claim=claim))
            else:
                await self._give_up(claim, stage, error)
        except LeaseLost:
            log.info("Event %d is another worker's now.", claim.id)
        except AtelierError as fault:  # the claim's lease runs out, and somebody takes it up again
            log.warning("The queue waits for the store: %s", fault)

    async def _give_up(self, claim: Claim, stage: Stage, error: Exception) -> None:
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else "unknown"
        log.error("Event %d on %s is given up: %s at %s.", claim.id, claim.platform, type(error).__name__, place)
        try:
            event = _read(self._connectors[claim.platform], claim.payload)
            if event is not None and stage.handle and not await self._write(partial(queue.is_made, claim=claim)):
                for part in await self._put(claim, stage, [self._apology(event)]):  # a person sees "…"
                    await self._write(await self._send(claim, part))
        except (Poison, AtelierError) as fault:
            log.warning("Nobody could be told: %s.", type(fault).__name__)
        await self._end(claim, error=type(error).__name__)


def _read(connector: Connector, payload: str) -> Event | None:
    try:
        if payload.startswith(queue.DUE):
            return queue.read_due(payload)
        return connector.read(payload)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise Poison("The payload is broken.") from error
