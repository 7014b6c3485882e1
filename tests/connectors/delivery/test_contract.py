"""The reply contract: whatever dies whenever, every message gets one visible final answer, in order."""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from agent.events import Event, Outgoing
from agent.message import Place
from connectors.connector import Refused, Throttled, Unsure
from connectors.delivery import queue
from connectors.delivery.stage import Pace, Stage
from connectors.delivery.tables import inbox
from connectors.migrations import migrate
from retrieval.database import open_database, reading, writing
from tests.connectors.delivery.platform import QUICK, Killed, Platform, Power, Process, received

SECONDS = 60  # a slow machine has time; nothing waits for it


async def answer(event: Event, stage: Stage) -> Sequence[Outgoing]:
    await stage.open(event)
    await stage.show(event, "so far")
    return [Outgoing(event.place, f"first of {event.text}|second of {event.text}")]


async def answer_unseen(event: Event, stage: Stage) -> Sequence[Outgoing]:
    return [Outgoing(event.place, f"first of {event.text}|second of {event.text}")]


def expected(channel: str, count: int) -> list[str]:
    return [f"{which} of {channel}{n}" for n in range(count) for which in ("first", "second")]


async def until_done(process: Process, count: int) -> None:
    """Run until `count` events are finished, or the power goes out."""
    running = asyncio.create_task(process.delivery.run())
    deadline, looked = time.monotonic() + SECONDS, 0.0
    try:
        while not process.connector.power.is_out:
            if process.delivery._running:
                looked = 0.0
            elif time.monotonic() > looked + 0.1:  # each look costs, and nothing ends while nothing runs
                looked, states = time.monotonic(), await process.delivery.counts()
                if states.get("done", 0) + states.get("dead", 0) >= count:
                    return
                assert time.monotonic() < deadline, states
            await asyncio.sleep(0.005)
    except Killed:
        pass
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError, Killed):
            await running


async def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def lives(engine: Engine, platform: Platform, handler, deaths: Sequence[int], *, edits_only: bool) -> bool:
    """Processes follow each other over one store, dying at the given places; whether the first one died."""
    events = [received("a", 0), received("b", 0), received("a", 1)]
    first = True
    died = False
    for at in [*deaths, 0]:
        power = Power(at)
        process = Process(engine, platform, power, handler, edits_only=edits_only)
        with suppress(Killed):  # the platform sends again what was not acknowledged; copies come at any time
            await process.delivery.acceptor("paper")(events)
        if not power.is_out:
            await until_done(process, len(events))
        if first:
            died, first = power.is_out, False
    return died


@pytest.mark.parametrize("edits_only", [True, False])
@pytest.mark.parametrize("handler", [answer, answer_unseen])
async def test_killed_at_every_place_nothing_is_lost_or_said_twice(engine: Engine, handler, edits_only: bool) -> None:
    step = 1 if engine.dialect.name == "sqlite" else 7  # the same code on both; each trial costs time
    at, trials = 1, 0
    while True:
        platform = Platform()
        clean(engine)
        died = await lives(engine, platform, handler, [at, 3 * at % 17 + 1], edits_only=edits_only)
        assert platform.finals("a") == expected("a", 2), at
        assert platform.finals("b") == expected("b", 1), at
        if not died:
            break
        at, trials = at + step, trials + 1
    assert trials >= 30 // step


def clean(engine: Engine) -> None:
    from connectors.delivery.tables import inbox, outbox
    from retrieval.database import writing

    with writing(engine) as connection:
        connection.execute(outbox.delete())
        connection.execute(inbox.delete())


async def test_copies_of_an_event_are_answered_once(engine: Engine) -> None:
    platform = Platform()
    process = Process(engine, platform, Power(), answer, edits_only=True, pace=Pace(poll=0.01))
    accept = process.delivery.acceptor("paper")
    events = [received(f"c{n % 20}", n) for n in range(250)]
    running = asyncio.create_task(process.delivery.run())
    await asyncio.gather(*(accept([each]) for each in events * 4))
    deadline = time.monotonic() + 60
    while (await process.delivery.counts()).get("done", 0) < 250:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    for channel in range(20):
        texts = platform.finals(f"c{channel}")
        wanted = [f"{which} of c{channel}{n}" for n in range(channel, 250, 20) for which in ("first", "second")]
        assert texts == wanted


async def test_two_processes_share_the_work_and_never_an_event(engine: Engine) -> None:
    platform = Platform()
    seen: list[str] = []

    async def slow(event: Event, stage: Stage) -> Sequence[Outgoing]:
        seen.append(event.text)
        await asyncio.sleep(0.01)
        return await answer(event, stage)

    pace = Pace(slots=2, poll=0.01)
    pair = [Process(engine, platform, Power(), slow, edits_only=True, pace=pace) for _ in range(2)]
    await pair[0].delivery.acceptor("paper")([received(f"c{n % 5}", n) for n in range(40)])
    await asyncio.gather(*(until_done(each, 40) for each in pair))
    assert sorted(seen) == sorted(f"c{n % 5}{n}" for n in range(40))


