"""The core types: what comes in, what is understood, what is decided, what goes out. The architecture on one page.

Message -> Understanding -> Move -> Prompt -> Pieces -> Reply, kept together as a Turn.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retrieval.passage import Passage


def primary_language(tag: str) -> str:
    """The language of a tag, without its region: `de` of `de-AT` or `de_AT` (the primary subtag of RFC 5646, 2.2.1)."""
    return tag.replace("_", "-").partition("-")[0].lower()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a conversation happens. Parts are the platform's own ids; `thread` is empty where there is none."""

    platform: str
    tenant: str
    channel: str
    thread: str = ""

    @property
    def key(self) -> str:
        """One string that names the place in the store: parts joined by '/', with '%' and '/' escaped."""
        parts = (self.platform, self.tenant, self.channel, self.thread)
        return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)

    @property
    def whole_channel(self) -> "Place":
        """The channel that it is in, with all its threads."""
        return Place(self.platform, self.tenant, self.channel)

    def is_chat_of(self, accounts: Collection[str]) -> bool:
        """Whether it is named by one of these accounts, as Telegram names a private chat by its person's id."""
        return f"{self.platform}:{self.tenant}:{self.channel}" in accounts


@dataclass(frozen=True, slots=True)
class Person:
    """One person across platforms. accounts: `platform:tenant:user`. audiences: what they may read (`tenant/name`)."""

    id: str
    accounts: tuple[str, ...] = ()
    audiences: frozenset[str] = frozenset()
    consent: bool = False
    administrator: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """Something a person wrote.

    readers: the audiences that everyone in the place may read. An answer draws only on passages that both the author
    and the place may read, so private text never answers into a wider channel. language: what the author reads (`de`),
    where the platform says so.
    """

    id: str
    place: Place
    author: Person
    text: str
    sent: datetime
    readers: frozenset[str]
    language: str = ""

    @property
    def audiences(self) -> frozenset[str]:
        return self.author.audiences & self.readers


class Intent(StrEnum):
    ASK = "ask"
    IDEATE = "ideate"
    FEEDBACK = "feedback"
    COMPLAINT = "complaint"
    HUMAN = "human"  # asks for a person
    SMALL_TALK = "small_talk"
    HELP = "help"  # asks what Atelier can do
    OUT_OF_SCOPE = "out_of_scope"  # wants something done that a colleague in chat cannot do


class Sentiment(StrEnum):
    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"


@dataclass(frozen=True, slots=True)
class Understanding:
    """What one encoder pass says of a message.

    embedding: (dim,) float32, unit length: search uses the same one. confidence, sentiment_confidence: calibrated
    probabilities of `intent` and `sentiment`, 0..1. reasons: why, in words for a person.
    """

    embedding: NDArray[np.float32] = field(repr=False, compare=False)
    intent: Intent
    confidence: float
    sentiment: Sentiment
    sentiment_confidence: float
    reasons: tuple[str, ...]


class Move(StrEnum):
    """What the policy can decide to do."""

    ANSWER = "answer"  # search, and answer from passages
    IDEATE = "ideate"  # help people think: questions and techniques
    CAPTURE = "capture"  # note feedback or an idea and say so
    CLARIFY = "clarify"  # ask one question back
    CHAT = "chat"  # small talk, help
    ESCALATE = "escalate"  # a person is wanted
    SILENT = "silent"  # not addressed: say nothing


@dataclass(frozen=True, slots=True)
class Decision:
    move: Move
    reason: str  # one sentence for a person


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a conversation."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class History:
    """What memory still knows of a conversation: a running summary of what was cut, then the latest lines in order."""

    summary: str = ""
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a generator is asked. Structured, so that the extractive generator reads fields, not text.

    persona: who speaks (the system line). intent and move: what was understood and decided. message: the words to
    answer. passages: the evidence, numbered from 1 in this order. language: of our own sentences (`de`), or empty.
    question: the message as it was searched, made whole from the conversation; empty where nobody made it so.
    """

    persona: str
    history: History
    message: str
    intent: Intent
    move: Move
    passages: tuple[Passage, ...] = ()
    language: str = ""
    question: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A numbered source under a reply: [number] label."""

    number: int
    label: str  # "guide/install.md, page 3, line 12: Heading > Path"
    passage: int  # passage id


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence that a model made, held against the passages.

    support: the probability that they say it. lacks: what of it they do not (`40`). is_shown: what is not supported is
    left out. is_foreign: the passage is in another language, so only numbers and codes were compared. is_read: it is no
    model's sentence but the passages' own that the reader found likeliest to answer, support: how likely; where it did
    not read, lacks says why.
    """

    text: str
    support: float
    lacks: str = ""
    is_shown: bool = True
    is_foreign: bool = False
    is_read: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What a person sees.

    generator: who worded it. notice: an open word when something fell short (fallback, cut). claims: the sentences that
    were held against the passages, with those left out.
    """

    text: str
    sources: tuple[Source, ...] = ()
    generator: str = ""
    notice: str = ""
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """One message and its reply, with all that `compose` needs to rebuild the prompt.

    Memory keeps it, feedback rates it, finetune trains on it.
    """

    id: str
    persona: str
    history: History
    message: Message
    understanding: Understanding
    decision: Decision
    passages: tuple[Passage, ...]
    reply: Reply
    adapter: str | None = None
