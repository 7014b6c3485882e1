"""The unit of training: one conversation whose assistant's words are to be learned, and where it comes from."""

from dataclasses import dataclass

from agent.generation.rendering import ChatMessage


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an example comes from, so that a problem can be named and a deletion can reach it.

    place: for a person to find it again: `chats.jsonl:12`, `turn 0669…`, `passage 17`. person: the id of the person
    who wrote it, or empty. others: the ids of those whose words stand in its context too. documents: sources of the
    passages in it (`handbook/leave.md`), the one that it is about first. audiences: those who may read every one of its
    passages (`tenant/name`); an adapter that learned it is served to nobody wider. conversation: the same for examples
    of one conversation, and says nothing else.
    """

    place: str
    person: str = ""
    others: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    audiences: frozenset[str] = frozenset()
    conversation: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """messages: an optional system message, then user and assistant in turns, an assistant message last.

    rating: 1 good, -1 bad, 0 not rated. Supervised training leaves out the bad ones; preference training needs them.
    untrained: indexes of assistant messages that are context only, and no loss is taken on (`"weight": 0` in OpenAI's
    form; the earlier replies of a rated turn, which nobody rated).
    """

    messages: tuple[ChatMessage, ...]
    origin: Origin
    rating: int = 0
    untrained: frozenset[int] = frozenset()
