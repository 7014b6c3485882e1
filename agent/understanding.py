"""What a message wants and how it feels: two heads on the one encoder pass that search uses too.

A head (`agent/head.py`) knows which encoder it was trained on; with any other, plain rules stand in and say so.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent import german, surface
from agent.head import Example, Head, Inputs
from agent.message import Intent, Sentiment, Understanding
from retrieval.encoder import Encoder, LayeredEncoder, States
from retrieval.errors import HeadError, HeadMismatch
from retrieval.language import spoken
from retrieval.passage import Vectors

SHIPPED = Path(__file__).parent / "heads"
WRONG_COSTS = 2.0  # what acting on a wrong reading costs a person, in askings back (or searches in vain)
SURE = 1 - 1 / WRONG_COSTS  # under it a guess costs more than asking (Chow 1970): reasons say "a guess"

OWN_KINDS = ("topic", "emotion")  # of heads that a team trains on labels of its own

_ABOUT = "is about "  # begins what a message is said to be about, where a team's own head is sure of it
_BY_WORDS = "by the words it is asked in"
_COURTESY = re.compile(
    r"(?i)\W*(?:(?:hi|hello|hey)\b(?: there| atelier)?\W*)?(?:and )?"
    r"how(?: are|['\u2019]re|['\u2019]s| is) (?:you|things|it going|life)(?: doing)?(?: today| now)?\W*"
)
_READS_AS = {
    Intent.ASK: "a question for facts",
    Intent.IDEATE: "a wish for ideas",
    Intent.FEEDBACK: "feedback",
    Intent.COMPLAINT: "a complaint",
    Intent.HUMAN: "asking for a person",
    Intent.SMALL_TALK: "small talk",
    Intent.HELP: "asking what I can do",
    Intent.OUT_OF_SCOPE: "an errand that I cannot run from a chat",
}


@dataclass(frozen=True, slots=True)
class Scores:
    """What one head says of n texts. probabilities: (n, labels), calibrated, whatever rules would make of a text.

    near: whether a text is like any example the head knows, (n,); where it is not, it is about none of the labels.
    embeddings: the texts' own, (n, dim), of the same pass.
    """

    labels: tuple[str, ...]
    probabilities: NDArray[np.float32]
    near: NDArray[np.bool_]
    embeddings: Vectors


@dataclass(frozen=True, slots=True)
class _InUse:
    """The heads that understand a message, taken together: others may come in between two messages."""

    intent: Head
    sentiment: Head
    own: Mapping[str, Head]  # of a team's own labels, by kind

    @property
    def by_kind(self) -> dict[str, Head]:
        return {"intent": self.intent, "sentiment": self.sentiment, **self.own}

    @property
    def reads(self) -> frozenset[int]:
        """The encoder's layers whose states any of them wants."""
        return frozenset[int]().union(*(head.reads for head in self.by_kind.values()))


