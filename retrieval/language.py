"""Does the encoder speak the language of a text? Its own tokenizer knows: a language it learned comes in few pieces.

An English encoder cuts German words in 2.3 pieces and Polish ones in 2.9 (English: 1.1), has no piece for most Han
characters, and spells kana, Thai or Cyrillic letter by letter. Measured on five languages' FAQ questions, Chinese
questions, three-word queries and typing errors; a language identifier (py3langid) was as fast, but gave two thirds of
names, codes and short queries to languages nobody wrote, and cannot know what the encoder was trained on.
"""

import re
import unicodedata
from collections.abc import Sequence

from retrieval.tokens import HAN, MARKS, UNSPACED

_UNSPACED = re.compile(f"[{UNSPACED}]")
_HAN = re.compile(f"[{HAN}]")
_SPACED_WORD = re.compile(f"[^\\W\\d_{UNSPACED}](?:[^\\W\\d_{UNSPACED}]|[{MARKS}])*")
_LETTERS = re.compile(f"[^\\W\\d_]|[{MARKS}]")
_MARKER = re.compile("^(##|\u2581|\u0120)|(</w>)$")  # WordPiece, SentencePiece, byte-level BPE
_UNKNOWN = frozenset({"[UNK]", "<unk>"})

# Extra pieces a word, smoothed: nothing is doubted below the first, the encoder is mute above the second.
FLUENT, MUTE = 0.45, 1.25
PRIOR_WORDS, PRIOR_PIECES = 4.0, 0.4  # one odd name must not silence an English query


def spoken(text: str, pieces: Sequence[str]) -> float:
    """How far vectors deserve a vote on `text`, 0..1. pieces: what `TransformerEncoder.pieces(text)` returns.

    Text without letters (numbers, emoji) is 1: nothing speaks against it.
    """
    bare = [_MARKER.sub("", piece) for piece in pieces]
    spaced = _SPACED_WORD.findall(text)
    unspaced = len(_UNSPACED.findall(unicodedata.normalize("NFC", text))) if not text.isascii() else 0
    if not spaced and not unspaced:
        return 1.0
    weight = 2 * unspaced + sum(map(len, spaced))  # a character of an unspaced script says about twice as much
    fluent = _spaced(spaced, bare) if spaced else 0.0
    known = _unspaced(unspaced, bare) if unspaced else 0.0
    return (2 * unspaced * known + (weight - 2 * unspaced) * fluent) / weight


def _spaced(words: Sequence[str], bare: Sequence[str]) -> float:
    cut = sum(bool(_LETTERS.match(piece)) and not _UNSPACED.search(piece) for piece in bare)
    unknown = sum(piece in _UNKNOWN for piece in bare)
    extra = (max(cut - len(words), 0) + PRIOR_PIECES) / (len(words) + PRIOR_WORDS)
    return _ramp(extra, MUTE, FLUENT) * (1 - min(unknown / len(words), 1))


def _unspaced(characters: int, bare: Sequence[str]) -> float:
    held = [piece for piece in bare if _UNSPACED.search(piece)]
    covered = sum(map(len, held)) / characters
    phonetic = [piece for piece in held if not _HAN.search(piece)]
    spelled = sum(map(len, phonetic)) / len(phonetic) if phonetic else 2.0  # Han characters may stand alone
    return _ramp(covered, 0.6, 0.9) * _ramp(spelled, 1.1, 1.4)


def _ramp(value: float, low: float, high: float) -> float:
    """0 at `low`, 1 at `high`, linear between; `low` may be the larger."""
    return min(max((value - low) / (high - low), 0.0), 1.0)
