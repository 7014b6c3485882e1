"""What makes a likely find no sure answer: another thing's name, the opposite end, another language. Pure."""

import re
from collections.abc import Sequence

from agent.german import language_of
from retrieval.passage import Passage

# When something opens is not said by when it closes.
_TURNED = (("open", "clos"), ("öffn", "schließ"), ("begin", "end"), ("start", "end"))
_WHEN = re.compile(r"(?i)\W*(?:when|wann|(?:(?:from|until|till|at) )?what time|(?:ab|bis) wann)\b")
# Tells both: "9 to 5", but not the day 2026-10-31.
_FROM_TO = re.compile(
    r"(?i)(?<!\d)(?<!\d-)(?!\d{4}-\d\d)\d\S*\s*(?:[ap]\.?m\.?\s*|uhr\s*)?(?:to|till|until|and|bis|und|[-–])\s*\d"
)
_IS_THERE = re.compile(
    r"(?i)\W*(?:(?:is|are) there|do (?:you|we) have|have (?:you|we) got|gibt es|habt ihr|haben (?:wir|sie))\b"
    r"(?!.*\b(?:rules?|bans?|limits?|regeln?|verbote?)\b)"
)
_FORBIDS = re.compile(
    r"(?i)\b(?:(?:must|may|can|should|shall)\s?(?:not|n['’]t)|mustn['’]t|cannot|can['’]t|(?:is|are) not (?:allowed"
    r"|permitted)|never|(?:dürfen|darf|sollen|soll|können|kann)\b[^.;]{0,200}\bnicht)\b"
)
_TOLD_APART = frozenset({"de", "en"})  # by `language_of`
_VARIANT = re.compile(r"[\s-]+(?:pro|plus|max|mini|lite|light|ultra|air|xl|xs|se|go|neo)\b", re.IGNORECASE)
# A few letters and then digits; "5pm" and "1990s" are figures, which may stand there in other words.
_SHORT_NAME = re.compile(r"(?<![\w-])[^\W\d_]{1,3}-?\d[\w-]*")


def other_language(question: str, passages: Sequence[Passage]) -> str:
    """The language of some passages where the question is in another: the usual encoders hardly lead to them."""
    own = language_of(question)
    others = {language_of(passage.text) for passage in passages} & _TOLD_APART - {own}
    return min(others, default="") if own else ""


def lacks_name(question: str, passage: Passage) -> bool:
    """Whether the question is about a thing by its short name (L3, X-200) and the passage speaks of no such thing."""
    text = f"{passage.source} {passage.heading} {passage.text}"
    named = [(name[0], question[name.end() :]) for name in _SHORT_NAME.finditer(question)]
    return bool(named) and not any(_speaks_of(name, behind, text) for name, behind in named)


def turns(question: str, sentence: str) -> bool:
    """Whether a sentence tells the end of what is asked for the beginning of, or the other way round."""
    if not _WHEN.match(question) or _FROM_TO.search(sentence):
        return False
    asked, said = (" " + " ".join(re.findall(r"\w+", text.lower())) for text in (question, sentence))
    pairs = [pair for one, other in _TURNED for pair in ((one, other), (other, one))]
    wanted = [(one, other) for one, other in pairs if f" {one}" in asked]
    return any(f" {other}" in said for _, other in wanted) and not any(f" {one}" in said for one, _ in wanted)


def forbids(question: str, sentence: str) -> bool:
    """Whether a sentence only says what must not be done with a thing, where it is asked whether there is one."""
    return _IS_THERE.match(question) is not None and _FORBIDS.search(sentence) is not None


def _speaks_of(name: str, behind: str, text: str) -> bool:
    """Whether a text has a name, and not only a longer one: of the T2 nothing is said by what the T2 Pro has."""
    shape = r"[\s-]*".join(map(re.escape, name.replace("-", "")))
    other = "" if _VARIANT.match(behind) else rf"(?!{_VARIANT.pattern})"
    return re.search(rf"(?i)(?<![^\W_]){shape}{other}(?:['’]?s)?(?![^\W_])", text) is not None
