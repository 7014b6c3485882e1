"""The generator without a language model: it quotes the documents, asks good questions, and invents nothing."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from agent.conversation import Recall, is_stuck, recalled, recalls, rejects
from agent.generation.answer import HOLDS, answer, is_whole, refuses
from agent.generation.asked_kind import of_kind
from agent.generation.evidence import Reader, Reading
from agent.generation.facilitate import facilitate
from agent.generation.generator import Limits, Piece
from agent.generation.phrases import kind_of_small_talk, phrase, small_talk
from agent.generation.topics import topic_of
from agent.message import Claim, History, Intent, Move, Prompt
from agent.policy import concerns_us, is_ours, less_likely, tells_trouble
from agent.reading.reader import shipped
from agent.rewrite import content_words, standalone
from agent.rows import row_of, rows_named, spoken_rows
from retrieval.encoder import Encoder
from retrieval.passage import Passage

# What is asked for may be ideas: "what should we put on the first page of our flyer?"; who or where is a fact.
_OPEN = re.compile(
    r"(?>.*?\b(?:what|how|which)\b).*\b(?:should|could|might)\s+(?:we|i|our)\b"
    r"|(?>.*?\b(?:was|wie|welche\w*)\b).*\b(?:(?:sollen|sollten|könnten)\s+(?:wir|unsere)|(?:soll|sollte|könnte)\s+ich)\b",
    re.IGNORECASE | re.DOTALL,
)
LONGEST_GREETING = 4  # words: "what's up?" is no call for help, "how are you able to help me?" is
_WORD = re.compile(r"\S+\s*|\s+")


class ExtractiveGenerator:
    """The default without a model, and what answers when one fails. Deterministic; adapter and limits do not apply."""

    name = "extractive"

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._reader = Reader(encoder, shipped())

    async def stream(self, prompt: Prompt, adapter: str | None, limits: Limits) -> AsyncGenerator[Piece, None]:  # noqa: ARG002 - the seam's arguments
        """The reply, word by word. It is made in a thread, since reading the passages takes an encoder pass."""
        text, claims = await asyncio.to_thread(self.replied, prompt)
        for word in _WORD.findall(text):
            yield Piece(word, claims=claims)
            claims = ()

    def replied(self, prompt: Prompt) -> tuple[str, tuple[Claim, ...]]:
        """The whole reply, and how sure the reader was of what it quotes; "" for Move.SILENT."""
        said, claims = self.quoted(prompt)
        return (spoken_rows(said, prompt.message) if claims or prompt.passages else said), claims

    def quoted(self, prompt: Prompt) -> tuple[str, tuple[Claim, ...]]:
        """The same with the rows of tables as they are kept."""
        if prompt.move is not Move.ANSWER:
            return self.reply(prompt), ()
        question = prompt.question or standalone(prompt.message, prompt.history)
        reading = of_named_rows(question, self._reader.read(question, prompt.passages))
        reading = of_kind(question, reading, prompt.passages)
        if not concerns_us(prompt.intent, prompt.message):
            reading = ours_doubted(reading, prompt.passages)
        said = answer(question, reading, prompt.passages, prompt.language)
        if refuses(said) and _OPEN.match(prompt.message):
            said += f"\n\n{phrase('answer', 'or_ideas', language=prompt.language)}"
        return said, judged(reading)

    def reply(self, prompt: Prompt) -> str:
        """The whole reply; "" for Move.SILENT."""
        match prompt.move:
            case Move.ANSWER:
                return self.replied(prompt)[0]
            case Move.IDEATE:
                return facilitate(prompt, self._encoder)
            case Move.CAPTURE:
                complaint = "complaint" if prompt.intent is Intent.COMPLAINT else "feedback"
                kind = "wrong" if rejects(prompt.message) else complaint
                return phrase("capture", kind, prompt.history, prompt.language)
            case Move.ESCALATE:
                kind = "complaint" if prompt.intent is Intent.COMPLAINT else "text"
                if tells_trouble(prompt.message) and prompt.intent is not Intent.HUMAN:  # then documents were searched
                    kind = "trouble"
                return phrase("escalate", kind, prompt.history, prompt.language)
            case Move.CLARIFY:
                return _question_back(prompt)
            case Move.CHAT:
                return _chat(prompt)
            case Move.SILENT:
                return ""

    async def close(self) -> None:
        """Nothing is held."""


def of_named_rows(question: str, reading: Reading) -> Reading:
    """The reading without the rows of others, where a question names rows: of the T2, nothing that is the T2 Pro's."""
    rows = {id(scored): row for scored in reading.units if (row := row_of(scored.unit.text)) is not None}
    asked = rows_named(question, {row.name for row in rows.values()})
    others = {each for each, row in rows.items() if asked and row.name not in asked}
    return replace(
        reading,
        units=tuple(replace(each, probability=0.0) if id(each) in others else each for each in reading.units),
    )


