"""Words met in any of their forms: "part-timers" and "part-time", "Teilzeit" and "Teilzeitbeschäftigte". Pure."""

import re
from collections.abc import Collection

from agent.conversation import WORD

_LEAST = 5  # letters of a German word that may begin a longer one
_ENDINGS = ("'s", "’s", "s", "es", "rs", "ers", "n", "en", "e", "er")

_DAYS = {  # a week has them by other names
    "weekend": "saturday sunday",
    "weekday": "monday tuesday wednesday thursday friday",
    "wochenende": "samstag sonnabend sonntag",
    "wochentag": "montag dienstag mittwoch donnerstag freitag",
}


def has_all(text: str, asked: Collection[str], *, is_german: bool) -> bool:
    """Whether a text has all of the words, in any of their forms."""
    there = [_forms(word) for word in WORD.findall(text)]
    return all(any(_meets(_forms(word), other, is_german=is_german) for other in there) for word in asked)


def _meets(asked: frozenset[str], there: frozenset[str], *, is_german: bool) -> bool:
    if asked & there:
        return True
    longest = max(there, key=len)
    return is_german and any(len(form) >= _LEAST and longest.startswith(form) for form in asked)


def _forms(word: str) -> frozenset[str]:
    """A word with and without its ending, whatever that may be."""
    plain = word.casefold()
    forms = frozenset([plain, *(plain.removesuffix(end) for end in _ENDINGS if len(plain) - len(end) >= 3)])
    days = {day for form in forms if form in _DAYS for day in _DAYS[form].split()}
    return forms | days


_WEEK = (
    ("monday", "montag"),
    ("tuesday", "dienstag"),
    ("wednesday", "mittwoch"),
    ("thursday", "donnerstag"),
    ("friday", "freitag"),
    ("saturday", "samstag", "sonnabend"),
    ("sunday", "sonntag"),
)
_DAY_OF = {name: number for number, names in enumerate(_WEEK) for name in names}
_DAY = rf"(?:{'|'.join(_DAY_OF)})"
_NAMED_DAYS = re.compile(
    rf"(?i)\b(?P<first>{_DAY})s?(?:\s*(?:to|till|until|through|bis|-|–)\s*(?P<last>{_DAY})s?)?\b"
    r"|\b(?P<some>weekends?|weekdays?|wochenende|werktags?)\b|\b(?P<all>daily|every\s+day|(?:all|seven)\s+days|täglich)\b"
)


def days_of(text: str) -> frozenset[int]:
    """The days of the week that a text names, from 0 for Monday: "Friday to Sunday" names three."""
    found = set[int]()
    for days in _NAMED_DAYS.finditer(text):
        if days["first"] is None:
            weekend = (days["some"] or "").casefold().startswith(("weekend", "wochenende"))
            found.update(range(7) if days["all"] else (5, 6) if weekend else range(5))
            continue
        first = _DAY_OF[days["first"].casefold()]
        last = _DAY_OF[days["last"].casefold()] if days["last"] else first
        found.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    return frozenset(found)
