"""The seam every generator fits: a prompt goes in, pieces of text come out as they are made."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from agent.message import Claim, Prompt


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the reply, to be appended to what came before.

    replaces: this piece starts the reply over (what was shown so far is void). notice: an open word about the reply
    that belongs beside it, not into it. by: who worded it, where that is another than the generator asked. claims: the
    sentences that were held against the passages since the last piece.
    """

    text: str
    replaces: bool = False
    notice: str = ""
    by: str = ""
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how freely a generator may speak.

    temperature 0 is greedy. deadline: seconds from the request to the last piece. seed: makes sampling repeatable where
    the generator can.
    """

    max_tokens: int = 400
    temperature: float = 0.7
    top_p: float = 0.9
    repetition_penalty: float = 1.05
    deadline: float = 120.0
    seed: int | None = None


class Generator(Protocol):
    """`name` is shown to people. Closing the iterator early cancels the request and frees its slot.

    Raises (from the iterator) Overloaded before anything was taken, ModelFailed when the model fails or is too slow.
    """

    @property
    def name(self) -> str: ...
    def stream(self, prompt: Prompt, adapter: str | None, limits: Limits) -> AsyncGenerator[Piece, None]: ...
    async def close(self) -> None: ...
