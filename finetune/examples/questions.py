"""Questions that a passage answers, made of what it says: its heading, what it defines, what it counts. Pure.

The answer is always a stretch of the passage, word for word. Where a sentence's grammar is not one of the few forms
known here no question is made of it: a wrong question teaches worse than none.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from agent.generation.sentences import Kind, Unit, cut
from agent.surface import looks_like_question
from finetune.examples.languages import UNKNOWN, language_of
from retrieval.loading.faq import LONGEST_QUESTION
from retrieval.passage import Passage

LONGEST_ANSWER = 800  # characters quoted, as far as whole units allow
OPENING = 300  # of them where only a heading is asked about
_GENERIC = re.compile(
    r"(?i)[\W\d]*(?:overview|introduction|notes?|general|misc\w*|other|more|summary|contents|appendix|example\w*|page|slide|"
    r"sheet|row|section|part|chapter|faq|questions?|einleitung|allgemeines?|sonstiges|übersicht|inhalt|简介|概述|目录|其他)?[\W\d]*"
)
_TERM = r"(?P<term>(?P<article>An? |The |Our |Your )?[\w'’-]+(?: (?:of |the |for |and )?[\w'’-]+){0,3}?)"
_DEFINES = re.compile(
    rf"{_TERM} (?P<verb>is|are|means?|stands? for|refers? to) "
    r"(?P<rest>(?:an?|the|any|every|one|all|those|when|that) .+|\d.*)"
)
_NO_TERM = re.compile(
    r"(?i)(?:it|this|that|there|here|these|those|he|she|they|we|you|i|what|which|who|if|when|where|in|on|at|for|as|but|and|"
    r"or|so|one|each|every|all|both|some|any|no|not|also|please|then|note|to|by|with|after|before|only|its|their)\b"
)
_NUMBER = (
    r"(?:up to |at least |at most |no more than |more than |about |around |exactly |only )?"
    r"(?:\d[\d.,]*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty)"
)
_BASES = {
    "have": "have", "has": "have", "get": "get", "gets": "get", "receive": "receive", "receives": "receive",
    "take": "take", "takes": "take", "need": "need", "needs": "need", "earn": "earn", "earns": "earn", "last": "last",
    "lasts": "last", "hold": "hold", "holds": "hold", "contain": "contain", "contains": "contain",
    "include": "include", "includes": "include", "offer": "offer", "offers": "offer", "require": "require",
    "requires": "require", "may take": "may take", "can take": "can take", "seat": "seat", "seats": "seat",
}  # fmt: skip
_COUNTS = re.compile(
    rf"(?P<subject>[A-Z][\w'’-]*(?: [\w'’-]+){{0,4}}?) (?P<verb>{'|'.join(sorted(_BASES, key=len, reverse=True))}) "
    rf"{_NUMBER} (?P<unit>(?!per\b|percent\b)[a-z-]+s(?: of [a-z-]+(?: [a-z-]+)?)?)"
    r"(?P<rest>(?: (?:a|per|each|every|in the|before|after) [\w -]+?)?)"
    r"(?:[.,;:]|$| (?=and|but|or|which|if|unless|when))"
)
_GERMAN = re.compile(
    r"(?P<article>Ein |Eine |Der |Die |Das )?(?P<term>[A-ZÄÖÜ][\wäöüß-]+(?: [\wäöüß-]+){0,2}?) "
    r"(?P<verb>ist|sind|bedeutet) (?P<rest>(?:ein|eine|einer|der|die|das|jede[rs]?|alle) .+|\d.*|dass .+)"
)
_CHINESE = re.compile(r"(?P<term>[\u4e00-\u9fffA-Za-z0-9]{2,12}?)(?:是指|指的是|是一[种个项类份]|，是|是我们|是公司)")
_CHINESE_NO_TERM = re.compile("^(?:这|那|它|他|她|我|你|此|其|如果|但|因|所以|如|如此)")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the stretch of the passage that answers it. language: of both, a key of `questions.toml`."""

    question: str
    units: tuple[Unit, ...]
    language: str


def questions_of(passage: Passage, *, is_first: bool, seed: int = 0) -> list[Asked]:
    """What can be asked about a passage. is_first: whether it opens the section of its heading."""
    units = tuple(cut(passage.text))
    told = language_of(f"{passage.heading}\n{passage.text}")
    language = "en" if told == UNKNOWN and passage.text.isascii() else told
    asked = [*_of_heading(passage, units, language, is_first=is_first, seed=seed)]
    for place, unit in enumerate(units):
        if unit.kind is Kind.SENTENCE and 20 <= len(unit.text) <= LONGEST_ANSWER:
            asked += [
                Asked(question, units[place : place + 1], language) for question in _of_sentence(unit.text, language)
            ]
    return list({each.question: each for each in reversed(asked)}.values())[::-1]


