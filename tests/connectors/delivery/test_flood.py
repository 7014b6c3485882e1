"""One person who sends far more than anybody is answered: told once, and nobody else waits for it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from agent.events import Event, Outgoing
from connectors.delivery.flood import BESIDE, Flood
from connectors.delivery.stage import Pace, Stage
from connectors.telegram.events import Identity
from connectors.telegram.receive import received as from_telegram
from tests.connectors.delivery.platform import Platform, Power, Process, received
from tests.connectors.delivery.test_contract import until


def test_a_bucket_is_emptied_at_its_pace() -> None:
    flood = Flood(60)
    assert [flood.sees("ann", 0.0) for _ in range(61)] == [False] * 60 + [True]
    assert not flood.sees("bob", 0.0)
    assert flood.sees("ann", 1.0), "what is refused counts too"
    assert not flood.sees("ann", 5.0)
    assert not flood.sees("ann", 100.0)


def test_presses_edits_and_reactions_of_a_flood_are_let_go_and_nobody_elses() -> None:
    """They would fill the queue, and then everybody's messages were refused."""
    bot = Identity(1, "atelier_bot", sees_all=False)
    chat, ann = {"id": -5, "type": "supergroup"}, {"id": 7, "is_bot": False, "first_name": "Ann"}
    kinds: list[dict[str, object]] = [
        {
            "callback_query": {
                "id": "p1",
                "from": ann,
                "data": "x",
                "message": {"message_id": 1, "date": 0, "chat": chat},
            }
        },
        {"edited_message": {"message_id": 1, "from": ann, "chat": chat, "date": 0, "text": "again"}},
        {"message_reaction": {"chat": chat, "message_id": 1, "user": ann, "date": 0, "old_reaction": []}},
    ]
    events = [from_telegram({"update_id": n, **kinds[n % 3]}, "acme", bot) for n in range(2 * BESIDE)]
    assert {each.by for each in events} == {"telegram:acme:7"}
    flood = Flood(5)
    kept, telling = flood.kept(events)
    assert BESIDE <= len(kept) < BESIDE + 30, "the bucket is emptied meanwhile"
    assert not telling
    left = {"my_chat_member": {"chat": chat, "from": ann, "date": 0}}
    others = [received("room", 1), from_telegram({"update_id": 999, **left}, "acme", bot)]
    assert flood.kept(others)[0] == others


def test_who_writes_and_reacts_as_a_chat_is_bounded_as_that_chat() -> None:
    """Telegram names the chat for reactions; beside what is written in its name it puts a bot that all chats share."""
    bot = Identity(1, "atelier_bot", sees_all=True)
    group = {"id": -5, "type": "supergroup", "title": "Group"}
    anonymous = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
    said = {"message_id": 1, "from": anonymous, "sender_chat": group, "chat": group, "date": 0, "text": "x"}
    reaction = {"chat": group, "message_id": 1, "actor_chat": group, "date": 0, "old_reaction": []}
    kinds: list[dict[str, object]] = [{"message_reaction": reaction}, {"edited_message": said}]
    events = [from_telegram({"update_id": n, **kinds[n % 2]}, "acme", bot) for n in range(2 * BESIDE)]
    assert {each.by for each in events} == {"telegram:acme:-5"}
    assert BESIDE <= len(Flood(5).kept(events)[0]) < BESIDE + 30
    assert from_telegram({"update_id": 1, "message": said}, "acme", bot).by == "telegram:acme:-5"


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_flood_is_refused_in_words_once_and_kept_nowhere(engine: Engine) -> None:
    async def answer(event: Event, stage: Stage) -> Sequence[Outgoing]:
        return [Outgoing(event.place, "too much" if stage.is_excess else f"answer to {event.text}")]

    platform = Platform()
    process = Process(engine, platform, Power(), answer, edits_only=False, pace=Pace(poll=0.02, flood=5))
    accept = process.delivery.acceptor("paper")
    floods = [replace(received(f"room{number % 2}", number), by="paper:team:ann") for number in range(40)]
    others = [replace(received(f"o{number}", 0), by=f"paper:team:{number}") for number in range(10)]
    running = asyncio.create_task(process.delivery.run())
    try:
        await asyncio.gather(*(accept([each]) for each in floods[:8]))
        for each in [*floods[8:], *others]:
            await accept([each])
        await until(lambda: all(platform.finals(f"o{number}") == [f"answer to o{number}0"] for number in range(10)))
        said = lambda: [text for room in ("room0", "room1") for text in platform.finals(room)]  # noqa: E731 - asked twice
        await until(lambda: len(said()) >= 6)
        assert sorted(text for text in said() if text != "too much") == sorted(
            f"answer to room{number % 2}{number}" for number in range(5)
        )
        assert 1 <= said().count("too much") <= 2, "once in each conversation at most"
        counts = await process.delivery.counts()
        assert sum(counts.values()) <= 8 + len(others), "what is covered is kept nowhere"
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
