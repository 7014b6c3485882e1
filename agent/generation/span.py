"""The starter reads: the words of a passage that answer a question, and how sure the model is of them.

A small model is held to what it can do: it may only say words that stand in one passage, and that passage's number, or
that none answers. So it can be wrong, but it cannot invent.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.generation.loading import STARTER
from agent.generation.network import Network, Tokens
from agent.generation.rendering import fitted, messages_of, render
from agent.message import Prompt
from retrieval.passage import Passage

if TYPE_CHECKING:
    from agent.generation.network import Kept

REFUSAL = "The passages do not answer that."
LONGEST = 40  # tokens of an answer
TRIED = 24  # likeliest tokens among which one that may be said is looked for
NO_REPEAT = 4  # a run of so many tokens is said once


@dataclass(frozen=True, slots=True)
class Found:
    """Words of a passage. passage: its place in the prompt, from 0. probability: the model's, of these very words."""

    text: str
    passage: int
    probability: float


class SpanReader:
    """The starter, or a model trained like it, in memory. One thread at a time."""

    def __init__(self, folder: str | Path = STARTER, *, device: str | None = None) -> None:
        """Load the model; this takes about a second. Raises ModelFolderError."""
        import torch

        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        # On a CPU in float32: where bfloat16 is made of other instructions, a prompt takes twice as long.
        self._network = Network(Path(folder), device, torch.bfloat16 if device.startswith("cuda") else torch.float32)
        self._tokenizer, self._window = Tokens(Path(folder)), self._network.window

    def read(self, prompt: Prompt) -> Found | None:
        """The answer to the prompt's message in its passages, or None where the model finds none.

        What does not fit into the window is left out as for any model: old lines, then the last passages.
        """
        fitting = self._ids(prompt, LONGEST)
        if fitting is None or not fitting[1].passages:
            return None
        return self._read(fitting[0], fitting[1].passages)

    def speak(self, prompt: Prompt, tokens: int = 80) -> str:
        """The likeliest reply in the model's own words, without saying anything twice; "" where it comes to no end."""
        fitting = self._ids(prompt, tokens)
        if fitting is None:
            return ""
        said: list[int] = []
        steps = _Steps(self._network, fitting[0])
        while len(said) < tokens:
            before = runs(said, NO_REPEAT)
            token = next((id_ for _, id_ in steps.best if tuple([*said, id_][-NO_REPEAT:]) not in before), None)
            if token is None:
                return ""
            if token in self._tokenizer.ends:
                text: str = self._tokenizer.decode(said, skip_special_tokens=True)
                return text.strip()
            said.append(token)
            steps.take(token)
        return ""

    def _ids(self, prompt: Prompt, room: int) -> tuple[list[int], Prompt] | None:
        ids: list[int] = []

        def count(shorter: Prompt) -> int:
            ids[:] = render(messages_of(shorter), self._tokenizer)
            return len(ids)

        shown = fitted(prompt, count, self._window - room)
        return None if shown is None else (ids, shown)

    def _read(self, ids: Sequence[int], passages: Sequence[Passage]) -> Found | None:
        texts = [" ".join(passage.text.split()) for passage in passages]
        said: list[int] = []
        certainty = 0.0  # log probability
        steps = _Steps(self._network, ids)
        while len(said) < LONGEST:
            tried = ((score, token, self._decoded([*said, token])) for score, token in steps.best)
            chosen = next((each for each in tried if may_be_said(each[2], texts)), None)
            if chosen is None:
                return None
            score, token, text = chosen
            said.append(token)
            certainty += score
            if is_refusal(text, texts):
                return None
            if found := whole(text, texts):
                return Found(found[0], found[1], math.exp(certainty))
            steps.take(token)
        return None

    def _decoded(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False)
        return text


class _Steps:
    """One token after the other. best: the likeliest next ones with their log probabilities, best first."""

    best: list[tuple[float, int]]

    def __init__(self, network: Network, ids: Sequence[int]) -> None:
        self._network = network
        self._kept: Kept = []
        self._step(list(ids))

    def take(self, token: int) -> None:
        self._step([token])

    def _step(self, ids: list[int]) -> None:
        import torch

        with torch.inference_mode():
            best = self._network.read(ids, self._kept).log_softmax(-1).topk(TRIED)
        self.best = list(zip(best.values.tolist(), best.indices.tolist(), strict=True))


def runs(said: Sequence[int], length: int) -> set[tuple[int, ...]]:
    """All runs of `length` tokens."""
    return {tuple(said[i : i + length]) for i in range(len(said) - length + 1)}


def may_be_said(text: str, passages: Sequence[str]) -> bool:
    """Whether `text` can become an answer: words of a passage and that passage's number, or the refusal."""
    text = text.rstrip("\ufffd")  # a character whose bytes are not complete
    if not text or text[0].isspace():
        return not text
    if REFUSAL.startswith(text) or any(text in passage for passage in passages):
        return True
    words, mark, number = text.rpartition(" [")
    if not mark:
        words, number = text.removesuffix(" "), ""
    return any(words in passage and f"{n}]".startswith(number) for n, passage in enumerate(passages, 1))


def is_refusal(text: str, passages: Sequence[str]) -> bool:
    """Whether only the refusal can come of `text`."""
    return REFUSAL.startswith(text) and len(text) > len("The pass") and not any(text in passage for passage in passages)


def whole(text: str, passages: Sequence[str]) -> tuple[str, int] | None:
    """The words and the place of their passage, once both were said."""
    words, mark, number = text.rpartition(" [")
    if not mark or not number.endswith("]") or not number[:-1].isdigit():
        return None
    place = int(number[:-1]) - 1
    return (words, place) if place < len(passages) and words in passages[place] else None
