"""What a message wants and how it feels: two linear heads on the one encoder pass that search uses too.

A head is a multinomial logistic regression on the frozen sentence embedding, a few surface features and hashed n-grams
(`agent/surface.py`). One temperature, fitted on rows and sources it was not trained on (Guo et al. 2017), makes its
confidence mean something. A head knows which encoder it was trained on; with any other, plain rules stand in and say
so.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from agent import german, surface
from agent.message import Intent, Sentiment, Understanding
from retrieval.encoder import Encoder
from retrieval.errors import HeadError, HeadMismatch
from retrieval.files import read_manifest
from retrieval.passage import Vectors

SHIPPED = Path(__file__).parent / "heads"
SURE = 0.5  # below it, more likely wrong than right: reasons say "a guess", and the policy takes the safe side
_NEAR = 0.45  # cosine under which naming a known example explains nothing

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
class Inputs:
    """What a head reads. dense: (n, dim + features), embedding beside surface features; grams: n rows of buckets."""

    dense: NDArray[np.float32]
    grams: tuple[NDArray[np.intp], ...]

    @classmethod
    def of(cls, embeddings: Vectors, texts: Sequence[str]) -> "Inputs":
        """The inputs of `texts` and their embeddings, (n, dim)."""
        features = np.array([surface.features(text) for text in texts], dtype=np.float32)
        dense = np.hstack([embeddings, features.reshape(len(texts), len(surface.NAMES))])
        return cls(dense, tuple(map(surface.grams, texts)))

    def chosen(self, rows: Sequence[int] | NDArray[np.intp]) -> "Inputs":
        return Inputs(self.dense[rows], tuple(self.grams[i] for i in rows))


@dataclass(frozen=True, slots=True)
class Linear:
    """weights: (dim + features, labels); gram_weights: (surface.BUCKETS, labels); bias: (labels,)."""

    weights: NDArray[np.float32]
    gram_weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, inputs: Inputs) -> NDArray[np.float32]:
        """(n, labels). A row of g n-grams is a vector of unit length, like the embedding: each of them weighs 1/√g."""
        heard = [self.gram_weights[grams].sum(axis=0) / max(1, len(grams)) ** 0.5 for grams in inputs.grams]
        result: NDArray[np.float32] = inputs.dense @ self.weights + self.bias
        return result + np.array(heard, dtype=np.float32).reshape(result.shape)


def probabilities(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """(n, labels), rows that sum to 1."""
    exponents = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    result: NDArray[np.float32] = exponents / exponents.sum(axis=1, keepdims=True)
    return result


@dataclass(frozen=True, slots=True)
class Head:
    """One trained head. vectors: (examples, dim), unit rows, the embeddings of the examples that reasons name."""

    labels: tuple[str, ...]
    temperature: float
    linear: Linear
    examples: tuple[str, ...]
    example_labels: tuple[str, ...]
    vectors: Vectors

    @classmethod
    def load(cls, folder: Path, name: str, encoder: Encoder) -> "Head":
        """Read `name`.json and `name`.safetensors of a sealed folder.

        Raises HeadMismatch when the head belongs to another encoder, HeadError when anything else is wrong with it.
        """
        again = "Train the heads again with `atelier finetune heads`, or reinstall Atelier for its own."
        try:
            read_manifest(folder)
            card = json.loads((folder / f"{name}.json").read_bytes())
            trained_on = str(card["encoder"])
            if trained_on != encoder.id:
                raise HeadMismatch(
                    f"The {name} head in {folder} was trained on the encoder {trained_on!r}, not on {encoder.id!r}. "
                    "Run `atelier finetune heads` to train it for this encoder."
                )
            tensors = safetensors.numpy.load((folder / f"{name}.safetensors").read_bytes())
            head = cls(
                labels=tuple(map(str, card["labels"])),
                temperature=float(card["temperature"]),
                linear=Linear(*(tensors[part].astype(np.float32) for part in ("weights", "gram_weights", "bias"))),
                examples=tuple(str(example["text"]) for example in card["examples"]),
                example_labels=tuple(str(example["label"]) for example in card["examples"]),
                vectors=tensors["examples"].astype(np.float32),
            )
            head._check(encoder.dim, tuple(card["features"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, safetensors.SafetensorError) as error:
            raise HeadError(f"The {name} head in {folder} cannot be used: {error}. {again}") from error
        return head

    def _check(self, dim: int, features: tuple[str, ...]) -> None:
        if features != surface.NAMES:
            raise ValueError("it was trained on other surface features")
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"its temperature is {self.temperature}")
        tensors = (self.linear.weights, self.linear.gram_weights, self.linear.bias, self.vectors)
        rows, classes = dim + len(surface.NAMES), len(self.labels)
        expected = ((rows, classes), (surface.BUCKETS, classes), (classes,), (len(self.examples), dim))
        if tuple(tensor.shape for tensor in tensors) != expected:
            raise ValueError(f"its tensors have other shapes than {expected}")
        if not all(np.isfinite(tensor).all() for tensor in tensors):
            raise ValueError("its tensors hold numbers that are not finite")

    def probabilities(self, inputs: Inputs) -> NDArray[np.float32]:
        """Calibrated probabilities, (n, labels)."""
        return probabilities(self.linear.logits(inputs), self.temperature)

    def nearest(self, embedding: NDArray[np.float32], label: str) -> str | None:
        """The known example that is nearest to `embedding`, where it is near at all and carries `label`."""
        if not self.examples:
            return None
        similarities = np.einsum("nd,d->n", self.vectors, embedding)  # `@` wakes BLAS threads that then fight torch's
        best = int(similarities.argmax())
        near = similarities[best] >= _NEAR and self.example_labels[best] == label
        return self.examples[best] if near else None


class Understander:
    """Understands messages with one encoder pass each. Thread-safe when the encoder is."""

    def __init__(self, encoder: Encoder, heads: Path = SHIPPED) -> None:
        """Load both heads from the folder `heads`. Raises HeadError when they are damaged.

        Heads of another encoder are not an error: `notice` says so, and rules stand in.
        """
        self._encoder = encoder
        self._made_with = heads
        self._heads: tuple[Head, Head] | None = None  # intent, sentiment
        self._topic: Head | None = None  # of a team's own labels
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
        topic = Head.load(heads, "topic", self._encoder) if (heads / "topic.json").exists() else None
        self._heads, self._topic, self.notice = (intent, sentiment), topic, ""

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
        embeddings = self._encoder([text, query])
        return self._understand([text], embeddings[:1])[0], embeddings[1]

    def understand_all(self, texts: Sequence[str]) -> list[Understanding]:
        """Understand several messages in one pass, in the order given."""
        return self._understand(texts, self._encoder(texts))

    def _understand(self, texts: Sequence[str], embeddings: Vectors) -> list[Understanding]:
        heads = self._heads
        if heads is None:
            return [_by_rules(text, embedding) for text, embedding in zip(texts, embeddings, strict=True)]
        inputs = Inputs.of(embeddings, texts)
        intents, sentiments = (head.probabilities(inputs) for head in heads)
        topics = self._topics(inputs)
        understood = []
        for text, embedding, wish, mood, topic in zip(texts, embeddings, intents, sentiments, topics, strict=True):
            intent = Intent(heads[0].labels[int(wish.argmax())])
            sentiment = Sentiment(heads[1].labels[int(mood.argmax())])
            confidence, mood_confidence = float(wish.max()), float(mood.max())
            example = heads[0].nearest(embedding, intent)
            reason = _intent_reason(intent, confidence, example)
            if (said := _in_german(text)) is not None:
                intent, confidence = said, german.OF_HELP if said is Intent.HELP else german.CONFIDENCE
                reason = f"reads as {_READS_AS[intent]} ({confidence:.0%}): {_BY_WORDS}"
            elif _COURTESY.fullmatch(text):  # the head takes it for a call for help
                intent, confidence = Intent.SMALL_TALK, german.CONFIDENCE
                reason = f"reads as {_READS_AS[intent]} ({confidence:.0%}): {_BY_WORDS}"
            understood.append(
                Understanding(
                    embedding=embedding,
                    intent=intent,
                    confidence=confidence,
                    sentiment=sentiment,
                    sentiment_confidence=mood_confidence,
                    reasons=(reason, _mood_reason(sentiment, mood_confidence, text), *topic),
                )
            )
        return understood

    def _topics(self, inputs: Inputs) -> list[tuple[str, ...]]:
        """What each message is about, in a team's own words, where there is a head for it and it is sure."""
        head = self._topic
        if head is None:
            return [()] * len(inputs.dense)
        sure = [(head.labels[int(each.argmax())], float(each.max())) for each in head.probabilities(inputs)]
        return [(f"is about {label} ({chance:.0%})",) if chance >= SURE else () for label, chance in sure]


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
