"""Questions that a passage does not answer, made of ones that it does: another name, number or word, or the opposite.

They stand in for those that people wrote for SQuAD 2.0 (Rajpurkar et al. 2018), whose kinds these are. Pure.
"""

import re
from collections.abc import Callable, Sequence
from random import Random

from agent.reading.lexicon import OPPOSITES
from agent.rewrite import content_words

_NAMED = re.compile(r"(?<!^)(?<![.!?] )(?<![\w'-])[A-Z][\w'-]+(?: [A-Z][\w'-]+)*")
_NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?![\w])")
_AUXILIARY = re.compile(r"\b(is|was|are|were|has|had|can|could|will|would|may|must|should|did|does|do)\b( \w+)?")
_LETTERS = re.compile(r"[a-z]{4,}")
WAYS = (("name", 0.32), ("word", 0.24), ("opposite", 0.2), ("number", 0.14), ("denied", 0.1))


def altered(question: str, passage: str, others: Sequence[str], chance: Random) -> str:
    """A question of nearly the same words that `passage` hardly answers; "" where none can be made.

    others: questions asked of the same article, whose words are put in.
    """
    made: dict[str, Callable[[], str]] = {
        "name": lambda: _name(question, passage, others, chance),
        "word": lambda: _word(question, passage, others, chance),
        "opposite": lambda: _opposite(question, chance),
        "number": lambda: _number(question, passage, chance),
        "denied": lambda: _denied(question, chance),
    }
    ways, left = dict(WAYS), dict(WAYS)
    while left:
        (way,) = chance.choices(list(left), [ways[each] for each in left])
        del left[way]
        found = made[way]()
        if found and found != question:
            return found
    return ""


def names(text: str) -> list[str]:
    """What is written large within sentences."""
    return [found[0].removesuffix("'s") for found in _NAMED.finditer(text)]


def _name(question: str, passage: str, others: Sequence[str], chance: Random) -> str:
    own = list(_NAMED.finditer(question))
    if not own:
        return ""
    place = chance.choice(own)
    near = names(passage) if chance.random() < 0.6 else [name for other in others for name in names(other)]
    held = set(question.lower().split())
    fits = [name for name in near if not set(name.lower().split()) & held]
    size = len(place[0].split())
    alike = [name for name in fits if len(name.split()) == size] or fits
    return _put(question, place, chance.choice(alike)) if alike else ""


def _word(question: str, passage: str, others: Sequence[str], chance: Random) -> str:
    """A topic word is put out for one of the same ending that another question, or the passage, has."""
    topic = set(content_words(question))
    own = [found for found in _LETTERS.finditer(question) if found[0] in topic]
    if not own:
        return ""
    place = chance.choice(own)
    pool = " ".join(others) if chance.random() < 0.6 else passage
    ending = _ending(place[0])
    stems = {word[:5].lower() for word in question.split()}
    words = {word for word in content_words(pool) if _LETTERS.fullmatch(word)}
    fits = sorted(word for word in words if _ending(word) == ending and word[:5] not in stems)
    return _put(question, place, chance.choice(fits)) if fits else ""


def _ending(word: str) -> str:
    return next((end for end in ("ing", "ed", "ly", "ion", "est", "er", "al", "s") if word.endswith(end)), "")


def _opposite(question: str, chance: Random) -> str:
    own = [found for found in re.finditer(r"[a-z]+", question) if found[0] in OPPOSITES]
    if not own:
        return ""
    place = chance.choice(own)
    return _put(question, place, chance.choice(sorted(OPPOSITES[place[0]])))


def _number(question: str, passage: str, chance: Random) -> str:
    own = list(_NUMBER.finditer(question))
    if not own:
        return ""
    place = chance.choice(own)
    near = [number for number in _NUMBER.findall(passage) if len(number) == len(place[0]) and number not in question]
    if near and chance.random() < 0.6:
        return _put(question, place, chance.choice(near))
    digits = place[0]
    at = max(i for i, digit in enumerate(digits) if digit.isdigit())
    fresh = chance.choice([digit for digit in "123456789" if digit != digits[at]])
    return _put(question, place, digits[:at] + fresh + digits[at + 1 :])


def _denied(question: str, chance: Random) -> str:
    if re.search(r"\b(?:not|never|no)\b|n't\b", question):
        return re.sub(r"\b(?:not|never) |n't\b", "", question, count=1)
    own = [found for found in _AUXILIARY.finditer(question) if found.start()]
    if not own:
        return ""
    place = chance.choice(own)
    if chance.random() < 0.5 and place[1] not in ("can", "may", "will"):
        return f"{question[: place.end(1)]}n't{question[place.end(1) :]}"
    word = "never" if chance.random() < 0.3 else "not"
    if place[1] in ("did", "does", "do") and place[2]:
        return f"{question[: place.end()]} {word}{question[place.end() :]}"
    return f"{question[: place.end(1)]} {word}{question[place.end(1) :]}"


def _put(text: str, place: re.Match[str], other: str) -> str:
    return text[: place.start()] + other + text[place.end() :]
