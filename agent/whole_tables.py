"""A question over a table that the search found a row of: "which room is the cheapest?", "what do the plans cost?".

Blocks.
"""

from collections.abc import Sequence
from functools import partial

from agent.generation.adjectives import names_nothing
from agent.generation.asked_on import AskedOn
from agent.generation.cells import told
from agent.generation.chosen import chosen, of_days
from agent.generation.looked_back import LATELY, answered_last
from agent.generation.phrases import phrase
from agent.generation.superlatives import worked_out
from agent.memory import Memory
from agent.message import Message
from agent.policy import is_ours
from retrieval.knowledge import KnowledgeBase
from retrieval.passage import Passage

WORKED_OUT = "This asks about a table, so I look through all of its rows."
MOST = 1000  # passages of a document: of what has more, nothing is compared


def of_table(
    question: str,
    text: str,
    found: Sequence[Passage],
    message: Message,
    knowledge: KnowledgeBase,
    memory: Memory,
    language: str,
) -> AskedOn | None:
    """The rows that are asked for, with their figures; mostly None. Raises StoreError.

    text: as it was written, before it was made whole. "Which is the cheapest?" alone is about what was just answered.
    """

    def whole(source: str) -> list[Passage]:
        passages = knowledge.opening(message.place.tenant, source, message.audiences, MOST + 1)
        return passages if len(passages) <= MOST else []

    if names_nothing(text):
        question, found = text, _just_cited(message, knowledge, memory)
    theirs = [each for each in found if not is_ours(each)]
    say = partial(phrase, "answer", language=language)
    ways = (worked_out, chosen, told, of_days)
    return next((on for way in ways if (on := way(question, theirs, whole, say)) is not None), None)


def _just_cited(message: Message, knowledge: KnowledgeBase, memory: Memory) -> list[Passage]:
    """What the last answer quoted, as far as it may still be read."""
    last = answered_last(memory.turns(message.place, LATELY))
    if last is None:
        return []
    cited = {source.passage for source in last.reply.sources}
    return knowledge.still([each for each in last.passages if each.id >= 0 and each.id in cited], message.audiences)
