"""A model that fails, hangs or is full never costs the answer, and the reply says what happened."""

import asyncio

import pytest

from agent.generation.fallback import FallbackGenerator
from agent.generation.generator import Limits, Piece
from agent.message import History, Intent, Move, Prompt
from retrieval.errors import ModelFailed, Overloaded

PROMPT = Prompt("", History(), "Hello", Intent.ASK, Move.ANSWER)


class Scripted:
    """Says `words`; each that is a number is a pause in seconds, each that is an error is raised."""

    name = "scripted"

    def __init__(self, *script):
        self.script = script
        self.stopped = False

    async def stream(self, prompt, adapter, limits):
        try:
            for part in self.script:
                if isinstance(part, Exception):
                    raise part
                if isinstance(part, float):
                    await asyncio.sleep(part)
                else:
                    yield Piece(part)
        finally:
            self.stopped = True

    async def close(self):
        self.stopped = True


async def said(generator, limits=Limits()):  # noqa: B008 - a frozen value
    text, notice = "", ""
    async for piece in generator.stream(PROMPT, None, limits):
        text = piece.text if piece.replaces else text + piece.text
        notice = piece.notice or notice
    return text, notice


async def test_a_model_that_works_is_left_alone():
    assert await said(FallbackGenerator(Scripted("all ", "well"), Scripted("spare"))) == ("all well", "")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ((ModelFailed("The model ran out of memory."),), "out of memory"),
        (("half a ", ModelFailed("The model broke.")), "broke"),
        ((Overloaded("The queue is full."),), "busy"),
        ((30.0, "late"), "too long"),
        (("a word ", 30.0, "late"), "too long"),
    ],
)
async def test_the_fallback_starts_the_reply_over_and_says_why(script, why):
    primary = Scripted(*script)
    text, notice = await said(
        FallbackGenerator(primary, Scripted("two ", "words"), patience=0.05), Limits(deadline=0.2)
    )
    assert text == "two words"
    assert why in notice
    assert "without the language model" in notice
    assert primary.stopped


async def test_stopping_early_stops_the_model():
    primary = Scripted("one ", "two ", "three")
    pieces = FallbackGenerator(primary, Scripted("spare")).stream(PROMPT, None, Limits())
    assert (await anext(pieces)).text == "one "
    await pieces.aclose()
    assert primary.stopped
