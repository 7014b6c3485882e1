"""What one ordinary message costs, counted: encoder passes, statements, commits. Times depend on the machine."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from connectors import serve
from connectors.delivery.stage import Pace
from connectors.settings import load_settings
from retrieval.passage import Vectors
from tests.battery.house import HashEncoder, open_house
from tests.battery.inside import settings_for
from tests.battery.process import free_port
from tests.battery.town import Town, town
from tests.emulators.slack import SlackEmulator
from tests.emulators.telegram import TelegramEmulator

PASSES, STATEMENTS, COMMITS = 1, 26, 4


@contextmanager
def counting(engine: Engine, spent: Counter[str]) -> Iterator[None]:
    """What SQLite itself is told to run, however it is told."""
    seen: list[Any] = []

    def traced(statement: str) -> None:
        kind = statement.split(None, 1)[0]
        if statement == "BEGIN IMMEDIATE":
            spent["commits"] += 1
        elif kind not in ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"):
            spent["statements"] += 1
            spent[statement[:60]] += 1

    def listen(driver: Any, *_: object) -> None:
        seen.append(driver)
        driver.set_trace_callback(traced)

    sa.event.listen(engine, "checkout", listen)
    try:
        yield
    finally:
        sa.event.remove(engine, "checkout", listen)
        for driver in seen:
            driver.set_trace_callback(None)


async def answered(made: Town, write: Callable[[], object], finals: Callable[[], int]) -> None:
    """Write, and wait until the answer is there and its event over."""
    before = finals()
    write()
    await made.telegram.until(lambda: finals() > before and not made.doors.delivery._running, 30)


def rated(seen: Sequence[Any]) -> int:
    """Finished answers: only they can be rated."""
    return sum(each.author == "bot" and "👍" in str(each.buttons) for each in seen)


async def test_an_ordinary_message_costs_one_pass_and_four_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = Counter[str]()
    encode = HashEncoder.__call__

    def counted(self: HashEncoder, texts: Sequence[str]) -> Vectors:
        passes["encoder"] += 1
        return encode(self, texts)

    monkeypatch.setattr(HashEncoder, "__call__", counted)
    # looks for others' work and longer leases, which a slow machine needs, are no message's
    monkeypatch.setattr(serve, "Pace", partial(Pace, lease=3600.0, poll=3600.0))
    async with town(1) as made:
        delivery = made.doors.delivery
        ann, bob = made.anns[0], made.bobs[0]
        for write, seen in (
            (ann.writes, lambda: rated(made.telegram.seen(ann))),
            (bob.writes, lambda: rated(made.slack.seen(bob.dm))),
        ):
            await answered(made, lambda: write("How far is it to the sea?"), seen)  # noqa: B023 - awaited here; who is new costs more
            assert await made.doors.until_few(30)  # and is asked for consent
            passes.clear()
            spent = Counter[str]()
            with counting(delivery._engine, spent):
                await answered(made, lambda: write("How many days does the journey take?"), seen)  # noqa: B023 - awaited here
            assert 0 < passes["encoder"] <= PASSES
            assert spent["commits"] <= COMMITS, spent
            assert spent["statements"] <= STATEMENTS, spent


async def test_what_stands_when_the_doors_open_is_not_looked_through_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []

    async def work(*_: object) -> None:
        kept.append(gc.get_freeze_count())

    monkeypatch.setattr(serve, "_work", work)
    before = gc.get_freeze_count()
    with TelegramEmulator.threaded() as telegram, SlackEmulator.threaded() as slack:
        settings = load_settings(**settings_for(tmp_path, free_port(), telegram, slack))
        await serve.serve(settings, lambda: open_house(settings), lambda _: None)
    assert kept[0] > before
