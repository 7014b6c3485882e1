"""Text cut into syntactic words as Universal Dependencies does for English: don|'t, it|'s, well|-|known. Pure.

A word knows where it stands in the text, so that the encoder's word pieces can be laid over it whatever their cut.
"""

import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from agent import german

GRAMS = 9  # hashed parts of a word that the parser reads beside the encoder's states
BUCKETS = 4096  # 0 stands for nothing
SHAPES = 10
_TOKEN = re.compile(
    r"""
    (?:https?://|www\.)[^\s<>()\[\]"']+[^\s<>()\[\]"'.,;:!?]     # an address
  | [\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,9}               # mail; bounded, as it is looked for at each place
  | <[@#!][^<>\s]*>                                                # a mention, as Slack writes it
  | [@\#]\w+
  | (?:[A-Za-z]\.){2,}                                            # U.S., e.g.
  | (?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|Inc|Ltd|Co|Corp|No|approx|Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec)\.(?=\s|$)
  | [:;=8][-o'^]?[)(\]\[DPpOo/\\|*]+(?!\w) | <3+                  # emoticons
  | \d+(?:[.,:/]\d+)*(?=[A-Za-z]{1,3}\b)                          # 5|pm, 20|MB
  | \d+(?:[.,:/]\d+)*(?:st|nd|rd|th|s)?
  | [^\W\d_]+(?:['’][^\W\d_]+)*                                   # letters, with their apostrophes
  | ([^\w\s])\1*                                                  # a sign, or a run of the same one
  | \S
    """,
    re.VERBOSE,
)
_ENDS = re.compile(r"[.!?…。！？]+")
_LATIN, _LETTER = re.compile(r"[A-Za-z]"), re.compile(r"[^\W\d_]")
_CONTRACTED = re.compile(r"(?i)(.+?)(n['’]t|['’](?:s|re|ve|ll|d|m))$")
_LONGEST = 60  # letters of a word that is taken apart: longer ones are none
_WHOLE = {"cannot": 3, "gonna": 3, "wanna": 3, "gotta": 3, "dont": 2, "didnt": 3, "doesnt": 4, "isnt": 2, "cant": 2}


@dataclass(frozen=True, slots=True)
class Word:
    """A syntactic word. start, end: where it stands in the text, in characters, half-open."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """text: that the words stand in. heads: for each word the number of its head, from 1; 0 is the root. tags: UPOS.

    relations: of each word to its head, as Universal Dependencies names them.
    """

    text: str
    words: tuple[Word, ...]
    tags: tuple[str, ...]
    heads: tuple[int, ...]
    relations: tuple[str, ...]


def words_of(text: str) -> list[Word]:
    """The syntactic words of `text`, in order. Any text is fine; spaces are no words."""
    found: list[Word] = []
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        for cut in _cuts(match.group()):
            found.append(Word(text[start : start + cut], start, start + cut))
            start += cut
        if start < end:
            found.append(Word(text[start:end], start, end))
    return found


def _cuts(token: str) -> list[int]:
    """Lengths of the parts of a token that stand before its last part."""
    if (cut := _WHOLE.get(token.lower())) is not None:
        return [cut]
    if len(token) > _LONGEST:
        return []
    cuts = []
    while (match := _CONTRACTED.match(token)) is not None:
        cuts.append(len(match.group(1)))
        token = match.group(1)
    cuts.sort()
    return [cut - before for cut, before in zip(cuts, [0, *cuts], strict=False)]


def sentences_of(text: str, words: Sequence[Word]) -> list[list[Word]]:
    """Words by sentence: one ends with its mark, and with a line."""
    found: list[list[Word]] = [[]]
    for word in words:
        if found[-1]:
            last = found[-1][-1]
            gap = text[last.end : word.start]
            if "\n" in gap or (gap and _ENDS.fullmatch(last.text)):
                found.append([])
        found[-1].append(word)
    return [each for each in found if each]


def is_english(text: str) -> bool:
    """Whether it can be: mostly Latin letters, and not German as far as its small words tell."""
    letters = len(_LETTER.findall(text))
    return letters > 0 and len(_LATIN.findall(text)) >= 0.9 * letters and german.language_of(text) != "de"


def shape_of(word: str, *, is_first: bool) -> int:
    """How a word is written, 1..SHAPES-1: what an encoder without capitals does not see."""
    if not any(map(str.isalnum, word)):
        return 1 if all(unicodedata.category(char)[0] == "P" for char in word) else 2
    if any(map(str.isdigit, word)):
        return 3 if not any(map(str.isalpha, word)) else 4
    if word.islower() or not (word[0].isupper() or word.isupper()):
        return 5 if word.islower() else 6
    if word.isupper() and len(word) > 1:
        return 7
    return 8 if is_first else 9


def grams_of(word: str) -> list[int]:
    """Buckets of a word's beginning, endings and whole, GRAMS of them, 0 where it is too short."""
    lower = word.lower()
    parts = [f"<{lower[:n]}" for n in (1, 2, 3)] + [f"{lower[-n:]}>" for n in (1, 2, 3, 4)]
    kept = [part if len(lower) >= n else "" for part, n in zip(parts, (1, 2, 3, 1, 2, 3, 4), strict=True)]
    return [_bucket(part) if part else 0 for part in (*kept, f"<{lower}>", f"={word}")]


def covered(words: Sequence[Word], pieces: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pieces that lie over each word: first and last, half-open; an empty span where none does.

    pieces: where each piece stands in the text, in order. Special tokens, which stand nowhere, have start == end.
    """
    spans: list[tuple[int, int]] = []
    at = 0
    for word in words:
        while at < len(pieces) and (pieces[at][0] == pieces[at][1] or pieces[at][1] <= word.start):
            at += 1
        last = at
        while last < len(pieces) and pieces[last][0] != pieces[last][1] and pieces[last][0] < word.end:
            last += 1
        spans.append((at, last))
    return spans


def _bucket(part: str) -> int:
    return 1 + zlib.crc32(part.encode()) % (BUCKETS - 1)
