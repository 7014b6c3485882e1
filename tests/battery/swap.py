"""Battery 20: versions are promoted, put on trial and rolled back while many talk; nothing fails, nothing is mixed."""

import asyncio
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from agent.colleague import Colleague, Manner
from agent.generation.adapters import BASE_FACT, METHOD_FACT, TEMPLATE_FACT, base_fingerprint, template_fingerprint
from agent.generation.fallback import FallbackGenerator
from agent.generation.generator import Limits
from agent.generation.local import LocalGenerator
from agent.generation.versions import Lineup, Offer, Versions
from agent.memory import Memory
from agent.message import Message, Move, Place, Turn
from agent.prompt import PERSONA
from agent.understanding import SHIPPED, Understander
from connectors.migrations import migrate
from finetune.recipe import Method
from finetune.registry import AdapterRegistry
from finetune.registry_watch import LOOK, Watch
from retrieval.database import open_database
from retrieval.files import read_manifest
from retrieval.knowledge import KnowledgeBase
from tests.agent.models import TEMPLATE, build_model
from tests.agent.test_adapters import tuned
from tests.battery.house import Echo, HashEncoder
from tests.benchmarks import Report

EVERYONE = frozenset({"acme/everyone"})
FEWEST = 12  # replies that a run is judged by
QUESTIONS = tuple(f"What about {word}?" for word in "leave pay tea rooms trains lamps".split())
METHODS = (Method.LORA, Method.HOULSBY, Method.DORA, Method.RSLORA)
LIMITS = Limits(max_tokens=12, temperature=0.0, repetition_penalty=1.0)
_numbers = count()


@dataclass
class Worker:
    """One process's share of the bot: a model of its own, following the one store."""

    store: str
    home: Path
    base: Path
    pace: float
    notices: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        encoder = HashEncoder()
        self.engine = open_database(self.store)
        self.generator = LocalGenerator(self.base, device="cpu", dtype="float32", cache_bytes=1 << 21)
        self.versions = Versions()
        registry = AdapterRegistry(self.engine, self.home / "versions")
        self.watch = Watch(registry, self.versions, self.generator, None, self.notices.append, seconds=self.pace)
        manner = Manner(PERSONA, LIMITS, 1, history_tokens=200, allowed_links=(), adapter=None)
        self.knowledge = KnowledgeBase(self.engine, self.home / "index", encoder)
        self.memory = Memory(self.engine)
        understander = Understander(encoder, SHIPPED)
        generator = FallbackGenerator(self.generator, Echo())
        self.colleague = Colleague(
            self.knowledge, understander, generator, self.memory, encoder.count_tokens, manner, self.versions
        )
        self.person = self.memory.person("terminal:acme:ann", EVERYONE)

    async def ask(self, question: str) -> Turn:
        """The turn of a question in a conversation of its own."""
        number = next(_numbers)
        place = Place("terminal", "acme", "C1", str(number))
        message = Message(f"m{number}", place, self.person, question, datetime.now(UTC), EVERYONE)
        return [each async for each in self.colleague.reply(message, Move.CHAT) if isinstance(each, Turn)][-1]

    async def close(self) -> None:
        await asyncio.to_thread(self.watch.stop)
        await self.generator.close()
        self.knowledge.close()
        self.engine.dispose()


@dataclass(frozen=True, slots=True)
class Said:
    """A reply under load. begun: on the monotonic clock. failure: what went wrong, or empty."""

    question: str
    begun: float
    version: str | None
    text: str
    failure: str


async def talk(worker: Worker, until: asyncio.Event, said: list[Said], first: int) -> None:
    """One conversation partner after the other, without a pause, until the end."""
    for number in count(first):
        if until.is_set():
            return
        question, begun = QUESTIONS[number % len(QUESTIONS)], time.monotonic()
        try:
            turn = await worker.ask(question)
        except Exception as error:  # noqa: BLE001 - a failed reply is what is counted
            said.append(Said(question, begun, None, "", type(error).__name__))
            continue
        said.append(Said(question, begun, turn.adapter, turn.reply.text, turn.reply.notice))


async def references(worker: Worker, registry: AdapterRegistry) -> dict[tuple[str | None, str], str]:
    """What each version says to each question when nobody else talks."""
    found: dict[tuple[str | None, str], str] = {}
    for name in (None, *(each.name for each in registry.versions())):
        if name is not None:
            await asyncio.to_thread(worker.generator.add_adapter, name, registry.fetch(name))
        worker.versions.flip(Lineup(Offer(name) if name else None))
        for question in QUESTIONS:
            turn = await worker.ask(question)
            assert turn.adapter == name
            found[name, question] = turn.reply.text
        if name is not None:
            await asyncio.to_thread(worker.generator.remove_adapter, name)
    worker.versions.flip(Lineup())
    return found


