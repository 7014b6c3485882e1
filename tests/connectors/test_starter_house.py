"""The default that people meet: quotes, and the small model that comes with Atelier, with its true weights."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from agent.generation.fallback import FallbackGenerator
from agent.generation.starter import StarterGenerator, taught
from agent.message import Message, Turn
from connectors.compose import House, check_generator, open_house
from connectors.settings import load_settings
from retrieval.audience import everyone
from retrieval.loading import load

EVERYONE = frozenset({"local/everyone"})
LEAVE = "# Leave\n\nEverybody has 28 days of paid leave a year. Parents get 16 weeks at full pay.\n"
_numbers = count()


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ATELIER_GENERATOR", raising=False)
    monkeypatch.chdir(tmp_path)
    opened = await asyncio.to_thread(open_house, load_settings(), lambda _: None)
    (tmp_path / "leave.md").write_text(LEAVE)
    page = load(tmp_path / "leave.md")
    for _ in opened.knowledge.add_all(
        [opened.knowledge.entry("leave.md", page, content_hash="1", audience=everyone("local"))]
    ):
        pass
    yield opened
    await opened.close()


async def turn(house: House, text: str) -> Turn:
    author = house.store.memory.person("terminal:local:ann", EVERYONE)
    message = Message(f"m{next(_numbers)}", house.store.place, author, text, datetime.now(UTC), EVERYONE)
    return [each async for each in house.colleague.reply(message) if isinstance(each, Turn)][-1]


async def test_by_default_the_starter_makes_small_talk_and_reads_along(house: House) -> None:
    assert isinstance(house.generator, FallbackGenerator)
    assert isinstance(house.generator.primary, StarterGenerator)
    house.generator.primary._model.result(60)  # loaded: what is asked before is answered without it
    assert "quotes and a small model of its own" in house.introduction()
    assert check_generator(house.store.settings).startswith("starter: quotes, and a small model")

    hobby = await turn(house, "tell me a joke")
    assert hobby.reply.text in taught()
    assert hobby.reply.generator == "starter"
    assert not hobby.reply.notice

    assert "I am Atelier" in (await turn(house, "are you ChatGPT?")).reply.text
    answered = await turn(house, "How many days of paid leave does everybody have?")
    assert "28 days of paid leave" in answered.reply.text.replace("**", "")
    assert answered.reply.text.count("**") in (0, 2)
    assert [source.label.partition(",")[0] for source in answered.reply.sources] == ["leave.md"]

    with house.generator.primary._free:  # somebody else's message: whoever comes now is not made to wait
        said = await turn(house, "tell me a joke")
    assert said.reply.text
    assert said.reply.text not in taught()
