"""Slack under the delivery contract: whatever goes wrong, one visible final answer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy import Engine

from agent.events import Event, Outgoing, Post
from connectors.delivery.stage import Pace, Stage
from connectors.delivery.worker import Delivery
from connectors.slack import sending
from connectors.slack.connector import SlackConnector
from tests.emulators.slack import SlackEmulator
from tests.emulators.slack_person import Person


async def answer(event: Event, stage: Stage) -> Sequence[Outgoing]:
    assert isinstance(event, Post)
    await stage.open(event)
    for shown in ("Tea", "Tea is", "Tea is for"):
        await stage.show(event, shown)
    return [Outgoing(event.place, f"Tea is for {event.text}.", to=event.account)]


def sorry(event: Event) -> Outgoing:
    return Outgoing(event.place, "Sorry.")


@asynccontextmanager
async def working(engine: Engine, slack: SlackEmulator) -> AsyncIterator[Delivery]:
    made = SlackConnector("acme", bot_token=slack.bot_token, app_token=slack.app_token, api=slack.api_url)
    made.grace = 0.1
    delivery = Delivery(engine, {"slack": made}, answer, sorry, Pace(lease=1.0, poll=0.05, drain=1.0))
    tasks = [asyncio.create_task(made.run(delivery.acceptor("slack"))), asyncio.create_task(delivery.run())]
    await slack.until(lambda: slack.connections)
    try:
        yield delivery
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        await made.close()


@pytest.mark.parametrize(
    ("method", "faults"),
    [
        ("chat.startStream", {"error": "unknown_method"}),
        ("chat.startStream", {"status": 429, "retry_after": 30}),
        ("chat.appendStream", {"error": "message_not_in_streaming_state"}),
        ("chat.stopStream", {"status": 500}),
        ("chat.stopStream", {"status": 500, "landed": True}),
        ("chat.stopStream", {"status": 429, "retry_after": 1}),
        ("chat.stopStream", {"error": "message_not_in_streaming_state"}),
        ("assistant.threads.setStatus", {"error": "missing_scope"}),
    ],
)
async def test_one_answer_whatever_slack_says(
    slack: SlackEmulator, sqlite_store: Engine, ann: Person, general: str, method: str, faults: dict[str, object]
) -> None:
    slack.fail_next(method, **faults)
    async with working(sqlite_store, slack) as delivery:
        ts = ann.writes(f"<@{slack.bot_user}> Ann", general)
        await slack.until(lambda: [seen.text for seen in slack.seen(general, ts)][1:] == ["Tea is for Ann."])
        await slack.until(lambda: not slack.seen(general, ts)[-1].streaming)
        while (await delivery.counts()).keys() & {"new", "claimed"}:  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.05)
    assert [seen.text for seen in slack.seen(general, ts)][1:] == ["Tea is for Ann."]


async def test_answers_to_many_at_once_in_order(
    slack: SlackEmulator, sqlite_store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "STREAM_PAUSE", 0.0)
    people = [slack.person(f"U{number}", f"P{number}") for number in range(8)]
    async with working(sqlite_store, slack):
        for word in ("one", "two", "three"):
            for person in people:
                person.writes(word)
        wanted = [f"Tea is for {word}." for word in ("one", "two", "three")]
        for person in people:
            dm = person.dm
            await slack.until(
                lambda dm=dm: [seen.text for seen in slack.seen(dm) if seen.author == "bot"] == wanted,
                30,
            )
