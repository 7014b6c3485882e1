"""What is said of the last answer, when it is asked about: from the passages that the answer came from.

Where a model words the answers, it is asked for the reason, for more and for other words; the rest is told as it is.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from agent.generation.answer import refuses, unmarked
from agent.generation.phrases import LANGUAGES, phrase
from agent.generation.sentences import cut
from agent.looking_back import Back
from agent.message import Move, Turn
from agent.rewrite import content_words
from retrieval.passage import Passage
from retrieval.tokens import words

LATELY = 4  # turns back in which the answer that is meant is looked for: thanks may stand between
LONGEST = 900  # characters of a passage that are quoted
SHOWN = 2  # passages quoted
NEAR = 3  # other places named where everything was said
TOLD = frozenset({Back.SURE, Back.SOURCE})  # which no model words: it would have to be believed
_GIVES_REASON = re.compile(
    r"\b(?:because|due\s+to|since|so\s+that|in\s+order\s+to|therefore|the\s+reason|owing\s+to|thanks\s+to|for\s+\w+\s+reasons?"
    r"|weil|da(?=\s+\w+\s+\w+)|denn|damit|wegen|aufgrund|deshalb|daher|um\s+\w+\s+zu|porque|debido|puisque|parce|afin)\b|因为|由于|所以",
    re.IGNORECASE,
)
# "It is so because …" gives the reason of what stands before it; "Later days lapse, because …" its own
_LEANS_ON = re.compile(
    r"(?:this|that|it|they|these|those|because|since|the\s+reason|otherwise|therefore|das|dies\w*|es|sie|denn|weil|der\s+grund|grund"
    r"|sonst|eso|esto|la\s+raz[óo]n|cela|c['’]est|la\s+raison)\b|因为|这是|原因",
    re.IGNORECASE,
)
_MARKED = re.compile(r"\*\*(.+?)\*\*")
_STEM = 6  # letters by which words of a question and of a sentence are compared


@dataclass(frozen=True, slots=True)
class Looked:
    """What is said of the last answer. passages: those that it cites, [n] counted from 1; said is empty for a model."""

    kind: Back
    passages: tuple[Passage, ...]
    said: str


def answered_last(turns: Sequence[Turn]) -> Turn | None:
    """The latest answer from the documents, where only talk stands after it; None where something else does."""
    for turn in reversed(turns):
        if turn.decision.move is Move.ANSWER:
            return turn
        if turn.decision.move not in (Move.CHAT, Move.CAPTURE):
            return None
    return None


def told(
    kind: Back, turn: Turn, passages: Sequence[Passage], language: str, dates: Callable[[], Mapping[str, datetime]]
) -> Looked:
    """What can be said of `turn`, whose reply cites some of `passages`: those that may still be read.

    dates: of the documents, by source; asked for only where one is told.
    """

    def say(name: str) -> str:
        return phrase("back", name, language=language)

    cited = {source.passage for source in turn.reply.sources}
    quoted = [passage for passage in passages if passage.id in cited]
    if refuses(turn.reply.text) or not quoted:
        return Looked(kind, (), say("gone" if cited and not quoted else "refused"))
    kept = tuple(quoted[:SHOWN])
    quotes = "\n\n".join(_quote(passage, number) for number, passage in enumerate(kept, 1))
    if kind is Back.MORE and (others := _all_said(turn.reply.text, kept, passages)) is not None:
        named = [f"- {unmarked(each.heading) or each.source} [{i}]" for i, each in enumerate(others, len(kept) + 1)]
        listed = "\n\n".join([say("more_near"), "\n".join(named)]) if named else ""
        marks = "".join(f"[{number}]" for number in range(1, len(kept) + 1))
        return Looked(kind, (*kept, *others), f"{say('more_all')} {marks}\n\n{listed}".strip())
    if kind is Back.WHY and (reason := _reason(turn, kept)):
        return Looked(kind, kept, f"{say('why')}\n\n{reason}")
    if kind is Back.SURE:
        unsure = turn.reply.text.startswith(tuple(phrase("answer", "unsure", language=each) for each in LANGUAGES))
        known = dates().get(kept[0].source)
        dated = say("dated").format(date=f"{known:%Y-%m-%d}") if known else ""
        opening = say("unsure") if unsure else say("sure")
        return Looked(kind, kept, f"{opening} {dated}".strip() + f"\n\n{quotes}")
    name = {Back.WHY: "why_not", Back.SOURCE: "source", Back.MORE: "more", Back.REWORD: "reword"}[kind]
    return Looked(kind, kept, f"{say(name)}\n\n{quotes}")


def _quote(passage: Passage, number: int) -> str:
    """A passage as a quotation with its citation; what is too long ends at a sentence."""
    text = passage.text.strip()
    if len(text) > LONGEST:
        end = max(text.rfind(mark, 0, LONGEST) for mark in (". ", ".\n", "\n", "。"))
        text = text[: end + 1 if end > 0 else LONGEST].rstrip() + " …"
    lines = unmarked(text).split("\n")
    return "\n".join(f"> {line}".rstrip() for line in lines) + f" [{number}]"


def _sentences(passage: Passage) -> list[str]:
    return [unit.text for unit in cut(passage.text)]


def _said(reply: str, sentence: str) -> bool:
    """Whether a reply holds a sentence, whatever is marked in it."""
    return f" {' '.join(words(sentence))} " in f" {' '.join(words(reply))} "


def _all_said(reply: str, cited: Sequence[Passage], found: Sequence[Passage]) -> list[Passage] | None:
    """What else was found, where the reply has said all that the cited passages hold; None where it has not."""
    if not all(_said(reply, sentence) for passage in cited for sentence in _sentences(passage) if words(sentence)):
        return None
    shown = {passage.id for passage in cited}
    near = [each for each in found if each.id not in shown and any(each.source == other.source for other in cited)]
    return near[:NEAR]


def _reason(turn: Turn, cited: Sequence[Passage]) -> str:
    """The sentence that gives a reason: the one that answered, or the one right after where it leans on that."""
    for number, passage in enumerate(cited, 1):
        sentences = _sentences(passage)
        answered = _answered(turn, sentences)
        for i, sentence in enumerate(sentences):
            leans = i - 1 in answered and _LEANS_ON.match(sentence)
            if (i in answered or leans) and _GIVES_REASON.search(sentence):
                return f"{unmarked(sentence)} [{number}]"
    return ""


def _answered(turn: Turn, sentences: Sequence[str]) -> set[int]:
    """The places of the sentences that answered: what was read or marked so, else what has most of the question."""
    reply = turn.reply.text
    said = [i for i, sentence in enumerate(sentences) if _said(reply, sentence)]
    read = {" ".join(words(claim.text)) for claim in turn.reply.claims if claim.is_read and claim.text}
    if chosen := {i for i in said if " ".join(words(sentences[i])) in read}:
        return chosen
    if marked := [mark for mark in _MARKED.findall(reply) if words(mark)]:
        return {i for i in said if any(mark in sentences[i] for mark in marked)} or set(said)
    asked = {word[:_STEM] for word in words(" ".join(content_words(turn.message.text)))}
    shared = {i: len(asked & {word[:_STEM] for word in words(sentences[i])}) for i in said}
    return {max(said, key=lambda i: (shared[i], -i))} if said else set()
