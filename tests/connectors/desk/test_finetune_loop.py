"""The whole loop in a chat: rated turns, a command, a job, the gate, a version, and an answer by it; no restart."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.memory import Memory, new_turn_id
from agent.message import (
    Decision,
    History,
    Intent,
    Message,
    Move,
    Place,
    Reply,
    Sentiment,
    Turn,
    Understanding,
)
from agent.prompt import PERSONA
from finetune.job import State
from finetune.jobs import Jobs
from retrieval.audience import everyone
from tests.agent.models import build_model
from tests.connectors.desk.chats import Chat, Shown, SlackChat, TelegramChat
from tests.connectors.desk.doors import TENANT, Doors
from tests.finetune.tiny import conversation

PATIENCE = 150.0  # seconds, on a machine that does other things too
QUICK = """
rank = 4
epochs = 3.0
batch_tokens = 512
max_tokens = 512
learning_rate = 5e-3
evaluations = 2
save_seconds = 1.0
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("base") / "small", hidden=32)


@pytest.fixture
def jobs(doors: Doors) -> Iterator[Jobs]:
    """Whatever happens, no training goes on behind the test."""
    found = Jobs(doors.home)
    yield found
    for job in found.known():
        if not job.is_over:
            found.cancel(job.id)


def rated(memory: Memory, account: str, rows: int = 40) -> None:
    """Turns of somebody who has agreed, each with a 👍."""
    person = memory.person(account, {everyone(TENANT)})
    memory.people.set_consent(person.id, consent=True)
    for number in range(rows):
        asked, replied = (each["content"] for each in conversation(number))
        place = Place("telegram", TENANT, "77", str(number))
        message = Message(f"rated/{number}", place, person, asked, datetime.now(UTC), frozenset({everyone(TENANT)}))
        understood = Understanding(np.zeros(4, np.float32), Intent.ASK, 0.9, Sentiment.NEUTRAL, 0.8, ("it asks",))
        decision = Decision(Move.ANSWER, "asked")
        turn = Turn(new_turn_id(), PERSONA, History(), message, understood, decision, (), Reply(replied))
        memory.append(turn)
        memory.rate(turn.id, person.id, 1)


async def until(doors: Doors, look: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not look():  # noqa: ASYNC110 - it is in the store, on the platform, or in a folder
            await asyncio.sleep(0.05)


def last(chat: Chat, who: object) -> Shown:
    return chat.shown(who)[-1]


def pictures(chat: Chat, who: Any) -> int:
    if isinstance(chat, SlackChat):
        return sum(bool(line.files) for line in chat.emulator.seen(who.dm))
    assert isinstance(chat, TelegramChat)
    return sum(line.file == "photo" and "The loss of loop-1" in line.text for line in chat.emulator.seen(who))


@pytest.mark.timeout(400)  # a process that loads torch, perhaps beside other work
async def test_from_rated_turns_to_an_answer_by_what_they_taught(
    doors: Doors, telegram: TelegramChat, base: Path, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat: Chat = telegram
    ann, bob = chat.person("Ann"), chat.person("Bob")
    (doors.home / "recipes").mkdir()
    (doors.home / "recipes" / "quick.toml").write_text(QUICK)
    monkeypatch.setenv("ATELIER_GENERATOR", "local")
    await doors.open(model=str(base), max_tokens=16, administrators=(chat.account(ann),))
    memory = doors.house.store.memory
    platform, _, user = chat.account(bob).partition(":")
    rated(memory, f"{platform}:{TENANT}:{user}")

    chat.orders(ann, "finetune run rated recipe quick name loop")
    await until(doors, lambda: chat.shown(ann) and "Train" in last(chat, ann).buttons)
    asked = last(chat, ann)
    assert "rows to learn from" in asked.text
    assert "steps: about" in asked.text
    assert asked.buttons == ("Train", "Discard")
    assert jobs.get().state is State.QUEUED

    chat.presses(ann, asked, "Train")
    await until(doors, lambda: jobs.get().state is State.RUNNING)
    await doors.restart()  # whoever serves next follows the same job in the same message
    await until(doors, lambda: jobs.get().is_over)
    job = jobs.get()
    assert (job.state, job.version) == (State.SUCCEEDED, "loop-1"), job.reason
    await until(doors, lambda: any("Make loop-1 live" in each.buttons for each in chat.shown(ann)))
    await doors.settle()
    followed = [each for each in chat.shown(ann) if "Fine-tuning" in each.text]
    assert len(followed) == 1
    assert "loop-1 is trained, and the gate lets it through." in followed[0].text
    assert pictures(chat, ann) == 1

    assert doors.house.watch is not None
    assert doors.house.watch.live == ""
    chat.presses(ann, followed[0], "Make loop-1 live")
    await until(doors, lambda: doors.house.watch is not None and doors.house.watch.live == "loop-1")
    chat.says(bob, "Hello, how are you today?")  # small talk: claims that no passage supports are not shown
    await doors.settle()
    assert doors.held(chat.account(bob)).turns[-1].adapter == "loop-1"

    chat.orders(ann, "finetune rollback")
    await until(doors, lambda: doors.house.watch is not None and not doors.house.watch.live)
    chat.says(bob, "And where is the piano?")
    await doors.settle()
    assert doors.held(chat.account(bob)).turns[-1].adapter is None
