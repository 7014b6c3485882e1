"""A conversation that thinks together, as tests of it speak: lines to and fro, and a document that may spark."""

from agent.generation.facilitate import facilitate
from agent.message import History, Intent, Line, Move, Prompt
from retrieval.passage import Passage

SPARKS = (
    Passage(
        1, "Visitors spend most of their time near the windows, not at the tables. Cats sleep behind the till.",
        "cafe.md", "Café", None, 3, "t/everyone", 0.9, 0.6,
    ),
)  # fmt: skip


class Conversation:
    def __init__(self) -> None:
        self.lines: list[Line] = []

    def say(self, message: str, passages=()) -> str:
        history = History("", tuple(self.lines))
        reply = facilitate(Prompt("", history, message, Intent.IDEATE, Move.IDEATE, passages))
        self.lines += [Line("user", message), Line("assistant", reply)]
        return reply
