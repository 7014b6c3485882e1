"""The running bot follows the registry within seconds, keeps what works when the new fails, and says why."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from agent.generation.adapters import base_fingerprint, template_fingerprint
from agent.generation.local import LocalGenerator
from agent.generation.versions import Versions
from agent.message import Place
from agent.understanding import SHIPPED, Understander
from finetune.registry import AdapterRegistry, Learned
from finetune.registry_tables import pieces
from finetune.registry_watch import Watch
from retrieval.database import writing
from retrieval.encoder import TransformerEncoder
from retrieval.errors import HeadError, ModelFailed, ModelFolderError
from retrieval.files import write_folder_atomically
from tests.agent.models import TEMPLATE, build_adapter, build_model
from tests.agent.test_adapters import alone
from tests.agent.test_adapters import sealed as seal
from tests.agent.test_local import GREEDY, own_words, prompt, reply
from tests.finetune.adapters import sealed

pytestmark = [
    pytest.mark.parametrize("engine", ["sqlite"], indirect=True),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),  # peft 0.21 on this torch
]
EVERYONE = frozenset({"acme/everyone"})
HERE = Place("slack", "acme", "C1", "1.0")


class Shelf:
    """A carrier that only keeps names. refuses: names that it cannot load. slow: held until the event is set."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.refuses: dict[str, Exception] = {}
        self.slow: threading.Event | None = None

    def add_adapter(self, name: str, folder: str | Path) -> None:
        assert (Path(folder) / "adapter_config.json").exists()
        if self.slow is not None:
            assert self.slow.wait(20)
        if name in self.refuses:
            raise self.refuses[name]
        self.loaded.append(name)

    def remove_adapter(self, name: str) -> None:
        self.loaded.remove(name)


@pytest.fixture
def registry(engine: Engine, tmp_path: Path) -> AdapterRegistry:
    made = AdapterRegistry(engine, tmp_path / "versions")
    for number in range(4):
        made.add("team", sealed(tmp_path / f"adapter-{number}", bytes([number])))
    return made


class Bot:
    """A watch over a shelf, looked at by hand or started."""

    def __init__(self, registry: AdapterRegistry, **settings: float) -> None:
        self.shelf, self.versions, self.notices = Shelf(), Versions(), list[str]()
        self.watch = Watch(registry, self.versions, self.shelf, None, self.notices.append, **settings)

    def speaks_as(self, audiences: frozenset[str] = EVERYONE) -> str | None:
        name = self.versions.take(HERE, audiences)
        self.versions.release(name)
        return name


@pytest.fixture
def bot(registry: AdapterRegistry) -> Iterator[Bot]:
    made = Bot(registry, again=0.0)
    yield made
    made.watch.stop()


def until(condition: Callable[[], bool], seconds: float = 5.0) -> float:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() < start + seconds, "it never came true"
        time.sleep(0.01)
    return time.monotonic() - start


def test_it_follows_promotions_and_rollbacks_and_deletes_what_is_old(registry: AdapterRegistry, bot: Bot) -> None:
    bot.watch.look()
    assert bot.speaks_as() is None
    for name in ("team-1", "team-2", "team-3"):
        registry.promote(name)
        bot.watch.look()
        assert bot.speaks_as() == bot.watch.live == name
    assert bot.shelf.loaded == ["team-2", "team-3"], "the one before stays, for a rollback at once"
    registry.rollback()
    bot.watch.look()
    assert bot.speaks_as() == "team-2"
    registry.rollback()
    bot.watch.look()
    assert bot.speaks_as() is None
    assert bot.shelf.loaded == []
    assert bot.notices[-1] == "The model without an adapter answers from now on."
    assert bot.watch.problems == ()


def test_a_reply_in_flight_keeps_its_version_loaded(registry: AdapterRegistry, bot: Bot) -> None:
    registry.promote("team-1")
    bot.watch.look()
    speaking = bot.versions.take(HERE, EVERYONE)
    registry.promote("team-2")
    registry.promote("team-3")
    bot.watch.look()
    bot.watch.look()
    assert speaking == "team-1"
    assert "team-1" in bot.shelf.loaded
    bot.versions.release(speaking)
    bot.watch.look()
    assert sorted(bot.shelf.loaded) == ["team-2", "team-3"]