async def change(registry: AdapterRegistry, workers: Sequence[Worker], rounds: int) -> list[tuple[float, str, float]]:
    """Promote, try, roll back; of each rollback when it was made, from which version, and when that came again."""
    names = [each.name for each in registry.versions()]
    rollbacks: list[tuple[float, str, float]] = []

    async def follow(live: str) -> None:
        ends = time.monotonic() + 60
        while any(worker.watch.live != live for worker in workers):
            assert time.monotonic() < ends, "a worker never followed"
            await asyncio.sleep(0.02)

    await asyncio.to_thread(registry.promote, names[0])
    await follow(names[0])
    for number in range(rounds):
        good, new = names[number % len(names)], names[(number + 1) % len(names)]
        if number % 2:
            await asyncio.to_thread(registry.set_candidate, new, share=0.5)
            await asyncio.sleep(3)
        await asyncio.to_thread(registry.promote, new)
        await follow(new)
        await asyncio.sleep(0.5)
        began = time.monotonic()
        await asyncio.to_thread(registry.rollback)
        await follow(good)
        await asyncio.sleep(0.5)  # a worker that went on as before would show it now
        rollbacks.append((began, new, time.monotonic()))
        await asyncio.to_thread(registry.promote, new)
        await follow(new)
    return rollbacks


async def swap(
    folder: Path, *, workers: int, talkers: int, rounds: int, methods: Sequence[Method] = METHODS, pace: float = LOOK
) -> Mapping[str, str | int | float]:
    """The counts of one run."""
    base = build_model(folder / "base")
    store = f"sqlite:///{folder / 'store.db'}"
    engine = open_database(store)
    migrate(engine)
    registry = AdapterRegistry(engine, folder / "admin")
    facts = {BASE_FACT: base_fingerprint(base), TEMPLATE_FACT: template_fingerprint(TEMPLATE)}
    for seed, method in enumerate(methods, 1):
        sealed = tuned(base, folder / method.value, method, seed)
        assert {**facts, METHOD_FACT: method.value} == read_manifest(sealed)
        registry.add("team", sealed)
    staff = [Worker(store, folder / f"worker-{number}", base, pace) for number in range(workers)]
    expected = await references(staff[0], registry)
    for worker in staff:
        await asyncio.to_thread(worker.watch.start)
    said: list[Said] = []
    ended = asyncio.Event()
    talks = [asyncio.create_task(talk(worker, ended, said, number)) for worker in staff for number in range(talkers)]
    started = time.monotonic()
    try:
        rollbacks = await change(registry, staff, rounds)
        while len(said) < FEWEST:  # noqa: ASYNC110 - on a busy machine people have said little until then
            await asyncio.sleep(0.05)
    finally:
        ended.set()
        await asyncio.gather(*talks)
    seconds = time.monotonic() - started
    await asyncio.to_thread(staff[0].watch.look)
    loaded = len(staff[0].generator.adapters)
    for worker in staff:
        await worker.close()
    engine.dispose()
    by_version = Counter(each.version for each in said if not each.failure)
    lasting = [
        max((each.begun - at for each in said if each.version == bad and at < each.begun < after), default=0.0)
        for at, bad, after in rollbacks
    ]
    told_apart = sum(len({expected[name, q] for name in by_version}) == len(by_version) for q in QUESTIONS)
    return {
        "workers": workers,
        "seconds": round(seconds, 1),
        "replies": len(said),
        "failed": sum(bool(each.failure) for each in said),
        "not its version's words": sum(
            not each.failure and each.text != expected[each.version, each.question] for each in said
        ),
        "versions that answered": len(by_version),
        "questions that tell them apart": f"{told_apart} of {len(QUESTIONS)}",
        "rollbacks": len(rollbacks),
        "slowest rollback s": round(max(lasting), 2),
        "left loaded": loaded,
        "problems": sum(len(worker.watch.problems) for worker in staff),
    }


def run(quick: bool) -> Report:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft 0.21 on transformers 5.23
        if quick:
            work = swap(Path(folder), workers=1, talkers=2, rounds=1, methods=METHODS[:2], pace=0.2)
        else:
            work = swap(Path(folder), workers=2, talkers=6, rounds=12)
        row = asyncio.run(work)
    models = (
        "Real models (two layers, random weights, float32) in each worker, one SQLite store, the shipped watch at its "
        "own pace; versions by LoRA, rsLoRA, Houlsby (shared weights) and DoRA (a model of its own)."
    )
    counted = (
        "not its version's words: replies that differ in a character from what the version that the turn names says to "
        "the same question alone. slowest rollback: from the rollback to the last reply that was begun by the version "
        "that was taken back; its next promotion ends the count."
    )
    return Report("battery swap", "Does changing versions under load cost or mix an answer?", [row], (models, counted))