async def test_while_a_platform_is_down_answers_wait_and_conversations_keep_their_order(engine: Engine) -> None:
    platform = Platform()
    process = Process(engine, platform, Power(), answer, edits_only=True, pace=Pace(poll=0.01))
    process.connector.fail = [Throttled("later", 0.1), Unsure("timeout"), Throttled("later", 0.05)]
    await process.delivery.acceptor("paper")([received("a", 0), received("a", 1)])
    started = time.monotonic()
    await until_done(process, 2)
    assert platform.finals("a") == expected("a", 2)
    assert time.monotonic() - started > 0.1


async def test_what_a_platform_will_never_take_does_not_block_the_next(engine: Engine) -> None:
    platform = Platform()
    process = Process(engine, platform, Power(), answer_unseen, edits_only=False)
    process.connector.fail = [Refused("gone")]
    await process.delivery.acceptor("paper")([received("a", 0), received("a", 1)])
    await until_done(process, 2)
    assert platform.finals("a") == ["second of a0", *expected("a", 2)[2:]]


async def test_a_failing_answer_is_tried_again_and_then_apologised_for(engine: Engine) -> None:
    platform = Platform()
    tries: list[str] = []

    async def broken(event: Event, stage: Stage) -> Sequence[Outgoing]:
        await stage.open(event)
        tries.append(event.text)
        if event.text == "bad":
            raise RuntimeError("a bug")
        return [Outgoing(event.place, "fine")]

    process = Process(engine, platform, Power(), broken, edits_only=True, pace=Pace(attempts=2, poll=0.01))
    await process.delivery.acceptor("paper")([received("a", 0, "bad"), received("a", 1, "good")])
    await until_done(process, 2)
    assert tries == ["bad", "bad", "good"]
    assert platform.finals("a") == ["sorry", "fine"]
    assert await process.delivery.counts() == {"dead": 1, "done": 1}


async def test_a_poisoned_event_is_set_aside_and_the_others_are_answered(engine: Engine) -> None:
    platform = Platform()
    process = Process(engine, platform, Power(), answer_unseen, edits_only=False)
    poison = received("a", 50, "x")
    events = [received("a", n) for n in range(100)]
    events[50] = type(poison)(poison.tenant, poison.key, poison.conversation, "[]")
    await process.delivery.acceptor("paper")(events)
    await until_done(process, 100)
    assert await process.delivery.counts() == {"dead": 1, "done": 99}
    assert len(platform.finals("a")) == 198


async def test_too_much_at_once_is_refused_at_once(engine: Engine) -> None:
    platform = Platform()
    released = asyncio.Event()

    async def busy(event: Event, stage: Stage) -> Sequence[Outgoing]:
        if stage.is_excess:
            return [Outgoing(event.place, f"too busy for {event.text}")]
        await released.wait()
        return [Outgoing(event.place, "done")]

    pace = Pace(slots=2, backlog=5, poll=0.01)
    process = Process(engine, platform, Power(), busy, edits_only=False, pace=pace)
    running = asyncio.create_task(process.delivery.run())
    await process.delivery.acceptor("paper")([received(f"c{n}", n) for n in range(8)])
    deadline = time.monotonic() + SECONDS
    await until(lambda: len(platform.messages) == 3)
    assert sorted(each.text for each in platform.messages) == [f"too busy for c{n}{n}" for n in (5, 6, 7)]
    released.set()
    while (await process.delivery.counts()).get("done", 0) < 8:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_unprompted_messages_are_said_once(engine: Engine) -> None:
    platform = Platform()
    process = Process(engine, platform, Power(), answer, edits_only=True)
    place = received("a", 0)
    outgoing = Outgoing(process.connector.read(place.payload).place, "Time is up.")
    for _ in range(3):
        await process.delivery.post("timer:1", outgoing)
    await until_done(process, 1)
    assert platform.finals("a") == ["Time is up."]


async def test_an_answer_can_be_stopped_from_another_process(engine: Engine) -> None:
    platform = Platform()

    async def long(event: Event, stage: Stage) -> Sequence[Outgoing]:
        await stage.open(event)
        await stage.stopped.wait()
        return [Outgoing(event.place, "as far as I got")]

    pace = Pace(lease=0.3, poll=0.01)
    maker, other = (Process(engine, platform, Power(), long, edits_only=True, pace=pace) for _ in range(2))
    await maker.delivery.acceptor("paper")([received("a", 0)])
    running = asyncio.create_task(until_done(maker, 1))
    await until(lambda: bool(platform.messages))
    assert await other.delivery.stop(1)
    await running
    assert platform.finals("a") == ["as far as I got"]
    assert not await other.delivery.stop(1)


async def test_when_the_process_is_asked_to_end_others_take_over_at_once(engine: Engine) -> None:
    platform = Platform()

    async def endless(event: Event, stage: Stage) -> Sequence[Outgoing]:
        await stage.open(event)
        await asyncio.sleep(60)
        return []

    pace = Pace(lease=60, poll=0.01, drain=0.05)
    process = Process(engine, platform, Power(), endless, edits_only=True, pace=pace)
    await process.delivery.acceptor("paper")([received("a", 0)])
    running = asyncio.create_task(process.delivery.run())
    await until(lambda: bool(platform.messages))
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await until_done(Process(engine, platform, Power(), answer, edits_only=True, pace=QUICK), 1)
    assert platform.finals("a") == expected("a", 1)


