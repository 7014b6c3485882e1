"""On PostgreSQL somebody is forgotten while others are answered: nobody's acknowledgement waits, nothing is lost."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from agent.buttons import Buttons, Meaning, id_for
from agent.erasure import lock_memory
from agent.events import Event, Outgoing
from agent.memory import Memory
from agent.memory_tables import buttons
from agent.message import Place
from connectors.delivery.stage import Stage
from retrieval.database import writing
from retrieval.errors import StoreBusy
from tests.agent.test_memory import HERE, make_turn
from tests.connectors.delivery.platform import Platform, Power, Process, received
from tests.connectors.delivery.test_contract import until, until_done

only_postgresql = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
SECONDS = 30


@only_postgresql
async def test_acknowledgements_do_not_wait_for_who_is_being_forgotten(engine: Engine) -> None:
    memory = Memory(engine)
    person = memory.person("paper:team:ann")
    keeping = asyncio.Event()

    async def remembered(event: Event, stage: Stage) -> Sequence[Outgoing]:
        stage.along.append(memory.keeping(make_turn(person, event.text)))
        keeping.set()
        return [Outgoing(event.place, f"answer to {event.text}")]

    platform = Platform()
    process = Process(engine, platform, Power(), remembered, edits_only=False)
    accept = process.delivery.acceptor("paper")
    running = asyncio.create_task(process.delivery.run())
    try:
        with writing(engine) as forgetting:
            await asyncio.to_thread(lock_memory, forgetting, exclusive=True)
            await accept([received("a", 0)])
            async with asyncio.timeout(SECONDS):
                await keeping.wait()
                await until_locked(engine)
                for number in range(3):
                    await accept([received("b", number)])
            assert platform.finals("a") == []
        await until(lambda: platform.finals("a") == ["answer to a0"] and len(platform.finals("b")) == 3)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@only_postgresql
async def test_a_deadlock_with_who_is_being_forgotten_ends_in_another_try(engine: Engine) -> None:
    """Two answers' buttons and turns are committed together, and whoever is forgotten deletes one of the buttons."""
    memory, shown, here = Memory(engine), Buttons(engine), Place("paper", "team", "a")
    person = memory.person("paper:team:ann")
    (button,) = shown.make_keyed({"old": Meaning("rate", "x", here)}, 60)
    has_button, may_go_on = threading.Event(), threading.Event()
    tries: list[str] = []

    async def renewing(event: Event, stage: Stage) -> Sequence[Outgoing]:
        def renew(connection: Connection) -> None:
            """The wrong way round, as no step of ours does it: rows first, memory's lock after them."""
            tries.append(event.text)
            shown.keeping({id_for("old"): Meaning("rate", "x", here)}, 60)(connection)
            has_button.set()
            may_go_on.wait(SECONDS)

        stage.along += [renew, memory.keeping(make_turn(person, event.text))]
        return [Outgoing(event.place, f"answer to {event.text}")]

    platform = Platform()
    process = Process(engine, platform, Power(), renewing, edits_only=False)
    process.delivery._keep = process.delivery._write  # what does not begin with the lock
    await process.delivery.acceptor("paper")([received("a", 0)])

    def forget() -> bool:
        has_button.wait(SECONDS)
        try:
            with writing(engine) as connection:
                lock_memory(connection, exclusive=True)
                may_go_on.set()
                connection.execute(buttons.delete().where(buttons.c.id == button))
        except StoreBusy:
            return False
        return True

    forgetting = asyncio.create_task(asyncio.to_thread(forget))
    await until_done(process, 1)
    was_forgotten = await forgetting
    assert platform.finals("a") == ["answer to a0"]
    assert len(memory.turns(HERE)) == 1
    assert len(tries) == 1 + was_forgotten, "whoever was chosen to give way tried again, or was told to"


async def until_locked(engine: Engine) -> None:
    """Until somebody waits for memory's lock."""
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    while True:
        with engine.connect() as connection:
            if connection.execute(waiting).scalar_one():
                return
        await asyncio.sleep(0.01)
