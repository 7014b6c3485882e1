"""What the letters show and a pooled embedding blurs: question form, emoji, praise and blame, and the words as such.

A few features and hashed n-grams stand beside the embedding in the heads: on most sources absent from training they
do better together than the embedding or the words alone (`bench_understanding` measures each). The words of praise and
blame are the project's own list, `agent/words.json`, where a trailing * stands for any ending.
"""

import itertools
import json
import math
import re
import unicodedata
import zlib
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from agent import german

NAMES = (
    "ends with a question mark", "has a question mark", "has an exclamation mark", "starts with a question word",
    "starts with an asking verb", "starts with an open question", "length", "one or two words", "no words",
    "shouting", "happy emoji", "unhappy emoji", "praise", "blame", "praise over blame", "negation",
    "neither praise nor blame",
)  # fmt: skip
BUCKETS = (
    8192  # for n-grams (Weinberger et al. 2009): half for words, half for letters; four times as many gain nothing
)
_READ = 2000  # characters; the encoder reads about half of that
SCALE = 0.3  # an embedding's entries are about 0.05: at this scale neither side drowns the other

_QUESTION_MARK = re.compile(r"[?\uff1f\u061f\u2e2e]")  # Latin, full width (Chinese, Japanese), Arabic, reversed
_QUESTION_WORD = re.compile(
    r"(how|hw|what|wat|where|which|whose|whom?|when|why)(['\u2019]?s|['\u2019]?re|['\u2019]?d)?\b"
)
_ASKING_VERB = re.compile(
    r"(is|are|am|was|were|do|does|did|can|could|would|will|has|have|had|should|shall|may)(n['\u2019]?t)?\b"
    r"|any (idea|news)\b"
)
_OPENS, _ASKS = "open", "yes or no"  # kinds of questions, by their first word
_QUESTION_WORDS = "how what where which whose when why who".split()
_ASKING_WORDS = "are was were does did can could would will have should shall is do".split()
_WHO = frozenset(
    "i you we they he she it there this that these those the a an my our your any anyone anybody yuo".split()
)
_ARTICLES = frozenset("a an the my our your".split())  # "wen the" begins no question
_REAL = frozenset("were whee whos wee cold wold dos doe des dose hae rae aws od will shall wer hwy".split())  # no slips
_SLIP_LOOK = 80  # characters in which the first two words stand
_OPEN_QUESTION = re.compile(r"how (might|could|else)\b|what (if|could|might|else|other)\b|in what ways\b")
_OPENING = re.compile(r"^(?:(?:<@\w+>|@\w+|hey|hi|hello|ok|okay|so|and|but|please|pls|btw|then|sorry)[,:!.]*\s+)+")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_NEGATION = re.compile(
    r"(not|no|never|none|nobody|nothing|nor|without|hardly|barely|cannot|dont|wont|didnt|\w+n['\u2019]t)$"
)
_NEGATION_REACH = 3  # words a negation turns around (Pang, Lee & Vaithyanathan 2002 use the clause; chat is shorter)
_HAPPY = frozenset("👍👌🙏🎉🥳❤😍😊😀😃😄😁😂🤣🙂😉😎🙌👏💪🚀✅🤩😋😇💯🥰💖💕💚💙🌟⭐☀🎂👋☕")
_UNHAPPY = frozenset("👎😡😠🤬😤😞😢😭😩😫🙄😒😱💔🤮🤢😣😖☹🙁😕💩😨😰😥❌")
_SMILE = re.compile(r"(?<!\w)[:;=]-?[)D](?!\w)|<3(?!\w)")
_FROWN = re.compile(r"(?<!\w)[:=]['\u2019]?-?\((?!\w)")


def looks_like_question(text: str) -> bool:
    """Whether the form is a question's: a question mark of any script, or a first word that asks (English, German)."""
    if _QUESTION_MARK.search(text):
        return True
    if german.language_of(text) == "de":
        return german.asks(text)
    start = _OPENING.sub("", text.strip()[:_READ].lower())
    return bool(_QUESTION_WORD.match(start) or _ASKING_VERB.match(start)) or _asks_misspelt(start)


def _asks_misspelt(start: str) -> bool:
    """Whether lower-case words begin as a question does but for a slip: "waht is", "hwo many", "cna you"."""
    words = _WORD.findall(start[:_SLIP_LOOK])
    if len(words) < 2:
        return False
    kind = _slips().get(words[0])
    return words[1] in _WHO if kind == _ASKS else kind is not None and words[1] not in _ARTICLES


