"""What to think from: a thing, or a sentence of the team's own documents; questions that go wider or deeper.

Everything here works without a language model. What is drawn follows from the session and its stage, not from chance,
so an event that comes again is answered with the same stimulus.
"""

import hashlib
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from agent.generation.sentences import Kind, cut
from agent.ideation.aim import aimed
from agent.ideation.board import Board, Idea
from agent.ideation.labels import spoken_in
from agent.ideation.technique import Technique
from agent.ideation.turns import empty_cells, named_cell
from retrieval.encoder import Encoder
from retrieval.passage import Passage, Vectors

Search = Callable[[Board, str], Sequence[Passage]]  # what everybody in the session's places may read, best first
_SHORTEST, _LONGEST = 40, 220  # characters of a sentence that can be a stimulus
_LONGEST_IDEA = 120  # characters of an idea that a question repeats
_ROW = re.compile(r"[^\n:;]{1,60}: [^\n;]+; [^\n:;]{1,60}: ")
_DEEPER = {
    "en": (
        "What is the smallest version of *{idea}* that you could try this week?",
        "Who would notice first if *{idea}* existed, and what would they say?",
        "What has to be true for *{idea}* to work, and which of that is least sure?",
        "What would *{idea}* look like if it had to cost nothing?",
        "Who would be against *{idea}*, and what would win them over?",
        "What is the very best part of *{idea}*, and how could there be more of it?",
        "How would you know after a month that *{idea}* works?",
    ),
    "de": (
        "Was ist die kleinste Fassung von *{idea}*, die ihr diese Woche probieren könntet?",
        "Wer würde es als Erster merken, wenn es das gäbe: *{idea}*? Und was würde er sagen?",
        "Was muss stimmen, damit *{idea}* klappt, und was davon ist am wenigsten sicher?",
        "Wie sähe *{idea}* aus, wenn es nichts kosten dürfte?",
        "Wer wäre dagegen: *{idea}*? Und was würde ihn gewinnen?",
        "Was ist das Allerbeste an *{idea}*, und wie könnte es mehr davon geben?",
        "Woran würdet ihr nach einem Monat merken, dass *{idea}* wirkt?",
    ),
}


@dataclass(frozen=True, slots=True)
class Stimulus:
    """text: the thing or the sentence. source: the document it is from, or empty. question: what is asked with it."""

    text: str
    source: str = ""
    question: str = ""


@cache
def things(language: str = "") -> tuple[str, ...]:
    """In a language (`de`, `de-AT`), or in English."""
    name = "things.de.toml" if spoken_in(language) == "de" else "things.toml"
    data = tomllib.loads((files("agent.ideation") / name).read_text("utf-8"))
    return tuple(data["things"])


@dataclass(frozen=True, slots=True)
class Stimuli:
    """Draws stimuli. search: of the documents that a session's places may read; without one only things are drawn."""

    encoder: Encoder
    search: Search | None = None

    def __call__(self, board: Board, technique: Technique) -> tuple[str, str] | None:
        """The stimulus of a technique's stage: a thing; where documents may spark it, rather a sentence of theirs."""
        drawn = self._thing(board)
        if technique.stimulus and self.search is not None:
            found = [each for each in sentences_of(self.search(board, drawn)) if not _was_shown(board, each.text)]
            if found:
                return found[0].text, found[0].source
        return drawn, ""

    def wider(self, board: Board, vectors: Vectors) -> Stimulus:
        """A stimulus for where nobody has been: an empty cell of the design space, or what lies farthest from all.

        vectors: of `board.open`, (n, dim).
        """
        topic = board.session.topic
        for cell in empty_cells(board):
            name = named_cell(board, cell)
            if not _was_shown(board, name):
                return Stimulus(
                    name, "", f"Nobody has tried **{name}**. What would an idea for {topic} look like there?"
                )
        found = [each for each in self._choice(board) if not _was_shown(board, each.text)] or self._choice(board)
        texts = [each.text for each in found]
        encoded = self.encoder([*texts, topic])
        best = found[aimed(encoded[:-1], vectors, encoded[-1])[0]]
        return Stimulus(
            best.text,
            best.source,
            f"None of the ideas is anywhere near *{best.text}*. What could {topic} take from it?",
        )

    def _choice(self, board: Board) -> list[Stimulus]:
        documents = sentences_of(self.search(board, board.session.topic)) if self.search is not None else []
        return [*documents, *(Stimulus(each) for each in things(board.session.rules.language))]

    def _thing(self, board: Board) -> str:
        now = board.session
        known = things(now.rules.language)
        left = [each for each in known if not _was_shown(board, each)] or list(known)
        number = hashlib.sha256(f"{now.id}/{now.run}/{now.stage}/{len(board.sparks)}".encode()).digest()
        return left[int.from_bytes(number[:8]) % len(left)]


def is_row(text: str) -> bool:
    """Whether a text is a row of a table, which sparks nothing: "Product: Lamp; Price: 12"."""
    return _ROW.match(text) is not None


def deepening(idea: str, turn: int, language: str) -> str:
    """A question that works an idea out: another one each turn."""
    questions = _DEEPER[spoken_in(language)]
    text = idea if len(idea) <= _LONGEST_IDEA else f"{idea[:_LONGEST_IDEA].rsplit(' ', 1)[0]} …"
    return questions[turn % len(questions)].replace("{idea}", text)


def deeper(board: Board, idea: Idea) -> str:
    """A question that works one idea out: another one for each remark and child it has by now."""
    grown = len(board.remarks_on(idea.id)) + sum(idea.id in each.parents for each in board.ideas)
    return deepening(idea.text, grown + int(idea.id), board.session.rules.language)


def sentences_of(passages: Sequence[Passage]) -> list[Stimulus]:
    """The sentences of passages that can be a stimulus, the passages' order kept."""
    return [
        Stimulus(" ".join(unit.text.split()), passage.source)
        for passage in passages
        for unit in cut(passage.text)
        if unit.kind is Kind.SENTENCE
        and not is_row(unit.text)
        and _SHORTEST <= len(unit.text) <= _LONGEST
        and not unit.announces
    ]


def _was_shown(board: Board, text: str) -> bool:
    return any(each.text == text for each in board.sparks)
