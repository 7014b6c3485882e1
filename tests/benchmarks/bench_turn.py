"""What a turn adds around the generator: understand, search 100,000 passages, prompt, clean, remember."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from agent.colleague import Colleague, Manner
from agent.generation.generator import Limits, Piece
from agent.memory import Memory
from agent.message import History, Message, Place, Prompt, Turn
from agent.prompt import PERSONA
from agent.understanding import Understander
from retrieval.database import metadata, open_database, writing
from retrieval.encoder import TransformerEncoder
from tests.benchmarks import Cell, Report
from tests.benchmarks.bench_index import REAL, enlarge, made_up_vectors, real_vectors
from tests.benchmarks.bench_search import filled, questions

TURNS_A_PLACE = 10
EVERYONE = frozenset({"acme/everyone"})
REPLY = "The documents say so in the first passage [1]. "


class Stub:
    """A generator that costs nothing."""

    name = "stub"

    async def stream(self, prompt: Prompt, adapter: str | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        for word in REPLY.split(" "):
            yield Piece(f"{word} ")

    async def close(self) -> None:
        pass


def milliseconds(call: Callable[[int], object], repeats: int) -> list[float]:
    spent = []
    for i in range(-5, repeats):
        start = time.perf_counter()
        call(i % repeats)
        if i >= 0:
            spent.append((time.perf_counter() - start) * 1e3)
    return spent


async def turns(colleague: Colleague, memory: Memory, asked: list[str]) -> list[float]:
    spent = []
    author = memory.person("terminal:acme:ann", EVERYONE)
    for i, question in enumerate(asked):
        place = Place("terminal", "acme", f"channel-{i // TURNS_A_PLACE}")
        message = Message(f"m{i}", place, author, question, datetime.now(UTC), EVERYONE)
        start = time.perf_counter()
        async for event in colleague.reply(message):
            assert isinstance(event, Piece | Turn)
        spent.append((time.perf_counter() - start) * 1e3)
    return spent[TURNS_A_PLACE:]  # the first conversation warms up


def row(part: str, spent: list[float]) -> dict[str, Cell]:
    return {"part": part, "median, ms": statistics.median(spent), "p99, ms": float(np.percentile(spent, 99))}


def run(quick: bool) -> Report:
    """quick: 5,000 passages and 30 turns instead of 100,000 and 300."""
    passages, repeats = (5_000, 30) if quick else (100_000, 300)
    real = None if quick else real_vectors(REAL)
    vectors = made_up_vectors(passages)[0] if real is None else enlarge(real[0], passages)
    encoder = TransformerEncoder()
    asked = questions(repeats + TURNS_A_PLACE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = filled(folder, vectors, encoder)
        engine = open_database(f"sqlite:///{folder / 'memory.db'}")
        metadata.create_all(engine)
        memory, understander = Memory(engine), Understander(encoder)
        manner = Manner(PERSONA, Limits(), passages=5, history_tokens=1500, allowed_links=(), adapter=None)
        colleague = Colleague(base, understander, Stub(), memory, encoder.count_tokens, manner)
        whole = asyncio.run(turns(colleague, memory, asked))

        def commit(_: int) -> None:
            with writing(engine) as connection:
                connection.execute(sa.text("UPDATE persons SET consent = NOT consent"))

        def count(_: int) -> History:
            return memory.history(Place("terminal", "acme", "channel-1"), 1500, encoder.count_tokens)

        embedding = encoder(asked[:1])
        rows = [
            row("whole turn", whole),
            row(
                "understand: one encoder pass and two heads",
                milliseconds(lambda i: understander.understand(asked[i]), repeats),
            ),
            row("search", milliseconds(lambda i: base.search(asked[i], EVERYONE, 5, embedding=embedding[0]), repeats)),
            row("history of ten turns", milliseconds(count, repeats)),
            row("limit: the bare encoder pass", milliseconds(lambda i: encoder([asked[i]]), repeats)),
            row("limit: one durable commit", milliseconds(commit, repeats)),
        ]
        base.close()
    return Report(
        name="turn",
        question=f"What does a turn add around the generator, over {passages:,} passages?",
        rows=rows,
        notes=(
            f"{repeats} turns in conversations of {TURNS_A_PLACE}, with a generator that costs nothing.",
            "The commit waits for the disk (synchronous=FULL); it is after the last word, so nobody waits for it.",
        ),
    )