class Understander:
    """Understands messages with one encoder pass each. Thread-safe when the encoder is."""

    def __init__(self, encoder: Encoder, heads: Path = SHIPPED) -> None:
        """Load both heads from the folder `heads`. Raises HeadError when they are damaged.

        Heads of another encoder are not an error: `notice` says so, and rules stand in.
        """
        self._encoder = encoder
        self._made_with = heads
        self._in_use: _InUse | None = None
        self.notice = ""
        try:
            self.take(None)
        except HeadMismatch as mismatch:
            self.notice = str(mismatch)

    def take(self, folder: Path | None) -> None:
        """Use other heads from the next message on; None: those it was made with.

        Raises HeadError, or HeadMismatch for those of another encoder, with the heads in use kept.
        """
        heads = folder or self._made_with
        intent, sentiment = (Head.load(heads, name, self._encoder) for name in ("intent", "sentiment"))
        if not set(intent.labels) <= set(Intent) or not set(sentiment.labels) <= set(Sentiment):
            raise HeadError(f"The heads in {heads} name labels that Atelier does not know. Train them again.")
        own = {kind: Head.load(heads, kind, self._encoder) for kind in OWN_KINDS if (heads / f"{kind}.json").exists()}
        self._in_use, self.notice = _InUse(intent, sentiment, own), ""

    def understand(self, text: str) -> Understanding:
        """Understand one message. Any text is fine; what is unclear comes out with a low confidence."""
        return self.understand_all([text])[0]

    def understand_for_search(self, text: str, query: str) -> tuple[Understanding, NDArray[np.float32]]:
        """Understand `text` and embed `query`, the same wish made independent of the conversation, in one pass.

        Returns the understanding and the query's embedding, (dim,): the message's own where both are the same words.
        """
        if query == text:
            understanding = self.understand(text)
            return understanding, understanding.embedding
        use = self._in_use
        embeddings, states = self._read([text, query], use)
        own = states.of([0]) if states is not None else None
        return self._understand([text], embeddings[:1], own, use)[0], embeddings[1]

    def understand_all(self, texts: Sequence[str]) -> list[Understanding]:
        """Understand several messages in one pass, in the order given."""
        use = self._in_use
        return self._understand(texts, *self._read(texts, use), use)

    def alike(self, text: str, others: Sequence[str]) -> list[float]:
        """How near each of `others` is to a text, by the cosine of their embeddings. Blocks: an encoder pass."""
        rows = self._encoder([text, *others])
        return [float(each) for each in rows[1:] @ rows[0]]

    def fluency(self, text: str) -> float:
        """How well the encoder knows the language of a text, 0..1."""
        return spoken(text, self._encoder.pieces(text))

    @property
    def reads(self) -> frozenset[int]:
        """The encoder's layers whose states the heads in use want."""
        return frozenset() if self._in_use is None else self._in_use.reads

    def scores(self, texts: Sequence[str], given: States | None = None) -> dict[str, Scores]:
        """What each head (intent, sentiment, `OWN_KINDS` that there are) says of the texts; nothing without heads.

        given: what the encoder made of these texts already; where a head in use wants other layers they are read anew.
        """
        use = self._in_use
        if use is None:
            return {}
        if given is None or not use.reads <= given.layers.keys():
            embeddings, states = self._read(texts, use)
        else:
            embeddings, states = given.embeddings, given
        inputs = Inputs.of(embeddings, texts)
        return {kind: Scores(head.labels, *head.read(inputs, states), embeddings) for kind, head in use.by_kind.items()}

    def still(self) -> "Understander":
        """A copy that keeps the heads in use now, whatever is taken later: for who asks of a message more than once."""
        return copy(self)

    def examples(self, kind: str, embedding: NDArray[np.float32], count: int) -> tuple[Example, ...]:
        """The known examples nearest to `embedding`, nearest first; none where the head keeps none."""
        head = self._in_use.by_kind.get(kind) if self._in_use is not None else None
        return () if head is None else head.examples_near(embedding, count)

    def _read(self, texts: Sequence[str], use: _InUse | None) -> tuple[Vectors, States | None]:
        """The one pass: embeddings, and the states of those layers that the heads in use read on from."""
        if use is None or not use.reads or not isinstance(self._encoder, LayeredEncoder):
            return self._encoder(texts), None
        states = self._encoder.states(texts, use.reads)
        return states.embeddings, states

    def _understand(
        self, texts: Sequence[str], embeddings: Vectors, states: States | None, use: _InUse | None
    ) -> list[Understanding]:
        if use is None:
            return [_by_rules(text, embedding) for text, embedding in zip(texts, embeddings, strict=True)]
        inputs = Inputs.of(embeddings, texts)
        intents, sentiments = (head.probabilities(inputs, states) for head in (use.intent, use.sentiment))
        topics = _topics(use.own.get("topic"), inputs, states)
        emotions = _emotions(use.own.get("emotion"), inputs, states)
        understood = []
        own = [(*topic, *emotion) for topic, emotion in zip(topics, emotions, strict=True)]
        for text, embedding, wish, mood, more in zip(texts, embeddings, intents, sentiments, own, strict=True):
            intent = Intent(use.intent.labels[int(wish.argmax())])
            sentiment = Sentiment(use.sentiment.labels[int(mood.argmax())])
            confidence, mood_confidence = float(wish.max()), float(mood.max())
            example = use.intent.nearest(embedding, intent)
            reason = _intent_reason(intent, confidence, example)
            if (said := _in_german(text)) is not None:
                intent, confidence = said, german.OF_HELP if said is Intent.HELP else german.CONFIDENCE
                reason = f"reads as {_READS_AS[intent]} ({confidence:.0%}): {_BY_WORDS}"
            elif _COURTESY.fullmatch(text):  # the head takes it for a call for help
                intent, confidence = Intent.SMALL_TALK, german.CONFIDENCE
                reason = f"reads as {_READS_AS[intent]} ({confidence:.0%}): {_BY_WORDS}"
            if intent is Intent.OUT_OF_SCOPE and more and more[0].startswith(_ABOUT):  # their team knows of it
                intent, reason = Intent.ASK, f"{reason}, but it is about something that your team knows"
            understood.append(
                Understanding(
                    embedding=embedding,
                    intent=intent,
                    confidence=confidence,
                    sentiment=sentiment,
                    sentiment_confidence=mood_confidence,
                    reasons=(reason, _mood_reason(sentiment, mood_confidence, text), *more),
                )
            )
        return understood