def ours_doubted(reading: Reading, passages: Sequence[Passage]) -> Reading:
    """The reading with what Atelier's own guide says made less likely, where there are a team's documents too.

    Twice where the search put one of these first: "how do I report that I am sick?" asks for no report to us.
    """
    ours = [is_ours(passage) for passage in passages]
    if all(ours) or not any(ours):
        return reading
    is_behind = not ours[max(range(len(passages)), key=lambda place: (passages[place].score, -place))]

    def doubted(probability: float) -> float:
        return less_likely(less_likely(probability) if is_behind else probability)

    units = (
        replace(scored, probability=doubted(scored.probability)) if ours[scored.passage] else scored
        for scored in reading.units
    )
    sections = (doubted(each) if own else each for each, own in zip(reading.sections, ours, strict=True))
    return replace(reading, units=tuple(units), sections=tuple(sections))


def judged(reading: Reading) -> tuple[Claim, ...]:
    """What the trained reader found likeliest to answer, or why it did not read; nothing where a heading decided."""
    if not reading.units:
        return ()
    if reading.unread:
        return (Claim("", 0.0, reading.unread, is_shown=False, is_read=True),)
    best = max(reading.units, key=lambda scored: scored.probability)
    if is_whole(max(reading.sections), best.probability):  # its heading decided, and no sentence
        return ()
    return (Claim(best.unit.text, best.probability, is_shown=best.probability >= HOLDS, is_read=True),)


def _chat(prompt: Prompt) -> str:
    wanted = recalls(prompt.message)
    if wanted is not None:
        return _recalled(wanted, prompt.history, prompt.language)
    kind = kind_of_small_talk(prompt.message)
    is_greeting = kind == "how_are_you" and len(prompt.message.split()) <= LONGEST_GREETING
    if prompt.intent is Intent.HELP and kind != "who" and not is_greeting:
        return phrase("help", "text", language=prompt.language)
    if prompt.intent is Intent.OUT_OF_SCOPE:
        return phrase("chat", "out_of_scope", prompt.history, prompt.language)
    return small_talk(prompt.message, prompt.history, prompt.language)


def _recalled(wanted: Recall, history: History, language: str) -> str:
    words = recalled(wanted, history)
    if not words:
        return phrase("chat", "nothing_before", language=language)
    opening = phrase("chat", {"said": "said", "all": "asked_all"}.get(wanted, "asked"), language=language)
    quotes = ["\n".join(f"> {line}".rstrip() for line in text.strip().split("\n")) for text in words]
    return "\n\n".join([opening, *quotes])


def _question_back(prompt: Prompt) -> str:
    """One question, about what the message named."""
    topic = topic_of(prompt.message)
    kind = "stuck" if is_stuck(prompt.message) else "question"
    if not content_words(topic) or len(topic.split()) > 8:
        return phrase("clarify", "unclear", prompt.history, prompt.language)
    return phrase("clarify", kind, prompt.history, prompt.language).format(topic=topic.rstrip("?!. "))
