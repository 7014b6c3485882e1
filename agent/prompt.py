"""What a generator is asked, and how its citations become numbered sources. Pure."""

import re
from collections.abc import Mapping, Sequence

from agent.message import History, Intent, Move, Prompt, Source
from retrieval.passage import Passage

PERSONA = (
    "You are Atelier, a creative colleague in a team's chat. You are warm, brief and concrete. You answer from the "
    "team's documents and say openly when they do not hold the answer. When people look for ideas, you ask good "
    "questions first, and offer your own ideas only after theirs."
)

# A mark that begins or ends a code block, or a code span within its line.
_CODE = re.compile(r"`{3,}|(?<![^\n])[ \t>]*~{3,}|(?<!`)`[^`\n]+`(?!`)")
_FENCES = ("```", "~~~")
# A citation as a generator writes it: [2], [1, 3]. After a word or in code it is an index (`row[2]`), not a citation.
_CITATION = re.compile(r"(?<![ \t])[ \t]*+(?<!\w)\[(\d{1,2}(?:\s*,\s*\d{1,2})*)\]")


def compose(
    persona: str,
    history: History,
    message: str,
    intent: Intent,
    move: Move,
    passages: Sequence[Passage],
    language: str = "",
    question: str = "",
) -> Prompt:
    """The prompt of one turn; the same parts kept in a Turn give the same prompt again.

    language, question: for what is said without a model; a turn does not keep them, as no model is asked in them.
    """
    return Prompt(persona, history, message, intent, move, tuple(passages), language, question)


def label(passage: Passage) -> str:
    """Where a passage stands, for people: "handbook/leave.md, page 3, line 12: Leave > Parents"."""
    parts = [passage.source]
    if passage.page is not None:
        parts.append(f"page {passage.page}")
    if passage.line is not None:
        parts.append(f"line {passage.line}")
    place = ", ".join(parts)
    return f"{place}: {passage.heading}" if passage.heading else place


class Citations:
    """Renumbers a reply's citations while it streams: sources count from 1 in the order in which they are first cited.

    A citation of a passage that was not given is removed; code keeps its brackets.
    """

    def __init__(self, passages: Sequence[Passage], numbers: Mapping[int, int] | None = None) -> None:
        """numbers: that are given already; those of `sources`, turned around, lead back to the prompt's."""
        self._passages = passages
        self._numbers = dict(numbers or {})  # number in the prompt -> number in the reply
        self._fence = ""  # the mark that opened the code block we are in
        self._last = "\n"

    def renumber(self, text: str) -> str:
        """The next stretch of the reply, which never ends within a citation, a code span or a fence."""
        text = self._last + text  # whether a line begins here decides whether `~~~` is a fence
        parts, end = [], 1
        for code in _CODE.finditer(text, 1):
            parts += [self._prose(text[end : code.start()]), code[0]]
            end = code.end()
            mark = code[0].lstrip(" \t>")[:3]
            if mark in _FENCES and self._fence in ("", mark):
                self._fence = "" if self._fence else mark
        self._last = text[-1]
        return "".join([*parts, self._prose(text[end:])])

    def _prose(self, text: str) -> str:
        return text if self._fence else _CITATION.sub(self._replace, text)

    def _replace(self, found: re.Match[str]) -> str:
        cited = [int(number) for number in found[1].split(",")]
        kept = [self._numbers.setdefault(n, len(self._numbers) + 1) for n in cited if 1 <= n <= len(self._passages)]
        space = found[0][: found[0].index("[")]
        return space + "".join(f"[{number}]" for number in dict.fromkeys(kept)) if kept else ""

    @property
    def sources(self) -> tuple[Source, ...]:
        """The passages cited so far, in the order of their numbers."""
        order = sorted(self._numbers.items(), key=lambda pair: pair[1])
        return tuple(Source(new, label(self._passages[old - 1]), self._passages[old - 1].id) for old, new in order)
