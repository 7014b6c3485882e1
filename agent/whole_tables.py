"""A question over all rows of a table that the search found one of: "which room is the cheapest?". Blocks."""

from collections.abc import Sequence
from functools import partial

from agent.generation.asked_on import AskedOn
from agent.generation.phrases import phrase
from agent.generation.superlatives import worked_out
from agent.message import Message
from agent.policy import is_ours
from retrieval.knowledge import KnowledgeBase
from retrieval.passage import Passage

WORKED_OUT = "This asks about all rows of a table, so I compare them."
MOST = 1000  # passages of a document: of what has more, nothing is compared


def of_table(
    question: str, found: Sequence[Passage], message: Message, knowledge: KnowledgeBase, language: str
) -> AskedOn | None:
    """The row that is asked for, with its figure; mostly None. Raises StoreError."""

    def whole(source: str) -> list[Passage]:
        passages = knowledge.opening(message.place.tenant, source, message.audiences, MOST + 1)
        return passages if len(passages) <= MOST else []

    theirs = [each for each in found if not is_ours(each)]
    return worked_out(question, theirs, whole, partial(phrase, "answer", language=language))
