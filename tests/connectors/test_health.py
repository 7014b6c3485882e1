"""What a watchdog and Prometheus see of a running queue."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import Engine

from agent.events import Event, Outgoing
from agent.generation.versions import Versions
from connectors.delivery.stage import Pace, Stage
from connectors.health import Health
from finetune.registry import AdapterRegistry
from finetune.registry_watch import Watch
from tests.connectors.delivery.platform import Platform, Power, Process, received
from tests.finetune.adapters import sealed


@dataclass
class Open:
    process: Process
    client: TestClient[web.Request, web.Application]
    quiet: float = 0.0


async def answer(event: Event, stage: Stage) -> Sequence[Outgoing]:
    if event.text == "bad":
        raise RuntimeError("the words of a person")
    return [Outgoing(event.place, "an answer")]


@pytest.fixture
async def opened(engine: Engine) -> AsyncIterator[Open]:
    process = Process(engine, Platform(), Power(), answer, edits_only=False, pace=Pace(attempts=1, poll=0.01))
    app = web.Application()
    app.add_routes(Health(process.delivery, {"paper": process.connector}).routes())
    async with TestClient(TestServer(app)) as client:
        one = Open(process, client)
        process.connector.silence = lambda: one.quiet
        yield one


async def test_the_pages_say_how_it_goes(opened: Open) -> None:
    accept = opened.process.delivery.acceptor("paper")
    await accept([received("a", 0), received("b", 1), received("c", 2, "bad")])
    await accept([received("a", 0)])
    running = asyncio.create_task(opened.process.delivery.run())
    deadline = time.monotonic() + 60
    while await opened.process.delivery.counts() != {"done": 2, "dead": 1}:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    page = await opened.client.get("/healthz")
    body = await page.json()
    assert (page.status, body["status"], body["queue"]) == (200, "ok", {"done": 2, "dead": 1})
    assert body["doors"] == {"paper": {"silent": 0.0}}
    metrics = await (await opened.client.get("/metrics")).text()
    lines = set(metrics.splitlines())
    assert {
        'atelier_events_total{platform="paper"} 3.0',
        'atelier_copies_total{platform="paper"} 1.0',
        'atelier_events_ended_total{outcome="done",platform="paper"} 2.0',
        'atelier_events_ended_total{outcome="given up",platform="paper"} 1.0',
        'atelier_answer_seconds_count{platform="paper"} 2.0',
        'atelier_queue_events{state="dead"} 1.0',
        'atelier_door_silent_seconds{platform="paper"} 0.0',
    } <= lines
    assert "words of a person" not in metrics
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_a_queue_that_stands_still_is_unwell(opened: Open) -> None:
    opened.process.delivery.last_look = time.monotonic() - 3600
    page = await opened.client.get("/healthz")
    assert (page.status, (await page.json())["status"]) == (503, "stuck")


async def test_a_platform_that_is_not_heard_for_long_is_unwell(opened: Open) -> None:
    opened.quiet = 3600
    page = await opened.client.get("/health")
    body = await page.json()
    assert (page.status, body["status"], body["doors"]) == (503, "silent", {"paper": {"silent": 3600}})


async def test_a_store_that_is_away_is_unwell_and_says_no_more(opened: Open, engine: Engine) -> None:
    from sqlalchemy import text

    from retrieval.database import writing

    with writing(engine) as connection:
        connection.execute(text("ALTER TABLE inbox RENAME TO elsewhere"))
    try:
        health, metrics = [await opened.client.get(path) for path in ("/healthz", "/metrics")]
        assert (health.status, await health.json(), metrics.status) == (503, {"status": "store"}, 503)
    finally:
        with writing(engine) as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO inbox"))


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_it_says_which_version_answers_and_no_reason_why_one_does_not(engine: Engine, tmp_path: Path) -> None:
    process = Process(engine, Platform(), Power(), answer, edits_only=False, pace=Pace(attempts=1, poll=0.01))
    registry = AdapterRegistry(engine, tmp_path / "versions")
    registry.promote(registry.add("team", sealed(tmp_path / "adapter")).name)
    watch = Watch(registry, Versions(), None, None, lambda _: None)
    watch.look()
    app = web.Application()
    app.add_routes(Health(process.delivery, {}, watch).routes())
    async with TestClient(TestServer(app)) as client:
        body = await (await client.get("/healthz")).json()
    assert body["version"] == {"live": "", "not_served": 1}
    assert "language model" not in str(body)
