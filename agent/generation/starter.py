"""The generator of the project's own: quotes from the documents, and a small model that reads the answer off them.

The model is small, so it is held: it marks the answer in what the quoting generator shows, where it is sure of it. What
it says always stands in a passage; where it doubts, or finds nothing, the quotes stand as they were.
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

from agent.conversation import recalls
from agent.generation.extractive import ExtractiveGenerator
from agent.generation.generator import Limits, Piece
from agent.generation.loading import STARTER, check
from agent.generation.span import Found, SpanReader
from agent.message import History, Move, Prompt
from agent.rewrite import standalone
from retrieval.encoder import Encoder

SURE = 0.5  # the model's probability of its words from which on they are marked
SHOWN = 3  # passages that the model reads: the first hold the answer nearly always, and reading takes time
LONGEST_MARK = 80  # characters: more is no answer to mark, but a quote
_WORD = re.compile(r"\S+\s*|\s+")
_MARKED_UP = re.compile(r"\*\*|__|`|\||https?://|~~")  # emphasis within these would break or mislead


class StarterGenerator:
    """The extractive generator's replies, with the answer marked where the starter model reads one. Deterministic."""

    name = "starter"

    def __init__(self, encoder: Encoder, folder: str | Path = STARTER, *, device: str | None = None) -> None:
        """Load the model; this takes about a second. Raises ModelFolderError."""
        self._quoting = ExtractiveGenerator(encoder)
        self._reader = SpanReader(folder, device=device)

    async def stream(self, prompt: Prompt, adapter: str | None, limits: Limits) -> AsyncGenerator[Piece, None]:  # noqa: ARG002 - the seam's arguments
        """The reply, word by word. It is made in a thread, since reading takes model passes."""
        text = await asyncio.to_thread(self.reply, prompt)
        for word in _WORD.findall(text):
            yield Piece(word)

    def reply(self, prompt: Prompt) -> str:
        """The whole reply; "" for Move.SILENT."""
        quotes = self._quoting.reply(prompt)
        if prompt.move is not Move.ANSWER or not prompt.passages or recalls(prompt.message) is not None:
            return quotes
        found = self._reader.read(asked_alone(prompt))
        return quotes if found is None or found.probability < SURE else marked(quotes, found)

    async def close(self) -> None:
        """Nothing is held."""


def check_starter() -> str:
    """What can be said of the starter without loading it: a line for a person. Raises ModelFolderError."""
    check(STARTER)
    return "starter: quotes, and a small model of Atelier's own that marks the answer in them"


def asked_alone(prompt: Prompt) -> Prompt:
    """The prompt with its question made whole, so that it needs no history, and with the first passages alone."""
    question = standalone(prompt.message, prompt.history)
    return replace(prompt, message=question, history=History(), passages=prompt.passages[:SHOWN])


def marked(quotes: str, found: Found) -> str:
    """The quotes with the found words in bold where they stand in them; unchanged where they do not."""
    if len(found.text) > LONGEST_MARK or _MARKED_UP.search(found.text):
        return quotes
    pattern = re.compile(rf"(?<!\w){re.escape(found.text)}(?!\w)")
    lines = quotes.split("\n")
    is_code = False
    for number, line in enumerate(lines):
        is_code ^= line.lstrip().startswith(("```", "~~~"))
        if is_code or _MARKED_UP.search(line) or not pattern.search(line):
            continue
        lines[number] = pattern.sub(lambda words: f"**{words[0]}**", line, count=1)
        break
    return "\n".join(lines)
