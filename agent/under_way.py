"""Where a conversation stands with thinking together: in it, away from it for a moment, just through with it. Pure.

Who asked the documents something in the middle of a brainstorm has left it for that long: what they say then is an idea
only where it reads like one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.generation.facilitate import asks_us, contributes, handles, just_over, lists, running, steers
from agent.generation.phrases import phrase
from agent.generation.steering import ENDS, Order, ends_loosely, lets_go, lists_all, restarts
from agent.generation.to_us import asks_documents, may_be_idea
from agent.message import History, Intent, Line, Move, Understanding
from agent.policy import tells_trouble
from agent.rewrite import fragment

PLAIN = 0.6  # how sure it must be that a message is something else, where it may be an idea
_BRINGS_BACK: frozenset[Order] = frozenset({"leave", "undo", "again", "merge", "group", "vote", "save", "restart"})
_AFTER: frozenset[Order] = frozenset({"pick", "group", "vote", "save"})


@dataclass(frozen=True, slots=True)
class UnderWay:
    """lines: in which a session is looked for. last: what was decided last. thinking: whether a session is on."""

    lines: Sequence[Line]
    last: Move | None
    thinking: bool

    @classmethod
    def of(cls, lines: Sequence[Line], last: Move | None) -> "UnderWay":
        return cls(lines, last, running(lines) is not None)

    @property
    def is_away(self) -> bool:
        """Whether something else came between."""
        return self.thinking and self.last is not Move.IDEATE

    def wanted(self, text: str) -> Move | None:
        """The move that an order asks for: "next", "number 2", "no idea, you tell me"; None for anything else."""
        if lists_all(text) and (not self.thinking or self.is_away):
            return None  # "list them" may ask on about an answer
        if ends_loosely(text) and not self.thinking:
            return None  # "I've had enough" may be a complaint
        if steers(text):
            return Move.IDEATE if self.thinking or lists(text) else Move.CHAT
        order = handles(text)
        if self.thinking and order is not None and (not self.is_away or order in _BRINGS_BACK):
            return Move.IDEATE
        is_over = (asks_us(text) or order in _AFTER) and not self.thinking and just_over(self.lines) is not None
        return Move.IDEATE if is_over or (self.thinking and asks_us(text)) else None

    def adds(self, text: str, understanding: Understanding) -> bool:
        """Whether a message can add to the session that is on."""
        if not self.thinking or not contributes(text) or asks_documents(text, understanding):
            return False
        if not self.is_away:
            return True
        reads_so = understanding.intent is Intent.IDEATE or understanding.confidence < PLAIN
        is_one = reads_so or may_be_idea(text, understanding)
        return is_one and not tells_trouble(text) and fragment(text) is None

    def aside(self, text: str, history: History, language: str) -> str:
        """What is said to an order where nothing is under way to obey it with; mostly empty."""
        if self.thinking:
            return ""
        if lets_go(text):
            return phrase("chat", "nevermind", history, language)
        if restarts(text) and len(text.split()) > 1:  # "reset" alone may be looked up in a manual
            return phrase("chat", "afresh", history, language)
        if steers(text) and not lists(text) and not ends_loosely(text):
            return phrase("chat", "ended" if ENDS.match(text) else "nothing_on", history, language)
        return ""