async def test_what_was_delivered_leaves_no_text_behind(engine: Engine) -> None:
    from sqlalchemy import select

    from connectors.delivery.tables import inbox, outbox
    from retrieval.database import reading

    process = Process(engine, Platform(), Power(), answer, edits_only=True)
    await process.delivery.acceptor("paper")([received("a", 0)])
    await until_done(process, 1)
    with reading(engine) as connection:
        assert connection.execute(select(inbox.c.payload)).scalars().all() == [""]
        assert set(connection.execute(select(outbox.c.body)).scalars()) == {""}


async def test_what_a_killed_process_held_is_taken_up_at_once(tmp_path: Path) -> None:
    """On SQLite, where nobody else serves: nobody waits for the lease of somebody who is dead."""
    engine = open_database(f"sqlite:///{tmp_path}/store.db")
    migrate(engine)
    held = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(tmp_path / "store.db"), stdout=asyncio.subprocess.PIPE
    )
    assert held.stdout is not None
    assert await held.stdout.readline() == b"claimed\n"
    platform = Platform()
    other = Process(engine, platform, Power(), answer_unseen, edits_only=False, pace=Pace(poll=0.01))
    running = asyncio.create_task(other.delivery.run())
    await asyncio.sleep(0.3)  # it lives, so its claim is left to it
    assert platform.messages == []
    held.kill()
    await held.wait()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    after = Process(engine, platform, Power(), answer_unseen, edits_only=False, pace=Pace(poll=0.01))
    started = time.monotonic()
    await until_done(after, 1)
    assert time.monotonic() - started < LEASE / 2
    assert platform.finals("a") == expected("a", 1)
    engine.dispose()


LEASE = 60
HOLDER = f"""
import sys, time
from connectors.delivery import queue
from connectors.delivery.serving import Serving
from retrieval.database import open_database, writing
from tests.connectors.delivery.platform import received

engine = open_database(f"sqlite:///{{sys.argv[1]}}")
with Serving(engine):
    with writing(engine) as connection:
        queue.accept(connection, "paper", [received("a", 0)], 10)
        assert queue.claim(connection, ["paper"], {LEASE}, 1)
    print("claimed", flush=True)
    time.sleep(60)
"""


async def test_what_a_dead_process_may_still_be_writing_to_waits_until_that_has_landed(engine: Engine) -> None:
    with writing(engine) as connection:
        queue.accept(connection, "paper", [received("a", 0), received("b", 0)], 10)
        seen, unseen = queue.claim(connection, ["paper"], LEASE, 2)
        queue.opened(connection, seen, "0")
        assert queue.take_over(connection, 5.0) == 2
        assert [each.id for each in queue.claim(connection, ["paper"], LEASE, 2)] == [unseen.id]
        lease = connection.execute(sa.select(inbox.c.lease).where(inbox.c.id == seen.id)).scalar_one()
    assert 0 < lease - time.time() <= 5


async def test_the_excess_is_bounded_and_each_conversation_told_once(engine: Engine) -> None:
    platform = Platform()
    released = asyncio.Event()

    async def busy(event: Event, stage: Stage) -> Sequence[Outgoing]:
        if stage.is_excess:
            return [Outgoing(event.place, "too busy")]
        await released.wait()
        return [Outgoing(event.place, "done")]

    process = Process(engine, platform, Power(), busy, edits_only=False, pace=Pace(slots=2, backlog=3, poll=0.01))
    accept = process.delivery.acceptor("paper")
    running = asyncio.create_task(process.delivery.run())
    await accept([received(f"c{n}", n) for n in range(3)])
    for number in range(50):
        await accept([received("loud", number)])
    await until(lambda: bool(platform.messages))
    await accept([received("loud", 51)])  # told a moment ago
    await process.delivery.post("timer:1", Outgoing(Place("paper", "team", "c9"), "Time is up."))  # never too much
    with reading(engine) as connection:
        kept = connection.execute(sa.select(inbox.c.payload).where(inbox.c.payload.contains("loud"))).scalars().all()
    assert len(kept) <= 1, "of what is covered no word is kept, and mostly nothing"
    released.set()
    await until(lambda: len(platform.messages) == 5)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert platform.finals("loud") == ["too busy"]
    assert platform.finals("c9") == ["Time is up."]


async def test_beyond_the_excess_the_platform_is_told_to_come_again(engine: Engine) -> None:
    process = Process(engine, Platform(), Power(), answer, edits_only=True, pace=Pace(backlog=2))
    accept = process.delivery.acceptor("paper")
    await accept([received(f"c{n}", n) for n in range(4)])
    with pytest.raises(queue.QueueFull, match="come again"):
        await accept([received("c5", 5)])
    assert (await process.delivery.counts())["new"] == 4
