"""What a message asks about the last answer itself: is it sure, where does it stand, why, more of it, in other words.

Such a message names nothing to search for ("who says so?"). The forms are data, `looking_back.toml`. Pure.
"""

import re
import tomllib
from enum import StrEnum
from functools import cache
from importlib.resources import files


class Back(StrEnum):
    """What is asked of the last answer."""

    SURE = "sure"
    SOURCE = "source"
    WHY = "why"
    MORE = "more"
    REWORD = "reword"


_OPENS = (
    r"^\W*(?:(?:ok(?:ay)?|so|well|and|but|hey|hm+|oh|wait|please|sorry|atelier|no|yes|now|thanks|also|und|aber|bitte|ja|nein|ach|na"
    r"|y|et|mais|pero)\b[\s,.:!]*)*(?:(?:can|could|would|will)\s+you\s+(?:please\s+)?|(?:kannst|könntest)\s+du\s+(?:bitte\s+)?"
    r"(?:mir\s+)?)?"
)
_ENDS = (
    r"(?:[\s,]+(?:please|then|though|again|now|really|exactly|a\s+(?:bit|little)|for\s+me|to\s+me|bitte|denn|genau|eigentlich|nochmal|mal"
    r"|für\s+mich|mir|por\s+favor|s['’]il\s+(?:te|vous)\s+pla[iî]t))*\s*[?!.,…¿？！。]*\s*$"
)
_LONGEST_ASKED = 80  # characters: what is longer names something


def looks_back(text: str) -> Back | None:
    """What a message asks about the answer before it, where it asks nothing else; mostly None."""
    if len(text) > _LONGEST_ASKED:
        return None
    return next((kind for kind, form in _forms().items() if form.match(text)), None)


@cache
def _forms() -> dict[Back, re.Pattern[str]]:
    written = tomllib.loads(files("agent").joinpath("looking_back.toml").read_text("utf-8"))
    found = {}
    for kind in Back:
        either = "|".join(written["forms"][kind])
        for name, part in written["parts"].items():
            either = either.replace(f"<{name}>", part)
        found[kind] = re.compile(f"{_OPENS}(?:{either}){_ENDS}", re.IGNORECASE)
    return found
