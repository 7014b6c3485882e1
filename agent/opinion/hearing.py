"""One message heard: how likely it is negative and positive, and what it is about."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from agent.message import Sentiment
from agent.syntax.phrases import key_phrases
from agent.syntax.words import is_english
from agent.understanding import SURE, Understander
from retrieval.encoder import States
from retrieval.errors import HeadError

if TYPE_CHECKING:
    from agent.syntax.parser import Parser

MOST = 4  # key phrases of a message


@dataclass(frozen=True, slots=True)
class Impression:
    """How a message sounds and what it is about.

    negative, positive: how likely, 0..1. labels: of the team's own, which are nobody's words. phrases: the message's
    own words.
    """

    negative: float
    positive: float
    labels: tuple[str, ...]
    phrases: tuple[str, ...]


class Ear:
    """Hears messages with the heads that understand them. Thread-safe."""

    def __init__(self, understander: Understander, parser: Callable[[], "Parser"]) -> None:
        """parser: makes what reads syntax, when the first message is heard. Where it cannot, only labels are topics."""
        self._understander = understander
        self._make_parser = parser
        self._parser: Parser | None = None
        self._is_asked = False
        self._lock = Lock()
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="syntax")

    def hear(self, text: str) -> Impression:
        """Blocks: one encoder pass, and the layers of their own that heads and syntax have."""
        parser = self._ready() if is_english(text) else None
        phrases: Sequence[str] = ()
        if parser is None:
            scores = self._understander.scores([text])
        else:
            layers = self._understander.reads
            lower = parser.lower([text], layers)
            # syntax needs no more: the encoder's other layers and those of the heads are read beside it, each by one
            # processor alone
            reading = self._beside.submit(_phrases, parser, text, lower)
            try:
                scores = self._understander.scores([text], parser.upper(lower, layers))
            finally:
                wait([reading])
            phrases = reading.result()
        if "sentiment" not in scores:  # heads of another encoder: rules of thumb
            understood = self._understander.understand(text)
            chances = {understood.sentiment.value: understood.sentiment_confidence}
        else:
            mood = scores["sentiment"]
            chances = dict(zip(mood.labels, map(float, mood.probabilities[0]), strict=True))
        labels: tuple[str, ...] = ()
        topic = scores.get("topic")
        if topic is not None and topic.near[0] and float(topic.probabilities[0].max()) >= SURE:
            labels = (topic.labels[int(topic.probabilities[0].argmax())],)
        negative, positive = (chances.get(each.value, 0.0) for each in (Sentiment.NEGATIVE, Sentiment.POSITIVE))
        return Impression(negative, positive, labels, tuple(phrases))

    def _ready(self) -> "Parser | None":
        with self._lock:
            if not self._is_asked:
                self._is_asked = True
                try:
                    self._parser = self._make_parser()
                except HeadError:
                    self._parser = None
            return self._parser


def _phrases(parser: "Parser", text: str, states: States) -> list[str]:
    return key_phrases(parser.read_within(parser.parts(text), states), MOST)
