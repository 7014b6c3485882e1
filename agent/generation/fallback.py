"""A model that fails, hangs or is full never costs the answer: another generator gives it, and the reply says so."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator

from agent.generation.generator import Generator, Limits, Piece
from agent.message import Prompt
from retrieval.errors import GeneratorError, ModelFailed, Overloaded

_log = logging.getLogger(__name__)


class FallbackGenerator:
    """Streams `primary`; when that fails, starts the reply over with `fallback`, with a notice.

    patience: seconds until the first piece; the limits' deadline holds for the whole. Both the time that `primary`
    lost and what it had said are gone: the fallback's first piece replaces them.
    """

    def __init__(self, primary: Generator, fallback: Generator, *, patience: float = 30.0) -> None:
        self.primary = primary
        self._fallback = fallback
        self._patience = patience

    @property
    def name(self) -> str:
        return self.primary.name

    async def stream(self, prompt: Prompt, adapter: str | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """Pieces of `primary`, or after its failure those of `fallback`: the first replaces and says why."""
        try:
            # An abandoned inner generator would hold its slot in the model until it is collected.
            async with contextlib.aclosing(
                self._in_time(self.primary.stream(prompt, adapter, limits), limits)
            ) as pieces:
                async for piece in pieces:
                    yield piece
        except Exception as error:  # noqa: BLE001 - a model's libraries may raise anything
            if not isinstance(error, GeneratorError):
                _log.error("The language model raised %s.", type(error).__name__)  # its words may quote the prompt
            notice = f"{_reason(error)} This reply was made without the language model."
            async for piece in self._fallback.stream(prompt, None, limits):
                yield Piece(piece.text, replaces=bool(notice), notice=notice, by=self._fallback.name)
                notice = ""

    async def _in_time(self, pieces: AsyncGenerator[Piece, None], limits: Limits) -> AsyncGenerator[Piece, None]:
        clock = asyncio.get_running_loop().time
        end = clock() + limits.deadline
        patience = min(self._patience, limits.deadline)
        try:
            while True:
                try:
                    piece = await asyncio.wait_for(anext(pieces), patience)
                except StopAsyncIteration:
                    return
                except TimeoutError as error:
                    raise ModelFailed("The language model took too long.") from error
                yield piece
                patience = max(end - clock(), 0.0)
        finally:
            with contextlib.suppress(Exception):
                await pieces.aclose()

    async def close(self) -> None:
        await self.primary.close()
        await self._fallback.close()


def _reason(error: Exception) -> str:
    if isinstance(error, Overloaded):
        return "The language model is busy."
    return str(error) if isinstance(error, ModelFailed) else "The language model failed."
