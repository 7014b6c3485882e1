"""A model's answer, held against its passages sentence by sentence: what they do not say is not shown.

Each sentence waits until it is complete, is scored, and is shown with the citation of the passage that supports it, or
left out. Where nothing of what was claimed is left, the quoting generator's answer or refusal stands in.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import replace

from agent.generation.answer import leans_back
from agent.generation.extractive import ExtractiveGenerator
from agent.generation.generator import Generator, Limits, Piece
from agent.generation.sentences import first_sentence
from agent.generation.support import Evidence, Found, read, stripped, supported
from agent.message import Claim, Move, Prompt
from agent.rewrite import content_words
from retrieval.encoder import Encoder
from retrieval.tokens import is_unspaced, words

NONE_LEFT = "The documents did not bear out what the language model said, so they are quoted."
CODE_HELD = 0.8  # of a block of code, the share of its words that a passage must have
_CITED = re.compile(r"(?<![ \t])[ \t]*+(?<!\w)\[(\d{1,2}(?:\s*,\s*\d{1,2})*)\]")
_FENCE = re.compile(r"[ \t>]*(`{3,}|~{3,})")
_ENDS, _CLOSES = ".!?…。！？:", "\"'”’»)*_"
# What is said about the conversation claims nothing about the documents.
_ASIDE = re.compile(
    r"(?i)^\W*(?:(?:(?:i(?: am|['’]m) (?:sorry|afraid)|sorry|unfortunately|leider),?\W*(?:but )?)?"
    r"(?:(?:i|we) (?:could(?: not|n['’]t)|can(?:not| ?not|['’]t)|did(?: not|n['’]t)|do(?: not|n['’]t)) "
    r"(?:find|know|see|have|tell|answer)\b"
    r"|(?:the|these|your|our) (?:\w+ )?(?:documents?|passages?|sources?|texts?) "
    r"(?:do(?:es)?(?: not|n['’]t)|give no|hold no|contain no|say nothing)\b"
    r"|(?:konnte|kann|weiß|habe)? ?ich (?:konnte|kann|weiß|habe)?\b.{0,60}\b(?:nicht|nichts|kein\w*)\b"
    r"|(?:die|diese) (?:dokumente|quellen|unterlagen) (?:sagen|enthalten|nennen|geben)\b.{0,40}\b"
    r"(?:nicht|nichts|kein\w*)\b)"
    r"|(?:good|great|excellent) question\b|(?:sure|of course|certainly)\W*$"
    r"|let me know\b|feel free\b|(?:i )?hope (?:this|that|it) helps\b"
    r"|(?:i(?: am|['’]m) )?(?:happy|glad|here) to (?:help|assist)"
    r"|if you (?:have|need|want|would like|['’]?d like) (?:\w+ ){0,3}(?:questions?|help|more|details?|else|further)\b"
    r"|ich (?:hoffe|helfe)\b.{0,40}(?:hilft|weiter|gern\w*)\b)"
)
ASIDE_WORDS = 14  # content words at most: what is longer says something


class CheckedGenerator:
    """Streams the sentences of `primary` that the passages support; other moves than answers go through as they are."""

    def __init__(self, primary: Generator, quoting: ExtractiveGenerator, encoder: Encoder) -> None:
        """quoting: answers where no sentence is left."""
        self.primary = primary
        self._quoting = quoting
        self._encoder = encoder

    @property
    def name(self) -> str:
        return self.primary.name

    async def stream(self, prompt: Prompt, adapter: str | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """Raises as `primary`. An empty piece says only that the model is at work."""
        pieces = self.primary.stream(prompt, adapter, limits)
        if prompt.move is not Move.ANSWER:
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece
            return
        reading = asyncio.ensure_future(asyncio.to_thread(self._read, prompt))
        check = _Check(self._encoder)
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    if piece.replaces:
                        check = _Check(self._encoder)
                    units = list(check.feed(piece.text))
                    yield replace(piece, text="")
                    for unit in units:
                        yield await asyncio.to_thread(check.judged, unit, await asyncio.shield(reading))
            for unit in check.finish():
                yield await asyncio.to_thread(check.judged, unit, await asyncio.shield(reading))
        finally:
            reading.cancel()
        if check.is_empty:
            notice, claims = NONE_LEFT, tuple(check.claims)
            async for piece in self._quoting.stream(prompt, None, limits):
                yield Piece(piece.text, bool(notice), notice, self._quoting.name, (*claims, *piece.claims))
                notice, claims = "", ()

    def _read(self, prompt: Prompt) -> list[Evidence]:
        return [read(passage, self._encoder) for passage in prompt.passages]

    async def close(self) -> None:
        await self.primary.close()


class _Check:
    """The reply as it grows: cut into sentences, each judged once."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._held = ""
        self._cited: int | None = None  # the passage cited last
        self._is_shown = True  # whether the sentence before was
        self._is_in_line = False  # something of this line is shown
        self.claims: list[Claim] = []

    @property
    def is_empty(self) -> bool:
        """Whether something was claimed and nothing of it is shown."""
        return bool(self.claims) and not any(claim.is_shown for claim in self.claims)

    def feed(self, text: str) -> Iterator[str]:
        """The units that are complete now: sentences, lines, blocks of code."""
        self._held += text
        while end := _first(self._held):
            yield self._held[:end]
            self._held = self._held[end:]

    def finish(self) -> Iterator[str]:
        yield from self.feed("")
        if self._held:
            yield self._held
        self._held = ""

    def judged(self, unit: str, evidence: list[Evidence]) -> Piece:
        """What is shown of a unit, with what was found. Blocks: an encoder pass."""
        bare = stripped(unit)
        if not bare or not words(bare) or is_aside(bare):
            self._is_in_line = not unit.endswith("\n")
            self._is_shown = True
            return Piece(unit)
        cited = [int(number) - 1 for found in _CITED.findall(unit) for number in found.split(",")]
        is_code = _FENCE.match(unit) is not None
        found = _code(unit, evidence) if is_code else supported(unit, evidence, cited, self._encoder)
        lacks = found.lacks
        if found.holds and not self._is_shown and leans_back(bare):
            found, lacks = Found(0.0, found.passage), "what it refers to"
        claim = Claim(bare, round(found.support, 3), lacks if not found.holds else "", found.holds, found.is_foreign)
        self.claims.append(claim)
        self._is_shown = claim.is_shown
        if not claim.is_shown:
            ends_line = self._is_in_line and "\n" in unit[len(unit.rstrip()) :]
            self._is_in_line = self._is_in_line and not ends_line
            return Piece("\n" if ends_line else "", claims=(claim,))
        self._is_in_line = not unit.endswith("\n")
        return Piece(unit if is_code else self._sourced(unit, cited, found.passage), claims=(claim,))

    def _sourced(self, unit: str, cited: list[int], passage: int) -> str:
        """The sentence with a citation of the passage that supports it, where it has another one or none."""
        last, self._cited = self._cited, passage
        if passage in cited:
            return unit
        mark = f" [{passage + 1}]"
        if cited:
            marks = iter([mark])
            return _CITED.sub(lambda _: next(marks, ""), unit)
        if last == passage:
            return unit
        end = unit.rstrip()
        at = len(end.rstrip(_CLOSES).rstrip(_ENDS))
        return f"{end[:at]}{mark}{end[at:]}{unit[len(end) :]}"