def refusal(question: str, language: str, seed: int = 0) -> str:
    """An open word that the documents do not answer `question`."""
    variants = _texts(language)["refusals"]
    return variants[_draw(seed, question) % len(variants)]


@cache
def _phrases() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads((files("finetune.examples") / "questions.toml").read_text("utf-8"))


def _texts(language: str) -> dict[str, list[str]]:
    return _phrases().get(language) or _phrases()["en"]


def _draw(seed: int, text: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {text}".encode("utf-8", "replace")).digest()[:4])


def _of_heading(
    passage: Passage, units: Sequence[Unit], language: str, *, is_first: bool, seed: int
) -> Iterator[Asked]:
    title = passage.heading.rsplit(" > ", 1)[-1].strip()
    if not title or not units:
        return
    if looks_like_question(title) and len(title) <= LONGEST_QUESTION:
        yield Asked(title, _opening(units, LONGEST_ANSWER), language)
    elif is_first and language in _phrases() and not _GENERIC.fullmatch(title) and len(title.split()) <= 8:
        variants = _texts(language)["headings"]
        named = title[0].lower() + title[1:] if language == "en" and title[1:2].islower() else title
        yield Asked(
            variants[_draw(seed, passage.heading) % len(variants)].format(named), _opening(units, OPENING), language
        )


def _opening(units: Sequence[Unit], most: int) -> tuple[Unit, ...]:
    """Whole units from the first on, up to `most` characters; never one alone that only announces the next."""
    taken: list[Unit] = []
    for unit in units:
        full = sum(len(each.text) for each in taken) + len(unit.text) > most
        if taken and full and not taken[-1].announces:
            break
        taken.append(unit)
    return tuple(taken)


def _of_sentence(text: str, language: str) -> Iterator[str]:
    if language == "en":
        yield from _english(text)
    elif language == "de" and (found := _GERMAN.fullmatch(text.rstrip("."))):
        term = f"{(found['article'] or '').lower()}{found['term']}"
        yield f"Was bedeutet {term}?" if found["verb"] == "bedeutet" else f"Was {found['verb']} {term}?"
    elif language == "zh" and (found := _CHINESE.match(text)) and not _CHINESE_NO_TERM.match(found["term"]):
        yield f"什么是{found['term']}？"


def _english(text: str) -> Iterator[str]:
    found = _DEFINES.match(text)
    if found and not _NO_TERM.match(found["term"]) and found["term"][0].isupper() and _is_definition(found):
        term = found["term"]
        if found["article"] in ("A ", "An ", "The ", "Our ", "Your "):
            term = term[0].lower() + term[1:]
        plural, verb = found["verb"] in ("are", "mean", "stand for", "refer to"), found["verb"]
        if verb in ("is", "are"):
            yield f"What {verb} {_lowered(term, text)}?"
        else:
            ending = " stand for" if "stand" in verb else " refer to" if "refer" in verb else " mean"
            yield f"What {'do' if plural else 'does'} {_lowered(term, text)}{ending}?"
    found = _COUNTS.match(text)
    if found and not _NO_TERM.match(found["subject"]):
        verb, base = found["verb"], _BASES[found["verb"]]
        auxiliary = base.split()[0] if " " in base else "does" if verb != base else "do"
        subject = _lowered(found["subject"], text)
        yield f"How many {found['unit']} {auxiliary} {subject} {base.split()[-1]}{found['rest']}?"


def _is_definition(found: re.Match[str]) -> bool:
    """Not of a bare noun that is only called something: "Payment is the exception"."""
    is_named = bool(found["article"]) or " " in found["term"] or found["verb"] not in ("is", "are")
    return is_named or found["rest"].startswith(("a ", "an ", "when ", "that "))


def _lowered(words: str, text: str) -> str:
    """Words that began a sentence, in the middle of another: small, unless they are a name."""
    first, _, rest = words.partition(" ")
    is_plain = first[1:].islower() and (rest[:1].islower() or (first.endswith("s") and not rest))
    is_plain = is_plain or first in ("The", "A", "An", "Our", "Your")
    repeated = re.search(rf"\b{re.escape(first.lower())}\b", text) is not None
    return f"{first[0].lower()}{words[1:]}" if is_plain or repeated else words
