"""A house without a language model and without torch: real store, memory, colleague; a toy encoder and an echo.

The echo answers each message by its token, so that whoever looks at a chat can tell which message an answer belongs to.
"""

import asyncio
import re
import zlib
from collections.abc import AsyncGenerator, Callable, Sequence
from threading import Event, Thread
from typing import TYPE_CHECKING, cast

import numpy as np

from agent.colleague import Colleague, Manner
from agent.generation.fallback import FallbackGenerator
from agent.generation.generator import Generator, Limits, Piece
from agent.message import Prompt
from agent.prompt import PERSONA
from agent.understanding import SHIPPED, Understander
from connectors.compose import House, open_store
from connectors.settings import Settings
from retrieval.knowledge import KnowledgeBase
from retrieval.passage import Vectors

if TYPE_CHECKING:
    from retrieval.encoder import TransformerEncoder

TOKEN = re.compile(r"\b[a-z]+-\d+\b")
LONG = 4_500  # characters: two messages on either platform


class HashEncoder:
    """Words hashed into a few dimensions: deterministic and at once there."""

    id, dim = "hash", 64

    def __call__(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.dim), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in [*text.lower().split(), "-"]:
                row[zlib.crc32(word.encode()) % self.dim] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def pieces(self, text: str) -> list[str]:
        return text.split()


class Echo:
    """Says "Answer to TOKEN. … End of TOKEN.": by its number slowly, in one piece or otherwise; some at length."""

    name = "echo"

    def __init__(self) -> None:
        self.begun = self.ended = 0

    async def stream(self, prompt: Prompt, adapter: str | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        found = TOKEN.search(prompt.message)
        token = found[0] if found else "nobody-0"
        number = int(token.rpartition("-")[2])
        self.begun += 1
        try:
            if number % 3 == 2:
                yield Piece(f"Answer to {token}. End of {token}.")
                return
            yield Piece(f"Answer to {token}. ")
            for word in range(8 if number % 3 == 1 else 2):
                await asyncio.sleep(0.15 if number % 3 == 1 else 0.01)
                yield Piece(f"Word {word}. ")
            if number % 7 == 0:
                yield Piece("More words. " * (LONG // 12))
            yield Piece(f"End of {token}.")
        finally:
            self.ended += 1

    async def close(self) -> None: ...


class Silence:
    """Begins and never goes on, until it is closed."""

    name = "silence"

    def __init__(self) -> None:
        self.begun = self.ended = 0

    async def stream(self, prompt: Prompt, adapter: str | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        self.begun += 1
        try:
            yield Piece("One moment. ")
            await asyncio.Event().wait()
        finally:
            self.ended += 1

    async def close(self) -> None: ...


def open_house(settings: Settings, make: Callable[[], Generator] = Echo) -> House:
    """As `connectors.compose.open_house`. generator = remote: the settings' server, with the echo to fall back on."""
    store, encoder = open_store(settings), HashEncoder()
    knowledge = KnowledgeBase(store.engine, store.index, encoder)
    generator = make()
    if settings.generator == "remote":
        from agent.generation.remote import RemoteGenerator

        generator = FallbackGenerator(RemoteGenerator(settings.remote_url, settings.remote_model), generator)
    limits = Limits(settings.max_tokens, settings.temperature, settings.top_p, deadline=settings.deadline)
    manner = Manner(PERSONA, limits, settings.passages, settings.history_tokens, settings.allowed_links, None)
    understander = Understander(encoder, SHIPPED)  # plain rules: the heads are another encoder's
    colleague = Colleague(knowledge, understander, generator, store.memory, encoder.count_tokens, manner)
    seeming = cast("TransformerEncoder", encoder)  # House asks no more of it than HashEncoder has
    return House(store, seeming, knowledge, generator, colleague, Event(), Thread())
