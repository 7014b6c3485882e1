"""Which language a text is in, by its script and its commonest words (Grefenstette 1995).

Reliable from about one sentence on; where too little speaks for one language it says so. `retrieval/language.py` asks
another question: whether the encoder knows the language.
"""

import re
import tomllib
from collections import Counter
from functools import cache
from importlib.resources import files

UNKNOWN = "unknown"
_READ = 1_500  # characters
_LEAST = 2  # of a language's words, before it is believed

_SCRIPTS = (
    ("ja", re.compile("[\u3041-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af\u1100-\u11ff]")),
    ("zh", re.compile("[\u4e00-\u9fff\u3400-\u4dbf]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
)
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]+")


@cache
def _speaking() -> dict[str, tuple[str, ...]]:
    """For each common word the languages that have it."""
    words = tomllib.loads((files("finetune.examples") / "languages.toml").read_text("utf-8"))
    speaking: dict[str, tuple[str, ...]] = {}
    for language, listed in words.items():
        for word in listed.split():
            speaking[word] = (*speaking.get(word, ()), language)
    return speaking


def language_of(text: str) -> str:
    """The ISO 639-1 code of the language most of `text` is in, or UNKNOWN."""
    prose = _CODE.sub(" ", text[:_READ])
    if not prose.isascii() and (found := _by_script(prose)):
        return found
    votes: Counter[str] = Counter()
    speaking = _speaking()
    for word in _WORD.findall(prose.lower()):
        spoken = speaking.get(word, ())
        for language in spoken:
            votes[language] += 6 // len(spoken) or 1  # a word of one language alone says most
    ranked = votes.most_common(2)
    if not ranked or ranked[0][1] < 6 * _LEAST or (len(ranked) > 1 and ranked[0][1] <= 1.1 * ranked[1][1]):
        return UNKNOWN
    return ranked[0][0]


def _by_script(text: str) -> str | None:
    letters = sum(map(len, _WORD.findall(text)))
    counts = {language: len(shape.findall(text)) for language, shape in _SCRIPTS}
    if counts["ja"] and counts["ja"] * 5 >= counts["zh"]:  # Japanese writes Han characters between its kana
        counts["ja"] += counts.pop("zh")
    best = max(counts, key=lambda language: counts[language])
    weight = 3 if best in ("zh", "ja", "ko") else 1  # a syllable or word of Latin letters is about three of them
    return best if counts[best] and counts[best] * weight * 2 >= letters else None