def _read_by(head: Head, inputs: Inputs, states: States | None) -> Iterator[tuple[str, float, bool]]:
    """Of each message the likeliest label, how likely it is, and whether it is like any example."""
    for chances, near in zip(*head.read(inputs, states), strict=True):
        yield head.labels[int(chances.argmax())], float(chances.max()), bool(near)


def _topics(head: Head | None, inputs: Inputs, states: States | None) -> list[tuple[str, ...]]:
    """What each message is about, in a team's own words, where there is a head for it and it is sure."""
    if head is None:
        return [()] * len(inputs.dense)
    found: list[tuple[str, ...]] = []
    for label, chance, is_near in _read_by(head, inputs, states):
        if not is_near:
            found.append((f"is like none of your examples, so it has no topic ({label} comes nearest)",))
        elif chance < SURE:
            found.append(())
        else:
            found.append((f"{_ABOUT}{label} ({chance:.0%})",))
    return found


def _emotions(head: Head | None, inputs: Inputs, states: States | None) -> list[tuple[str, ...]]:
    """What each message feels like, where there is a head for it, it is sure, and it has read the like."""
    if head is None:
        return [()] * len(inputs.dense)
    return [
        (f"feels like {label} ({chance:.0%})",) if is_near and chance >= SURE else ()
        for label, chance, is_near in _read_by(head, inputs, states)
    ]


def _in_german(text: str) -> Intent | None:
    """What the words of a German text ask for: to heads that learned English it is noise."""
    return german.intent_of(text) if german.language_of(text) == "de" else None


def _intent_reason(intent: Intent, confidence: float, example: str | None) -> str:
    verb = "reads as" if confidence >= SURE else "could be"
    doubt = "" if confidence >= SURE else ", a guess"
    known = f": closest to “{example}”" if example else ""
    return f"{verb} {_READS_AS[intent]} ({confidence:.0%}{doubt}){known}"


def _mood_reason(sentiment: Sentiment, confidence: float, text: str) -> str:
    words = surface.striking_words(text)[:3] if sentiment is not Sentiment.NEUTRAL else []
    heard = ": " + ", ".join(f"“{word}”" for word in words) if words else ""
    return f"sounds {sentiment.value} ({confidence:.0%}){heard}"


_RULES = (
    (
        Intent.HUMAN,
        r"\b(human|real person|live agent|representative|(talk|speak) (to|with) (a |an )?(person|some\w+))\b",
    ),
    (Intent.HELP, r"^/?help\W*$|\bwhat can you do\b|\bwho are you\b|\bwhat are you\b"),
    (Intent.IDEATE, r"\bbrainstorm|\bideas?\b|\bcome up with\b|\bnames? for\b|\bslogans?\b|\btaglines?\b"),
    (
        Intent.SMALL_TALK,
        r"^(hi|hello|hey|thanks|thank you|thx|bye|goodbye|good (morning|evening)|ok|okay)\b[^?]{0,20}$",
    ),
)
_RULE_CONFIDENCE = 0.55  # enough for the policy to act on a plain keyword, low enough to say it is no more than that
_NO_RULE_CONFIDENCE = 0.3


def _by_rules(text: str, embedding: NDArray[np.float32]) -> Understanding:
    rule = "a rule of thumb, for the heads were trained on another encoder"
    shown = text.strip().lower()
    intent = next((intent for intent, pattern in _RULES if re.search(pattern, shown)), None)
    praise_over_blame = float(surface.features(text)[surface.NAMES.index("praise over blame")])
    sentiment = (
        Sentiment.POSITIVE
        if praise_over_blame > 0
        else Sentiment.NEGATIVE
        if praise_over_blame < 0
        else Sentiment.NEUTRAL
    )
    return Understanding(
        embedding=embedding,
        intent=intent or Intent.ASK,
        confidence=_RULE_CONFIDENCE if intent else _NO_RULE_CONFIDENCE,
        sentiment=sentiment,
        sentiment_confidence=0.5,
        reasons=(f"reads as {_READS_AS[intent or Intent.ASK]} ({rule})", f"sounds {sentiment.value} ({rule})"),
    )
