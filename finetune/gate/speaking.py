"""What two versions say and how surprised they are, measured in the very generator that serves them."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from agent.generation.generator import Limits
from agent.generation.local import LocalGenerator
from agent.generation.rendering import ChatMessage
from finetune.example import Example
from retrieval.errors import ModelFailed

CANDIDATE, LIVE = "candidate", "live"
AT_ONCE = 32  # conversations answered side by side
Told = Callable[[int], None]  # hears of each row that is done; may raise to end the gate


class Speakers:
    """The base model with the candidate and the live adapter on it. live: None for the bare base model."""

    def __init__(self, base: str | Path, candidate: Path, live: Path | None, *, device: str | None = None) -> None:
        """Load them; takes seconds. Raises ModelFolderError when an adapter does not fit."""
        self._generator = LocalGenerator(base, device=device, queue=AT_ONCE)
        try:
            self._generator.add_adapter(CANDIDATE, candidate)
            if live is not None:
                self._generator.add_adapter(LIVE, live)
        except BaseException:
            self.close()
            raise
        self._names = {CANDIDATE: CANDIDATE, LIVE: LIVE if live is not None else None}

    def losses(self, who: str, examples: Sequence[Example], told: Told) -> list[float]:
        """Mean loss of each example's learned tokens, in nats."""
        found = []
        for example in examples:
            each = self._generator.token_losses(example.messages, self._names[who], untrained=example.untrained)
            found.append(sum(each) / max(1, len(each)))
            told(1)
        return found

    def replies(self, who: str, conversations: Sequence[Sequence[ChatMessage]], tokens: int, told: Told) -> list[str]:
        """The reply to each conversation, greedily; "" where the model says nothing or the conversation is too long.

        tokens: the most that a reply may have.
        """
        limits = Limits(tokens, 0.0, repetition_penalty=1.0, deadline=600.0)
        return asyncio.run(self._replies(self._names[who], conversations, limits, told))

    async def _replies(
        self, name: str | None, conversations: Sequence[Sequence[ChatMessage]], limits: Limits, told: Told
    ) -> list[str]:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(messages: Sequence[ChatMessage]) -> str:
            said = ""
            async with slots:
                with suppress(ModelFailed):
                    said = await self._generator.complete(messages, name, limits)
            told(1)
            return said

        return list(await asyncio.gather(*map(one, conversations)))

    def fits(self, messages: Sequence[ChatMessage]) -> bool:
        """Whether a conversation can be read whole."""
        return self._generator.count_tokens(messages) <= self._generator.window

    def close(self) -> None:
        asyncio.run(self._generator.close())
