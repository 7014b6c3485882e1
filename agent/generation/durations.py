"""Lengths of time and shares, however they are put: "half an hour" is 30 minutes, "zwei Wochen" 14 days. Pure.

English and German. Working days and weeks are not each other: "30 days of leave" may be six weeks, and is not here.
"""

import re
from collections.abc import Iterable

from agent.generation.facts import figures

# In minutes, and in months: a month is no number of days.
_UNITS = {
    "minutes": {"minute": 1, "minuten": 1, "min": 1, "hour": 60, "stunde": 60, "stunden": 60, "std": 60, "day": 1440},
    "months": {"month": 1, "monat": 1, "monate": 1, "monaten": 1, "year": 12, "jahr": 12, "jahre": 12, "jahren": 12},
}
_UNITS["minutes"] |= {"h": 60, "tag": 1440, "tage": 1440, "tagen": 1440}
_UNITS["minutes"] |= {"week": 10080, "woche": 10080, "wochen": 10080}
_OF = {unit: (kind, size) for kind, units in _UNITS.items() for unit, size in units.items()}
_PARTS = (
    (r"(?:a )?quarter(?: of)? an?|(?:eine[r]? )?viertel", 0.25),
    (r"three[- ]quarters?(?: of)? an?|(?:eine[r]? )?dreiviertel", 0.75),
    (r"half an?|a half|(?:einer?|einem|ein) halbe[rsnm]?|halbe[rsnm]?", 0.5),
    (r"(?:one|an?) and a half|anderthalb|eineinhalb|einundeinhalb", 1.5),
    (r"two and a half|zweieinhalb", 2.5),
    (r"three and a half|dreieinhalb", 3.5),
    (r"an?|einer?|einen?|einem", 1.0),
)
_PART = "|".join(f"(?P<p{i}>{shape})" for i, (shape, _) in enumerate(_PARTS))
_NUMBER = r"\d+(?:[.,]\d+)?|[a-zäöüß]+(?:-[a-z]+)?"
_UNIT = "|".join(sorted((rf"{unit}s?" for unit in _OF), key=len, reverse=True))
_LENGTH = re.compile(rf"(?i)\b(?:{_PART}|(?P<number>{_NUMBER}))[ -]?(?P<unit>{_UNIT})\b(?P<half> and a half\b)?")
_SHARES = (
    (r"(?<!\d)(?P<number>\d+(?:[.,]\d+)?)\s?(?:%|percent\b|per cent\b|prozent\b)", 0.0),
    (r"\b(?:three quarters|drei ?viertel)\b(?! of an\b| stunde)", 75.0),
    (r"(?<!three )\b(?:a quarter|ein(?:em)? viertel)\b(?! of an\b)", 25.0),
    (r"\bhalf\b(?! an?\b)|\bhälfte\b", 50.0),
)
_SHARE = tuple((re.compile(f"(?i){shape}"), value) for shape, value in _SHARES)


def told_otherwise(sentence: str, texts: Iterable[str]) -> frozenset[str]:
    """The figures of a sentence, as written, that the texts put in other words: "30" of "30 minutes" and half an hour.

    One that the sentence has twice is not among them: nothing tells which is meant.
    """
    own = [(shown, value) for shown, value in _amounts(sentence) if shown and sentence.count(shown) == 1]
    if not own:
        return frozenset()
    said = {value for text in texts for _, value in _amounts(text)}
    return frozenset(shown for shown, value in own if value in said)


def _amounts(text: str) -> list[tuple[str, tuple[str, float]]]:
    """Each length and share of a text with its number as written, if it has one."""
    found: list[tuple[str, tuple[str, float]]] = []
    for length in _LENGTH.finditer(text):
        shown = length["number"] or ""
        value = _value(shown) if shown else next(part for i, (_, part) in enumerate(_PARTS) if length[f"p{i}"])
        if value is None:
            continue
        unit = length["unit"].lower()
        kind, size = _OF[unit] if unit in _OF else _OF[unit.removesuffix("s")]
        found.append((shown, (kind, round((value + 0.5 * bool(length["half"])) * size, 2))))
    for shape, fixed in _SHARE:
        for share in shape.finditer(text):
            shown = share["number"] if not fixed else ""
            value = fixed or _value(shown)
            if value is not None:
                found.append((shown, ("share", value)))
    return found


def _value(shown: str) -> float | None:
    """The number that is written so, in figures or as a word; None where it is none."""
    values = figures(shown).values
    return next(iter(values)) if len(values) == 1 and min(values) >= 0 else None
