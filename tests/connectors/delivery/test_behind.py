"""When more waits than is answered: looking for work costs no more, and whoever cannot be answered is told first."""

import asyncio
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection, Engine

from agent.events import Event, Outgoing
from connectors.delivery import queue
from connectors.delivery.stage import LONG, Pace, Stage
from connectors.delivery.tables import inbox
from retrieval.database import metadata, open_database, writing
from tests.connectors.delivery.platform import Platform, Power, Process, received
from tests.connectors.delivery.test_contract import until

LEASE = 30.0


def fill(connection: Connection, state: str, count: int) -> None:
    """`count` events in fifty conversations."""
    row = {"platform": "paper", "tenant": "team", "payload": "", "received": time.time(), "state": state}
    row |= {"is_excess": False, "due": 0.0, "lease": 0.0, "fence": 0, "attempts": 0, "handle": "", "error": ""}
    made = [{"key": f"{state}{n}", "conversation": f"c{n % 50}" * (state == "new")} for n in range(count)]
    connection.execute(inbox.insert(), [{**row, "is_stopped": False, **each} for each in made])


def steps_of_a_look(connection: Connection) -> int:
    """What SQLite's machine does to find one event and none."""
    counted = [0]

    def count() -> None:
        counted[0] += 1

    driver = connection.connection.driver_connection
    assert driver is not None
    driver.set_progress_handler(count, 1)
    assert len(queue.claim(connection, ["paper", "slack"], LEASE, 1, excess=1)) == 1
    driver.set_progress_handler(None, 1)
    return counted[0]


def test_to_look_for_work_costs_the_same_however_much_waits_or_was_done(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'store.db'}")
    metadata.create_all(engine)
    with writing(engine) as connection:
        fill(connection, "new", 5)
        few = steps_of_a_look(connection)
        fill(connection, "done", 2000)
        connection.execute(inbox.delete().where(inbox.c.state != "done"))
        fill(connection, "new", 1000)
        many = steps_of_a_look(connection)
    engine.dispose()
    assert many <= few + 50, "a step is a row's compared or copied value"


async def test_who_cannot_be_answered_is_told_before_more_answers_are_begun(engine: Engine) -> None:
    platform = Platform()
    order: list[str] = []
    held = asyncio.Event()

    async def busy(event: Event, stage: Stage) -> Sequence[Outgoing]:
        place = getattr(event, "place")  # noqa: B009 - not every event has one, those of these tests have
        order.append("refused" if stage.is_excess else "begun")
        if stage.is_excess:
            await held.wait()
        return [Outgoing(place, "too busy" if stage.is_excess else "done")]

    process = Process(engine, platform, Power(), busy, edits_only=False, pace=Pace(slots=8, backlog=30, poll=0.01))
    await process.delivery.acceptor("paper")([received(f"c{n}", n) for n in range(60)])
    running = asyncio.create_task(process.delivery.run())
    await until(lambda: order.count("refused") == 30)
    assert process.delivery._room() <= 2, "a fourth of the slots is left to answers, so they go on"
    held.set()
    await until(lambda: len(platform.messages) == 60)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert order.count("refused") == 30
    assert order.count("begun") == 30


async def test_who_is_refused_does_not_wait_for_others_whose_platform_is_slow(engine: Engine) -> None:
    platform = Platform()
    refused: list[str] = []
    slow = asyncio.Event()

    async def busy(event: Event, stage: Stage) -> Sequence[Outgoing]:
        place = getattr(event, "place")  # noqa: B009 - as above
        refused.extend([place.channel] * stage.is_excess)
        return [Outgoing(place, "too busy" if stage.is_excess else "done")]

    pace = Pace(slots=2, backlog=100, poll=0.01)
    process = Process(engine, platform, Power(), busy, edits_only=False, pace=pace)
    send = process.connector.send

    async def held(part: Outgoing, key: str, handle: str = "") -> str:
        await slow.wait()
        return await send(part, key, handle)

    process.connector.send = held  # type: ignore[method-assign]  # the platform's pace
    await process.delivery.acceptor("paper")([received(f"c{n}", n) for n in range(200)])
    running = asyncio.create_task(process.delivery.run())
    await until(lambda: len(refused) == 100)
    assert not platform.finals("c199"), "all are on their way while nothing was sent yet"
    slow.set()
    await until(lambda: len(platform.messages) == 200)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert sorted(refused) == sorted(f"c{n}" for n in range(100, 200))


async def test_a_long_answer_is_cut_while_all_else_goes_on(engine: Engine) -> None:
    platform = Platform()

    async def answer(event: Event, stage: Stage) -> Sequence[Outgoing]:
        return [Outgoing(getattr(event, "place"), "[" * (LONG + 1))]  # noqa: B009 - as above

    process = Process(engine, platform, Power(), answer, edits_only=False, pace=Pace(poll=0.01))
    loop, cut = asyncio.get_running_loop(), process.connector.parts
    goes_on = threading.Event()

    def slow(outgoing: Outgoing) -> list[Outgoing]:
        loop.call_soon_threadsafe(goes_on.set)
        assert goes_on.wait(5), "nothing else happens meanwhile"
        return cut(outgoing)

    process.connector.parts = slow  # type: ignore[method-assign]  # as brackets are cut
    await process.delivery.acceptor("paper")([received("c", 1)])
    running = asyncio.create_task(process.delivery.run())
    await until(lambda: len(platform.messages) == 1)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_of_hundreds_that_wait_behind_an_answer_only_those_about_its_message_are_read(engine: Engine) -> None:
    platform = Platform()
    heard: list[list[Event]] = []

    async def answer(event: Event, stage: Stage) -> Sequence[Outgoing]:
        if stage.is_first and not heard:
            heard.append(await stage.delivery.behind(stage, "77777"))
        return [Outgoing(getattr(event, "place"), "done")]  # noqa: B009 - as above

    process = Process(engine, platform, Power(), answer, edits_only=False, pace=Pace(poll=0.01))
    asked, read = 0, process.connector.read

    def counted(payload: str) -> Event | None:
        nonlocal asked
        asked += not heard
        return read(payload)

    process.connector.read = counted  # type: ignore[method-assign]  # what reading costs
    others = [received("c", n) for n in range(200, 300)]
    about = replace(received("c", 77777), key="change")
    await process.delivery.acceptor("paper")([received("c", 77777), *others, about])
    running = asyncio.create_task(process.delivery.run())
    await until(lambda: len(platform.messages) == 102)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert [getattr(each, "id") for each in heard[0]] == ["77777"]  # noqa: B009 - as above
    assert asked <= 2, "itself and what is about it: reading all would hold up everybody's answers"
