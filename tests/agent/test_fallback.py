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

    def __init__(self, *script, name="scripted"):
        self.name = name
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


async def test_any_error_of_the_model_is_a_failure_and_its_words_stay_out_of_the_log(caplog):
    primary = Scripted("half a ", RuntimeError("CUDA out of memory while reading 'my salary'"))
    text, notice = await said(FallbackGenerator(primary, Scripted("spare")))
    assert text == "spare"
    assert notice.startswith("The language model failed.")
    assert "RuntimeError" in caplog.text
    assert "salary" not in caplog.text + notice


async def test_a_cancelled_reply_is_not_given_by_the_fallback():
    pieces = FallbackGenerator(Scripted(30.0, "late"), Scripted("spare")).stream(PROMPT, None, Limits())
    waiting = asyncio.create_task(anext(pieces))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_pieces_say_when_the_fallback_worded_them():
    broken = FallbackGenerator(Scripted("half a ", ModelFailed("Broke.")), Scripted("two ", "words", name="spare"))
    by = [piece.by async for piece in broken.stream(PROMPT, None, Limits())]
    assert by == ["", "spare", "spare"]


async def test_stopping_early_stops_the_model():
    primary = Scripted("one ", "two ", "three")
    pieces = FallbackGenerator(primary, Scripted("spare")).stream(PROMPT, None, Limits())
    assert (await anext(pieces)).text == "one "
    await pieces.aclose()
    assert primary.stopped
