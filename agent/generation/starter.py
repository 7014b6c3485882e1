"""The generator of the project's own: quotes from documents, and a small model that reads along and makes small talk.

The model is small, so it is held. It marks the answer in what the quoting generator shows, where it is sure of it: so
its answers always stand in a passage. In small talk it chooses among the replies it was taught. Where it doubts, the
quoting generator's words stand as they were.
"""

import asyncio
import re
import tomllib
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from threading import Lock

from agent.conversation import recalls
from agent.generation.answer import refuses
from agent.generation.extractive import ExtractiveGenerator
from agent.generation.generator import Limits, Piece
from agent.generation.loading import STARTER
from agent.generation.network import check_folder
from agent.generation.phrases import kind_of_small_talk, phrase, phrases
from agent.generation.span import Found, SpanReader
from agent.message import Claim, History, Intent, Move, Prompt
from agent.rewrite import content_words, standalone
from agent.rows import is_of_another_column, spoken_rows
from retrieval.encoder import Encoder

PATIENCE = 5.0  # seconds that a message waits for the model to be loaded
# The model's probability of its words from which on they are marked; chosen on training articles that were held out,
# where four of five marks are then right.
SURE = 0.6
SHOWN = 3  # passages that the model reads: the first hold the answer nearly always, and reading takes time
LONGEST_MARK = 80  # characters: more is no answer to mark, but a quote
_WORD = re.compile(r"\S+\s*|\s+")
_CITATION = re.compile(r"\[(\d+)\]")
_MARKED_UP = re.compile(r"\*\*|__|`|\||https?://|~~")  # emphasis within these would break or mislead


class StarterGenerator:
    """The extractive generator's replies; small talk by the starter model, and the answer marked where it reads one.

    The model takes one message at a time. While it is busy, or not loaded yet, others are not made to wait for it: the
    quoting generator's words go out as they are.
    """

    name = "starter"

    def __init__(self, encoder: Encoder, folder: str | Path = STARTER, *, device: str | None = None) -> None:
        """Begin to load the model beside everything else. Raises ModelFolderError when the folder is not one."""
        check_folder(Path(folder))
        self._quoting = ExtractiveGenerator(encoder)
        self._free = Lock()
        self._loading = ThreadPoolExecutor(1, thread_name_prefix="starter")
        self._model = self._loading.submit(SpanReader, folder, device=device)

    async def stream(self, prompt: Prompt, adapter: str | None, limits: Limits) -> AsyncGenerator[Piece, None]:  # noqa: ARG002 - the seam's arguments
        """The reply, word by word. It is made in a thread, since reading takes model passes."""
        text, claims = await asyncio.to_thread(self.replied, prompt)
        for word in _WORD.findall(text):
            yield Piece(word, claims=claims)
            claims = ()

    def reply(self, prompt: Prompt) -> str:
        """The whole reply; "" for Move.SILENT. Raises ModelFolderError when the weights are damaged."""
        return self.replied(prompt)[0]

    def replied(self, prompt: Prompt) -> tuple[str, tuple[Claim, ...]]:
        """The same, and how sure the reader was of what is quoted."""
        quotes, claims = self._quoting.quoted(prompt)
        return spoken_rows(self._worded(prompt, quotes), prompt.message), claims

    def _worded(self, prompt: Prompt, quotes: str) -> str:
        if quotes in phrases("chat", "who", prompt.language):
            quotes = phrase("chat", "who_starter", prompt.history, prompt.language)
        if not _concerns(prompt) or not self._free.acquire(blocking=False):
            return quotes
        try:
            reader = self._model.result(PATIENCE)
            if prompt.move is Move.CHAT:
                said = reader.speak(lately(prompt))
                return said if said in fitting(kind_of_small_talk(prompt.message)) else quotes
            if refuses(quotes) or quotes.startswith((phrase("answer", "unsure"), phrase("answer", "named"))):
                return quotes  # a mark would look sure
            asked = asked_alone(prompt)
            found = reader.read(asked)
            if found is None or found.probability < SURE or not adds(found.text, asked.message):
                return quotes
            return marked(quotes, found, asked.message)
        except TimeoutError:
            return quotes
        finally:
            self._free.release()

    async def close(self) -> None:
        """Wait for the loading, if it goes on still."""
        await asyncio.to_thread(self._loading.shutdown, cancel_futures=True)


