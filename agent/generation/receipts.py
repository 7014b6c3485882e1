"""What is said of an idea that was taken, and how a reply is told to be that. Pure."""

import re
import textwrap
from collections.abc import Sequence
from functools import cache

from agent.generation.phrases import LANGUAGES, phrase, phrases
from agent.message import Intent, Line, Prompt

_ASKING = frozenset({Intent.ASK, Intent.HELP, Intent.HUMAN, Intent.COMPLAINT})
_SHOWN = 120  # characters of an idea that is quoted back
_NAMES = ("received", "received_first", "received_asked")


def receipt(prompt: Prompt, ideas: Sequence[str], counted: str, language: str, *, is_first: bool) -> str:
    """That ideas were taken. What reads as if it asked something is quoted: who did not mean it so takes it back.

    counted: how many there are now, in words. is_first: whether none stood on the list before.
    """
    if len(ideas) == 1 and prompt.intent in _ASKING:
        name = "received_asked"
    else:
        name = "received_first" if is_first and len(ideas) == 1 else "received"
    idea = textwrap.shorten(ideas[0], _SHOWN, placeholder=" …")
    return phrase("ideate", name, prompt.history, language).format(count=counted, idea=idea)


def was_taken(lines: Sequence[Line], place: int) -> bool | None:
    """Whether the reply to a message counted it as an idea; None where there is none (yet)."""
    after = range(place + 1, len(lines))
    reply = next((lines[i].text for i in after if lines[i].role == "assistant"), "")
    return any(shape.match(reply) for shape in _receipts()) if reply.strip() else None


@cache
def _receipts() -> tuple[re.Pattern[str], ...]:
    said = (each for language in LANGUAGES for name in _NAMES for each in phrases("ideate", name, language))
    shapes = (re.escape(each).replace(r"\{count\}", ".{1,20}?").replace(r"\{idea\}", ".+?") for each in said)
    return tuple(re.compile(shape, re.DOTALL) for shape in shapes)
