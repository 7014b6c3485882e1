"""Characters a reader cannot see: what may hide instructions, reverse text or drive a terminal is taken out.

Kept are the invisible characters that writing needs: joiners inside emoji sequences and between letters of scripts that
join (Persian, Devanagari, ...), and the variation selector of an emoji. Letters of right-to-left scripts are untouched;
only explicit direction controls go (Boucher & Anderson, "Trojan Source", 2021).
"""

import re
import unicodedata

_SUSPECT = re.compile("[^\\n\\t -~\u00a0-\u00ac\u00ae-\u02ff\u2010-\u2027\u2030-\u205e\u3040-\u30ff\u4e00-\u9fff]")
_JOINERS = "\u200c\u200d"  # zero-width non-joiner and joiner
_SELECTORS = "\ufe0e\ufe0f"  # text and emoji presentation
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800")  # letters and marks by category, yet blank
_NUMBER_SIGNS = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2")  # Cf, yet visible
_LINE_ENDS = frozenset("\r\u2028\u2029\x0b\x0c\x85")
_STRING_STARTS = frozenset("]PX^_")  # ESC + these: a string that runs to BEL or ESC \ (ECMA-48)


class VisibleText:
    """A filter over a stream of text. `feed` holds back at most one joiner, whose fate the next character decides."""

    def __init__(self) -> None:
        self._last = ""  # the last character that came out
        self._joiner = ""
        self._escape = ""  # "", or where in a terminal sequence we are: "esc", "csi", "string", "string-esc"
        self._after_cr = False

    def feed(self, text: str) -> str:
        """The visible part of `text`, with one kind of line end."""
        if text and not (self._escape or self._joiner or self._after_cr) and not _SUSPECT.search(text):
            self._last = text[-1]
            return text
        return "".join(map(self._step, text))

    def _step(self, c: str) -> str:
        if self._escape and self._in_escape(c):
            return ""
        after_cr, self._after_cr = self._after_cr, c == "\r"
        if c == "\n" and after_cr:
            return ""
        if c in _LINE_ENDS:
            c = "\n"
        if c in "\x1b\x9b\x9d":
            self._escape = {"\x1b": "esc", "\x9b": "csi", "\x9d": "string"}[c]
            return ""
        if c in _JOINERS:
            self._joiner = "" if self._joiner else c
            return ""
        if not self._may_show(c):
            return ""
        joiner, self._joiner = self._joiner, ""
        out = joiner + c if joiner and _joins(self._last, joiner, c) else c
        self._last = c
        return out

    def _may_show(self, c: str) -> bool:
        if c in _SELECTORS:
            return unicodedata.category(self._last or " ") in {"So", "Sk", "Po"} or self._last.isdigit()
        if c in "\n\t" or c in _NUMBER_SIGNS:
            return True
        return c not in _BLANK and unicodedata.category(c) not in {"Cc", "Cf", "Cs"} and not _is_selector(ord(c))

    def _in_escape(self, c: str) -> bool:
        """Whether `c` still belongs to a terminal sequence. A line end always ends one, so that text is never lost."""
        state, self._escape = self._escape, ""
        if c in "\n\r\x1b" and not (state == "string" and c == "\x1b"):
            return False
        if state == "esc":
            self._escape = "csi" if c == "[" else "string" if c in _STRING_STARTS else ""
            return c == "[" or c in _STRING_STARTS or "@" <= c <= "~" or " " <= c <= "/" or c in "78=>"
        if state == "csi":
            self._escape = "" if "@" <= c <= "~" else state
            return " " <= c <= "~"
        if state == "string":
            self._escape = "" if c in "\x07\x9c" else "string-esc" if c == "\x1b" else state
        return True


def visible(text: str) -> str:
    """`text` without invisible, direction and terminal control characters and with one kind of line end."""
    return VisibleText().feed(text)


def _joins(before: str, joiner: str, after: str) -> bool:
    if not before:
        return False
    if joiner == "\u200d" and unicodedata.category(after) == "So":
        return unicodedata.category(before) in {"So", "Sk"} or before in _SELECTORS
    return _in_joining_script(before) and _in_joining_script(after)


def _in_joining_script(c: str) -> bool:
    return "\u0600" <= c <= "\u08ff" or "\u0900" <= c <= "\u0dff" or "\u1780" <= c <= "\u18aa"


def _is_selector(code: int) -> bool:
    """Variation selectors can carry hidden bytes, one after another; tag characters are Cf and go with those."""
    return 0xFE00 <= code <= 0xFE0D or 0xE0100 <= code <= 0xE01EF or 0x180B <= code <= 0x180F or code & 0xFFFE == 0xFFFE