@lru_cache(maxsize=1)
def _slips() -> dict[str, str]:
    """Question words with two letters changed round or, the longer ones, one left out; none that is itself a word."""
    found: dict[str, str] = {}
    for kind, asking in ((_ASKS, _ASKING_WORDS), (_OPENS, _QUESTION_WORDS)):
        for word in asking:
            slips = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
            if len(word) > 3:
                slips |= {word[:i] + word[i + 1 :] for i in range(1, len(word))}
            found |= dict.fromkeys(slips - _REAL, kind)
    return found


def says_nothing(text: str) -> bool:
    """Whether there is not one letter, digit, emoji or emoticon: "??", "...", spaces."""
    signs = any(char.isalnum() or unicodedata.category(char) == "So" for char in text)  # So: emoji and the like
    return not signs and not _SMILE.search(text) and not _FROWN.search(text)


def has_words(text: str) -> bool:
    """Whether there is a letter or digit of any script."""
    return any(map(str.isalnum, text))


def mood_of_signs(text: str) -> int:
    """1 where signs without words are happy ones, -1 where they are unhappy; 0 for words and for any others."""
    if has_words(text):
        return 0
    if _UNHAPPY.intersection(text) or _FROWN.search(text):
        return -1
    return int(bool(_HAPPY.intersection(text) or _SMILE.search(text)))


def striking_words(text: str) -> list[str]:
    """The words of `text` that praise or blame, each once, in order."""
    return [word for word in dict.fromkeys(_WORD.findall(text[:_READ].lower())) if _value(word)]


def features(text: str) -> NDArray[np.float32]:
    """The numbers `NAMES` names, (len(NAMES),) float32, each within 0..SCALE ("praise over blame": -SCALE..SCALE)."""
    shown = text.strip()
    ends_asking = bool(_QUESTION_MARK.search(shown[-1:]))
    shown = shown[:_READ]
    lower = shown.lower()
    start = _OPENING.sub("", lower)
    words = _WORD.findall(lower)
    praise, blame = _praise_and_blame(words)
    capitals = sum(word.isupper() for word in _WORD.findall(shown) if len(word) > 1)
    values = (
        ends_asking,
        bool(_QUESTION_MARK.search(shown)),
        "!" in shown,
        bool(_QUESTION_WORD.match(start)),
        bool(_ASKING_VERB.match(start)),
        bool(_OPEN_QUESTION.match(start)),
        min(len(words), 40) / 40,
        0 < len(words) <= 2,
        not words,
        len(words) >= 3 and capitals >= 0.6 * len(words),
        bool(_HAPPY.intersection(shown) or _SMILE.search(shown)),
        bool(_UNHAPPY.intersection(shown) or _FROWN.search(shown)),
        math.tanh(praise / 2.5),
        math.tanh(blame / 2.5),
        math.tanh((praise - blame) / 2.5),
        any(map(_NEGATION.match, words)),
        not praise and not blame,
    )
    return np.array(values, dtype=np.float32) * np.float32(SCALE)


def grams(text: str) -> NDArray[np.intp]:
    """The buckets of the text's n-grams, each once, ascending: words by one and two, letters by three and four.

    Letters are taken within words, their edges marked, so that a typo leaves most of a word standing.
    """
    tokens = re.findall(r"\w+|[^\w\s]", text[:_READ].lower())
    pairs = (f"{first} {second}" for first, second in itertools.pairwise(tokens))
    letters = (
        edged[i : i + size]
        for edged in (f" {token} " for token in tokens)
        for size in (3, 4)
        for i in range(len(edged) - size + 1)
    )
    half = BUCKETS // 2
    found = {zlib.crc32(gram.encode()) % half for gram in itertools.chain(tokens, pairs)}
    found |= {half + zlib.crc32(gram.encode()) % half for gram in letters}
    return np.array(sorted(found), dtype=np.intp)


def _praise_and_blame(words: list[str]) -> tuple[float, float]:
    praise = blame = 0.0
    weight = 1.0
    for i, word in enumerate(words):
        if word == "but":
            weight = 1.5  # what follows "but" is what the writer means
        value = weight * _value(word)
        if value and any(map(_NEGATION.match, words[max(0, i - _NEGATION_REACH) : i])):
            value *= -0.7  # "not bad" is weaker than "good"
        praise, blame = praise + max(value, 0.0), blame + max(-value, 0.0)
    return praise, blame


@lru_cache(maxsize=1)
def _words() -> dict[str, float]:
    groups: dict[str, list[str]] = json.loads(files("agent").joinpath("words.json").read_text("utf-8"))
    weights = {"strong praise": 1.6, "praise": 1.0, "blame": -1.0, "strong blame": -1.7}
    return {word: weights[group] for group, words in groups.items() for word in words}


def _value(word: str) -> float:
    known = _words()
    if word in known:
        return known[word]
    stems = (f"{word[:cut]}*" for cut in range(len(word), 2, -1))
    return next((known[stem] for stem in stems if stem in known), 0.0)