def test_a_reply_that_never_ends_does_not_keep_it_for_ever(registry: AdapterRegistry) -> None:
    bot = Bot(registry, drain=0.0)
    registry.promote("team-1")
    bot.watch.look()
    bot.versions.take(HERE, EVERYONE)
    registry.rollback()
    bot.watch.look()
    bot.watch.look()
    assert bot.shelf.loaded == []


def test_a_version_that_does_not_load_changes_nothing_and_is_told_once(
    registry: AdapterRegistry, bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    registry.promote("team-1")
    bot.watch.look()
    bot.shelf.refuses["team-2"] = ModelFolderError("It is of another base model.")
    registry.promote("team-2")
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            bot.watch.look()
    assert bot.speaks_as() == "team-1"
    assert bot.watch.problems == ("team-2 is not served: It is of another base model.",)
    assert bot.notices.count("team-2 is not served: It is of another base model.") == 1
    assert "another base model" in caplog.text
    del bot.shelf.refuses["team-2"]
    bot.watch.look()
    assert bot.speaks_as() == "team-2", "and it is tried again"
    assert bot.watch.problems == ()


def test_what_a_library_says_of_a_failure_stays_out_of_notices(registry: AdapterRegistry, bot: Bot) -> None:
    bot.shelf.refuses["team-1"] = RuntimeError("postgresql://user:secret@host")
    registry.promote("team-1")
    bot.watch.look()
    assert bot.watch.problems == ("team-1 is not served: loading it failed (RuntimeError).",)
    assert "secret" not in " ".join(bot.notices)


def test_a_fresh_worker_whose_live_version_is_damaged_takes_the_one_before(
    registry: AdapterRegistry, engine: Engine, tmp_path: Path
) -> None:
    registry.promote("team-1")
    registry.promote("team-2")
    weights = registry.get("team-2").files["adapter_model.safetensors"]["sha256"]
    with writing(engine) as connection:
        connection.execute(pieces.update().where(pieces.c.sha256 == weights).values(content=b"x"))
    bot = Bot(AdapterRegistry(engine, tmp_path / "another machine"))
    bot.watch.look()
    assert bot.speaks_as() == "team-1"
    assert "store's copy of team-2 is damaged" in bot.watch.problems[0]


def test_a_candidate_answers_its_share(registry: AdapterRegistry, bot: Bot) -> None:
    registry.promote("team-1")
    registry.set_candidate("team-2", share=0.0, channels=["C1"])
    bot.watch.look()
    assert bot.speaks_as() == "team-2"
    elsewhere = bot.versions.take(Place("slack", "acme", "C2"), EVERYONE)
    assert elsewhere == "team-1"
    registry.withdraw()
    bot.watch.look()
    assert bot.speaks_as() == "team-1"


def test_what_learned_from_the_few_is_kept_from_the_many(registry: AdapterRegistry, bot: Bot, tmp_path: Path) -> None:
    board = frozenset({"acme/board", "acme/everyone"})
    registry.add("board", sealed(tmp_path / "board", b"secret"), learned_from=Learned(audiences=board))
    registry.promote("team-1")
    registry.promote("board-1")
    bot.watch.look()
    assert bot.speaks_as(board) == "board-1"
    assert bot.speaks_as(EVERYONE) == "team-1"


def test_every_worker_follows_by_itself_and_a_rollback_waits_for_nothing(
    registry: AdapterRegistry, tmp_path: Path, engine: Engine
) -> None:
    registry.promote("team-1")
    bots = [Bot(AdapterRegistry(engine, tmp_path / f"machine-{n}"), seconds=0.1) for n in range(3)]
    for bot in bots:
        bot.watch.start()
        assert bot.speaks_as() == "team-1"
    registry.promote("team-2")
    until(lambda: all(bot.speaks_as() == "team-2" for bot in bots))
    for bot in bots:
        bot.shelf.slow = threading.Event()
    registry.set_candidate("team-3", share=1.0)  # loads for as long as it likes
    until(lambda: all(bot.watch._working.locked() for bot in bots))
    registry.rollback()
    assert until(lambda: all(bot.speaks_as() == "team-1" for bot in bots)) < 2
    for bot in bots:
        assert bot.shelf.slow is not None
        bot.shelf.slow.set()
        bot.watch.stop()


def test_a_store_that_is_away_leaves_all_as_it_is(registry: AdapterRegistry, bot: Bot, engine: Engine) -> None:
    registry.promote("team-1")
    bot.watch.look()
    with writing(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE version_aliases RENAME TO gone")
    for _ in range(2):
        bot.watch.look()
    assert bot.speaks_as() == "team-1"
    assert sum("cannot be read, what serves goes on" in each for each in bot.notices) == 1


def test_without_a_language_model_it_says_what_it_needs(registry: AdapterRegistry) -> None:
    notices: list[str] = []
    watch = Watch(registry, Versions(), None, None, notices.append)
    watch.look()
    assert notices == []
    registry.promote("team-1")
    watch.look()
    watch.look()
    assert len(notices) == 1
    assert "there is no language model to speak as it. Set generator to local" in notices[0]


def test_the_live_heads_understand_messages(
    registry: AdapterRegistry, encoder: TransformerEncoder, tmp_path: Path
) -> None:
    def copy(fresh: Path) -> None:
        for path in SHIPPED.iterdir():
            if path.name != "manifest.json":
                (fresh / path.name).write_bytes(path.read_bytes())
        card = (fresh / "intent.json").read_text().replace('"temperature": 1', '"temperature": 9', 1)
        (fresh / "intent.json").write_text(card)

    write_folder_atomically(tmp_path / "heads", copy, {"encoder": encoder.id})
    understander, notices = Understander(encoder), list[str]()
    watch = Watch(registry, Versions(), None, understander, notices.append)
    watch.look()
    shipped = understander.understand("How many days of leave do I have?")
    registry.promote(registry.add("heads", tmp_path / "heads", kind="heads").name)
    watch.look()
    own = understander.understand("How many days of leave do I have?")
    assert own.confidence != shipped.confidence
    write_folder_atomically(tmp_path / "odd", lambda fresh: (fresh / "intent.json").touch(), {"encoder": "other@1"})
    registry.promote(registry.add("heads", tmp_path / "odd", kind="heads").name)
    watch.look()
    assert understander.understand("How many days of leave do I have?").confidence == own.confidence
    assert "heads-2 is not used to understand messages" in notices[0]
    with pytest.raises(HeadError):
        understander.take(tmp_path / "odd")
    registry.rollback("heads")
    registry.rollback("heads")
    watch.look()
    assert understander.understand("How many days of leave do I have?").confidence == shipped.confidence


async def test_a_real_model_speaks_as_the_registry_says(engine: Engine, tmp_path: Path) -> None:
    tiny_model = build_model(tmp_path / "tiny")
    facts = {"base_sha256": base_fingerprint(tiny_model), "template_sha256": template_fingerprint(TEMPLATE)}
    registry = AdapterRegistry(engine, tmp_path / "versions")
    folders = []
    for seed in (1, 2):
        bare = build_adapter(tmp_path / f"bare-{seed}", tiny_model, seed=seed)
        folders.append(seal(bare, tmp_path / f"sealed-{seed}", method="lora", **facts))
        registry.add("team", folders[-1])
    generator, versions, notices = (
        LocalGenerator(tiny_model, device="cpu", dtype="float32", cache_bytes=1 << 21),
        Versions(),
        list[str](),
    )
    watch = Watch(registry, versions, generator, None, notices.append)
    for name, folder in (("team-1", folders[0]), ("team-2", folders[1])):
        registry.promote(name)
        await asyncio.to_thread(watch.look)
        speaker = versions.take(HERE, EVERYONE)
        assert speaker == name
        assert await reply(generator, prompt(), GREEDY, speaker) == alone(tiny_model, folder, prompt())
        versions.release(speaker)
    registry.rollback()
    registry.rollback()
    await asyncio.to_thread(watch.look)
    assert versions.take(HERE, EVERYONE) is None
    assert await reply(generator, prompt()) == own_words(tiny_model, prompt())
    assert generator.adapters == frozenset()
    with pytest.raises(ModelFailed):
        await reply(generator, prompt(), GREEDY, "team-2")
    other = build_model(tmp_path / "other", seed=5)
    facts |= {"base_sha256": base_fingerprint(other)}
    registry.add("odd", seal(tmp_path / "bare-1", tmp_path / "odd", method="lora", **facts))
    registry.promote("odd-1")
    await asyncio.to_thread(watch.look)
    assert "odd-1 is not served: It was trained on another base model" in watch.problems[0]
    assert await reply(generator, prompt()) == own_words(tiny_model, prompt())
    await generator.close()
