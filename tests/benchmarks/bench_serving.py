"""What a version costs: to add and fetch, to load and take away, to speak as, and to look for every two seconds."""

import asyncio
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import psutil
import torch

from agent.generation.adapters import BASE_FACT, METHOD_FACT, TEMPLATE_FACT
from agent.generation.generator import Limits
from agent.generation.local import LocalGenerator
from agent.generation.versions import Versions
from agent.message import History, Intent, Move, Prompt
from connectors.migrations import migrate
from finetune.recipe import Method
from finetune.registry import AdapterRegistry
from finetune.registry_watch import Watch
from retrieval.database import open_database
from retrieval.files import write_folder_atomically
from tests.agent.models import build_model
from tests.agent.test_adapters import tuned
from tests.benchmarks import Cell, Report
from tests.benchmarks.bench_generation import MESSAGE, SIZES, TALKATIVE, THREADS

CHATS = 16
MEGABYTES = 50  # of a version in the store


def timed(work: Callable[[], object], repeats: int) -> float:
    """Median milliseconds."""
    took = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        took.append(1000 * (time.perf_counter() - start))
    return median(took)


def registry_rows(folder: Path, megabytes: int) -> list[dict[str, Cell]]:
    """Adding, fetching and checking a version, and a look at the aliases."""
    engine = open_database(f"sqlite:///{folder / 'store.db'}")
    migrate(engine)
    registry = AdapterRegistry(engine, folder / "here")
    rows: list[dict[str, Cell]] = []

    def fill(fresh: Path, seed: int) -> None:
        (fresh / "adapter_config.json").write_text("{}")
        (fresh / "adapter_model.safetensors").write_bytes(random.Random(seed).randbytes(megabytes << 20))

    facts: dict[str, object] = {BASE_FACT: "b" * 64, TEMPLATE_FACT: "t" * 64, METHOD_FACT: "lora"}
    for seed in range(3):
        write_folder_atomically(folder / f"adapter-{seed}", partial(fill, seed=seed), facts)
    seeds = iter(range(3))
    rows.append(
        {"what": f"add {megabytes} MB", "ms": timed(lambda: registry.add("a", folder / f"adapter-{next(seeds)}"), 3)}
    )
    machines = iter(range(3))
    fetch = partial(timed, lambda: AdapterRegistry(engine, folder / f"there-{next(machines)}").fetch("a-1"), 3)
    rows.append({"what": f"fetch {megabytes} MB on a new machine", "ms": fetch()})
    registry.fetch("a-1")
    rows.append({"what": "check it again", "ms": timed(lambda: registry.fetch("a-1"), 5)})
    watch = Watch(registry, Versions(), None, None, lambda _: None)
    watch.look()
    rows.append({"what": "a look at the aliases, nothing new", "ms": timed(watch.look, 50)})
    engine.dispose()
    return rows


async def rate(generator: LocalGenerator, speakers: Sequence[str | None], limits: Limits, repeat: int) -> float:
    """Tokens a second of CHATS conversations, spread over the speakers."""
    asked = [
        Prompt("You are Atelier.", History(), f"Chat {repeat}.{i}: {MESSAGE * 2}", Intent.SMALL_TALK, Move.CHAT)
        for i in range(CHATS)
    ]

    async def one(number: int) -> None:
        async for _ in generator.stream(asked[number], speakers[number % len(speakers)], limits):
            pass

    start = time.perf_counter()
    await asyncio.gather(*map(one, range(CHATS)))
    return CHATS * limits.max_tokens / (time.perf_counter() - start)


async def first_word(generator: LocalGenerator, speaker: str | None, limits: Limits) -> float:
    """Milliseconds to the first piece."""
    start = time.perf_counter()
    prompt = Prompt("You are Atelier.", History(), MESSAGE, Intent.SMALL_TALK, Move.CHAT)
    async for _ in generator.stream(prompt, speaker, replace(limits, max_tokens=2)):
        break
    return 1000 * (time.perf_counter() - start)


async def model_rows(size: str, base: Path, folder: Path, tokens: int) -> list[dict[str, Cell]]:
    """Loading, speaking and taking away, by method."""
    generator = LocalGenerator(base, device="cpu", dtype="bfloat16")
    generator._loaded = replace(generator._loaded, ends=())
    limits, process = Limits(tokens, 0.0, repetition_penalty=1.0, deadline=600.0), psutil.Process()
    folders = {
        each: tuned(base, folder / each.value, each, scale=0.01) for each in (Method.LORA, Method.HOULSBY, Method.DORA)
    }
    rows: list[dict[str, Cell]] = []
    _ = generator.fingerprint  # once for a process
    bare = median([await rate(generator, [None], limits, repeat) for repeat in range(3)])
    rows.append({"what": f"{size}: {CHATS} chats, the bare model", "tokens/s": bare, "ratio": 1.0})
    for method, sealed in folders.items():
        before, start = process.memory_info().rss, time.perf_counter()
        await asyncio.to_thread(generator.add_adapter, method.value, sealed)
        took = 1000 * (time.perf_counter() - start)
        grown = (process.memory_info().rss - before) / 1e6
        rows.append({"what": f"{size}: load {method.value}", "ms": took, "MB more": grown})
        rows.append(
            {
                "what": f"{size}: first word as {method.value}, its engine new",
                "ms": await first_word(generator, method.value, limits),
            }
        )
        own = median([await rate(generator, [method.value], limits, repeat) for repeat in range(3)])
        rows.append({"what": f"{size}: {CHATS} chats as {method.value}", "tokens/s": own, "ratio": own / bare})
    for mixed in ([None, "lora"], [None, "lora", "houlsby"]):
        both = median([await rate(generator, mixed, limits, repeat) for repeat in range(3)])
        shown = " and ".join(name or "bare" for name in mixed)
        rows.append({"what": f"{size}: {CHATS} chats spread over {shown}", "tokens/s": both, "ratio": both / bare})
    for method in folders:
        took = await asyncio.to_thread(timed, partial(generator.remove_adapter, method.value), 1)
        rows.append({"what": f"{size}: take {method.value} away", "ms": took})
    await generator.close()
    return rows


def run(quick: bool) -> Report:
    size, tokens = ("tiny", 4) if quick else ("42M", 48)
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft 0.21 on transformers 5.23
            rows = registry_rows(Path(name), 2 if quick else MEGABYTES)
            sizes = SIZES[size] | {"window": 4096, "tied": True, "dtype": torch.bfloat16, "template": TALKATIVE}
            base = build_model(Path(name) / "base", **sizes)
            rows += asyncio.run(model_rows(size, base, Path(name), tokens))
    finally:
        torch.set_num_threads(threads)
    notes = (
        f"A model with random weights in bfloat16 and no end token, greedy, torch on {THREADS} threads; SQLite.",
        "LoRA and Houlsby share the base model's weights; DoRA has a model of its own.",
        "Each version that speaks has an engine with a cache of its own, which is not in the megabytes of loading.",
    )
    return Report("serving", "What does a version cost to keep, to load and to speak as?", rows, notes)