def is_aside(bare: str) -> bool:
    """Whether a sentence claims nothing that documents could say: a question, a lead-in, words about the talk."""
    if any(character.isdigit() for character in bare):
        return False
    if bare.endswith(("?", "？")):
        return True
    said = content_words(bare)
    is_short = not is_unspaced(bare) and len(said) < 2
    return (
        is_short
        or (bare.endswith((":", "：")) and len(said) < 12)
        or (len(said) < ASIDE_WORDS and _ASIDE.match(bare) is not None)
    )


def _code(unit: str, evidence: list[Evidence]) -> Found:
    """A block of code is held to its words: they stand in a passage, or it was made up."""
    said = set(words(re.sub(r"`{3,}\w*|~{3,}\w*", "", unit)))
    shares = [len(said & each.words) / max(len(said), 1) for each in evidence]
    best = max(range(len(shares)), key=lambda place: shares[place], default=0)
    share = shares[best] if shares else 0.0
    return Found(share if share >= CODE_HELD else min(share, 0.49), best, "code")


def _first(held: str) -> int:
    """Where the first complete unit ends; 0 while there is none."""
    if _FENCE.match(held) or re.fullmatch(r"[ \t>]*[`~]{1,2}", held):
        fence = _FENCE.match(held)
        if fence is None or "\n" not in held:
            return 0
        closing = re.compile(rf"\n[ \t>]*{re.escape(fence[1][:3])}[`~]*[ \t]*\n").search(held)
        return closing.end() if closing else 0
    line = held.find("\n") + 1
    sentence = first_sentence(held[:line] if line else held)
    return sentence or line
