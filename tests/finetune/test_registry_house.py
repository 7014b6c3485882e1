"""The whole bot with a model of its own: promoted in the store, spoken in the next reply, remembered in its turn."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from agent.generation.adapters import base_fingerprint, template_fingerprint
from agent.message import Message, Move, Place, Turn
from connectors.compose import House, open_house
from connectors.settings import load_settings
from finetune.recipe import Method
from finetune.registry import Learned
from retrieval.errors import ModelFailed
from tests.agent.models import TEMPLATE, build_adapter, build_model
from tests.agent.test_adapters import sealed as seal
from tests.agent.test_adapters import tuned

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft 0.21 on this torch
EVERYONE, BOARD = frozenset({"local/everyone"}), frozenset({"local/everyone", "local/board"})
_numbers = count()


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    base = build_model(tmp_path / "base", window=4096)
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    settings = load_settings(generator="local", model=str(base), device="cpu", temperature=0.0, max_tokens=16)
    opened = await asyncio.to_thread(open_house, settings, lambda _: None)
    facts = {"base_sha256": base_fingerprint(base), "template_sha256": template_fingerprint(TEMPLATE), "method": "lora"}
    for seed in (1, 2):
        bare = build_adapter(tmp_path / f"a{seed}", base, seed=seed)
        opened.store.registry.add("team", seal(bare, tmp_path / f"s{seed}", **facts))
    secret = tuned(base, tmp_path / "secret", Method.DORA)
    opened.store.registry.add("board", secret, learned_from=Learned(audiences=BOARD))
    yield opened
    await opened.close()


async def turn(house: House, readers: frozenset[str] = EVERYONE, channel: str = "C1") -> Turn:
    number = next(_numbers)
    author = house.store.memory.person("terminal:local:ann", BOARD)
    place = Place("terminal", "local", channel, str(number))
    message = Message(f"m{number}", place, author, "Hello, how are you?", datetime.now(UTC), readers)
    return [each async for each in house.colleague.reply(message, Move.CHAT) if isinstance(each, Turn)][-1]


async def follows(house: House, live: str) -> float:
    """Seconds until the bot has followed by itself."""
    assert house.watch is not None
    start = time.monotonic()
    while house.watch.live != live:
        assert time.monotonic() < start + 20, house.watch.problems
        await asyncio.sleep(0.02)
    return time.monotonic() - start


async def test_a_version_is_promoted_spoken_remembered_and_rolled_back(house: House) -> None:
    registry = house.store.registry
    bare = await turn(house)
    assert bare.adapter is None
    said = {bare.reply.text}
    for name in ("team-1", "team-2"):
        registry.promote(name)
        await follows(house, name)
        spoken = await turn(house)
        assert house.store.memory.turn(spoken.id).adapter == spoken.adapter == name
        said.add(spoken.reply.text)
    assert len(said) == 3
    registry.rollback()
    assert await follows(house, "team-1") < 5
    assert (await turn(house)).adapter == "team-1"

    registry.set_candidate("team-2", share=0.0, channels=["C9"])
    end = time.monotonic() + 20
    while (await turn(house, channel="C9")).adapter != "team-2":
        assert time.monotonic() < end
    assert (await turn(house)).adapter == "team-1"

    registry.promote("board-1")
    await follows(house, "board-1")
    assert (await turn(house, BOARD)).adapter == "board-1"
    assert (await turn(house, EVERYONE)).adapter == "team-1", "what it learned is not for everyone"


async def test_a_turn_that_the_fallback_spoke_names_no_version(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.store.registry.promote("team-1")
    await follows(house, "team-1")

    def fails(*_: object) -> None:
        raise ModelFailed("The model has failed.")

    monkeypatch.setattr("agent.generation.local.LocalGenerator._submit", fails)
    spoken = await turn(house)
    assert spoken.adapter is None
    assert spoken.reply.generator == "extractive"
    assert "without the language model" in spoken.reply.notice