def _concerns(prompt: Prompt) -> bool:
    """Whether the model has learned to answer such a prompt: English small talk, or a question with passages."""
    if prompt.language not in ("", "en") or recalls(prompt.message) is not None:
        return False
    if prompt.move is Move.CHAT:
        return prompt.intent is Intent.SMALL_TALK
    return prompt.move is Move.ANSWER and bool(prompt.passages)


def check_starter() -> str:
    """What can be said of the starter without loading it: a line for a person. Raises ModelFolderError."""
    check_folder(STARTER)
    return "starter: quotes, and a small model of Atelier's own that marks answers and makes small talk"


@cache
def taught(kind: str = "") -> frozenset[str]:
    """The replies to small talk that the model was trained with, `starter.toml`: to one kind, or all of them."""
    written = tomllib.loads(files("agent.generation").joinpath("starter.toml").read_text(encoding="utf-8"))
    if kind in written["small_talk"]:
        return frozenset(written["small_talk"][kind])
    replies = {reply for variants in written["small_talk"].values() for reply in variants}
    return frozenset(replies | {line for talk in written["persona"]["talks"] for line in talk[1::2]})


@cache
def fitting(kind: str) -> frozenset[str]:
    """The taught replies that may answer a message whose words show its kind; all of them where they show none."""
    if kind == "who":  # who asks who we are is told
        return frozenset(reply for name in ("name", "bot", "made") for reply in taught(name) if "Atelier" in reply)
    if kind in ("low", "frowns", "cheers", "nevermind"):  # nothing was taught for it, and a cheerful word may hurt
        return frozenset()
    if kind == "refusal":
        return taught("no")
    if kind == "opinion":
        return taught("hobbies") | taught("life")
    return taught("yes") if kind == "agreement" else taught("" if kind == "otherwise" else kind)


def lately(prompt: Prompt) -> Prompt:
    """The prompt with the last exchange alone: more was never before the model in small talk."""
    return replace(prompt, history=History("", prompt.history.lines[-2:]), passages=())


def asked_alone(prompt: Prompt) -> Prompt:
    """The prompt with its question made whole, so that it needs no history, and with the first passages alone."""
    question = prompt.question or standalone(prompt.message, prompt.history)
    return replace(prompt, message=question, history=History(), passages=prompt.passages[:SHOWN])


def adds(found: str, question: str) -> bool:
    """Whether words answer anything: "the", and words of the question itself, do not."""
    said = {word.casefold() for word in content_words(question)}
    return any(word.casefold() not in said for word in content_words(found))


def marked(quotes: str, found: Found, question: str = "") -> str:
    """The quotes with the found words in bold where they stand in those of their passage; else unchanged.

    Of a table's row no cell is marked while the question names another column: the model takes one price for another.
    """
    if len(found.text) > LONGEST_MARK or _MARKED_UP.search(found.text):
        return quotes
    pattern = re.compile(rf"(?<!\w){re.escape(found.text)}(?!\w)")
    lines = quotes.split("\n")
    cited = _cited(lines)
    is_code = False
    for number, line in enumerate(lines):
        is_code ^= line.lstrip().startswith(("```", "~~~"))
        if is_code or cited[number] != found.passage + 1 or _MARKED_UP.search(line):
            continue
        places = [words for words in pattern.finditer(line) if not is_of_another_column(question, line, words.start())]
        if places:
            start, end = places[0].span()
            lines[number] = f"{line[:start]}**{line[start:end]}**{line[end:]}"
            break
    return "\n".join(lines)


def _cited(lines: Sequence[str]) -> list[int]:
    """The number of the passage that each line is quoted from: its citation stands in it or in a later line."""
    numbers: list[int] = []
    number = 0
    for line in reversed(lines):
        number = int(marks[-1]) if (marks := _CITATION.findall(line)) else number
        numbers.append(number)
    return numbers[::-1]
