"""Sharper versions of a question: three, by template, or by the generator where there is one. The group chooses.

A question reframed before ideas are collected gives more inventive ideas (Rick et al. 2023, Supermind Ideator). The
three turn it to the people it is for, to what stands in the way, and to what it is good for.
"""

import re
from collections.abc import Sequence

from agent.generation.generator import Generator, Limits
from agent.ideation.labels import spoken_in
from agent.message import History, Intent, Move, Prompt
from agent.prompt import PERSONA
from retrieval.errors import GeneratorError

_LEAD = re.compile(
    r"^\W*(?:(?:how|what)\s+(?:can|could|might|should|do|would|to)\s*(?:we|i|you|they|one)?\s*(?:do\s+to\s+)?"
    r"|how\s+to\s+|ways\s+to\s+|ideas?\s+(?:for|on|about|to)\s+|to\s+)",
    re.IGNORECASE,
)
_VERBS = frozenset(
    "attract avoid be become boost bring build celebrate change collect convince create cut decide deliver design "
    "develop encourage engage enter explain finance find fix get give grow handle help hire improve include increase "
    "invent invite keep launch lead learn lower make manage market measure motivate move offer open organise organize "
    "plan present prevent prepare promote protect raise reach reduce remove replace reuse run save sell share shorten "
    "show simplify solve speed spend stop support teach test thank train turn use welcome win work write".split()
)
_ITEM = re.compile(r"^\s*(?:[-*•–]|\(?\d{1,2}[.)])\s*")
_ASK = (
    "Write three sharper versions of this question for a brainstorm, one on each line, each beginning with "
    '"How might we": {topic}'
)
_ASK_GERMAN = (
    "Schreibe drei schärfere Fassungen dieser Frage für ein Brainstorming, jede auf einer eigenen Zeile und jede mit "
    "„Wie könnten wir“ am Anfang: {topic}"
)
LONGEST = 200  # characters of one version


def by_template(topic: str, language: str = "") -> tuple[str, str, str]:
    """Three versions of the question, made without a model, in German or English."""
    if spoken_in(language) == "de":
        words = topic.strip()
        return (
            f"Für wen soll es besser werden, und woran würden sie es nach einem Monat merken: {words}",
            f"Was steht uns im Weg, und wie räumen wir es weg: {words}",
            f"Was wollen wir damit erreichen, und wie ginge das auch anders: {words}",
        )
    words = _core(topic)
    first = words.split(" ", 1)[0].casefold()
    if first in _VERBS:
        return (
            f"How might we {words} so that the people it is for notice it within a month?",
            f"What stands in the way when we try to {words}, and how might we take it away?",
            f"What do we hope to reach when we {words}, and how else could we reach that?",
        )
    return (
        f"Think of one person whom it concerns: what should {words} do for them?",
        f"What usually goes wrong with {words}, and how might we avoid it?",
        f"What are we after with {words}, and how else could we get there?",
    )


async def reframings(
    topic: str, generator: Generator | None = None, *, language: str = "", seconds: float = 20
) -> tuple[str, ...]:
    """Three versions of the question: the generator's where it gives three that are any good, else by template."""
    is_german = spoken_in(language) == "de"
    if generator is not None:
        prompt = Prompt(
            PERSONA, History(), (_ASK_GERMAN if is_german else _ASK).format(topic=topic), Intent.IDEATE, Move.IDEATE
        )
        said = await _said(generator, prompt, Limits(max_tokens=160, temperature=0.7, deadline=seconds))
        if (found := _versions(said, topic)) is not None:
            return found
    return by_template(topic, language)


async def _said(generator: Generator, prompt: Prompt, limits: Limits) -> str:
    text = ""
    try:
        async for piece in generator.stream(prompt, None, limits):
            text = piece.text if piece.replaces else text + piece.text
    except GeneratorError:
        return ""  # a session does not wait for a model
    return text


def _versions(said: str, topic: str) -> tuple[str, ...] | None:
    """Three different questions of what a model said; None when there are fewer, or one only repeats the topic."""
    lines = [_ITEM.sub("", line).strip().strip('"*') for line in said.splitlines()]
    questions = [each for each in lines if each.endswith("?") and 15 <= len(each) <= LONGEST]
    different = tuple(dict.fromkeys(each for each in questions if _core(each).casefold() != _core(topic).casefold()))
    return different[:3] if len(different) >= 3 and _keeps(different[:3], topic) else None


def _keeps(versions: Sequence[str], topic: str) -> bool:
    """Whether each version still has a word of the topic: a small model wanders off."""
    words = set(re.findall(r"\w{4,}", topic.casefold()))
    return not words or all(words & set(re.findall(r"\w{4,}", each.casefold())) for each in versions)


def _core(topic: str) -> str:
    """A topic without its "how can we", and without its end, as it fits into a sentence."""
    words = _LEAD.sub("", topic.strip(), count=1).rstrip(" .?!") or topic.strip().rstrip(" .?!")
    head, space, rest = words.partition(" ")
    is_name = len(head) > 1 and not head[1:].islower()  # "GPS", "McKay"
    return words if is_name else f"{head[:1].lower()}{head[1:]}{space}{rest}"
