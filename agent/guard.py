"""What may go out and what may come in, by deterministic code: no model is asked whether a text is harmless.

Outgoing text keeps links only to allowed hosts, no images, no mass mentions, no invisible or terminal control
characters and nothing that looks like an access key. Text is cleaned in units: a word, or as much of its line as open
markup spans. Cleaning a stream is the one implementation; `clean` runs it over a whole text, so both always agree.
"""

import re
from collections.abc import Collection

from agent.links import AllowedHosts, undisguised, without_links
from agent.secret_shapes import mask_secrets
from agent.visible import VisibleText, visible
from retrieval.errors import MessageRefused

LONGEST_MESSAGE = 32_000  # characters
_KEY_LINE = re.compile(r"[ \t>]*(?:[A-Za-z0-9+/=]*|[A-Z][\w-]+: .*)\n?")
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----(?!.*-----END)")
_FENCE = re.compile(r" {0,3}(?:>[> ]*)?(`{3,}|~{3,})")
_MAY_BEGIN_FENCE = frozenset(" \t>`~")
# What most of a reply is made of: a short word of prose. None of the rules can touch it: no link, key or mention is so
# short and made of nothing but letters, and none of these letters is invisible.
_WORD = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ]{1,15}(?:['\u2019][a-z]{1,2})?[,.;!?]{0,3}[ \n]?")
_ROUNDS = 20  # rules over one unit; markup nested deeper than this loses its brackets


def check_message(text: str) -> str:
    """An incoming message without control characters and outer space. Raises MessageRefused if empty or too long."""
    if len(text) > LONGEST_MESSAGE:
        raise MessageRefused(
            f"The message has {len(text):,} characters; up to {LONGEST_MESSAGE:,} can be read. "
            "Save longer texts to a file and add it with `atelier ingest`."
        )
    shown = visible(text).strip()
    if not shown:
        raise MessageRefused("The message is empty. Write a question or a thought.")
    return shown


def clean(text: str, *, allowed_links: Collection[str] = ()) -> str:
    """`text` as it may be shown. allowed_links: hosts, `acme.com` or `*.acme.com`. Idempotent; never raises."""
    if not text:
        return ""
    cleaner = StreamCleaner(allowed_links=allowed_links)
    return cleaner.feed(text) + cleaner.finish()


class StreamCleaner:
    """`clean` over a stream: what `feed` and `finish` return, joined, equals `clean` of all that was fed.

    Words are released as they are complete; from open markup on (`[`, `<`, a backtick) text is held until the markup
    closes, at the latest until the line ends.
    """

    def __init__(self, *, allowed_links: Collection[str] = ()) -> None:
        self._allowed = AllowedHosts(allowed_links)
        self._visible = VisibleText()
        self._open = _OpenMarkup()
        self._held: list[str] = []
        self._may_be_fence = True  # so far only characters that a fence begins with are held
        self._lead: str | None = ""  # what is out of the present line, while that is only indentation
        self._fence = ""  # the mark that opened the code block we are in
        self._in_key = False

    def feed(self, piece: str) -> str:
        """Take a piece of text; give back what can no longer change."""
        out: list[str] = []
        for c in self._visible.feed(piece):
            self._held.append(c)
            self._may_be_fence = self._may_be_fence and c in _MAY_BEGIN_FENCE
            if c == "\n" or (c in " \t" and self._may_cut()):
                out.append(self._release())
            else:
                self._open.see(c)
        return "".join(out)

    def finish(self) -> str:
        """The rest. The cleaner must not be fed afterwards."""
        return self._release() if self._held else ""

    def _may_cut(self) -> bool:
        if self._fence or self._in_key:
            return False
        if self._lead is not None and self._may_be_fence:
            return False
        return self._open.closed

    def _release(self) -> str:
        unit = "".join(self._held)
        self._held.clear()
        self._may_be_fence = True
        self._open = _OpenMarkup()
        if self._in_key:
            self._in_key = _KEY_LINE.fullmatch(unit) is not None
            if self._in_key or "-----END" in unit:
                return ""
        cleaned = self._clean_unit(unit, code=bool(self._fence))
        if self._lead is not None:
            self._lead += cleaned
            self._see_fence(self._lead)
            self._lead = self._lead if not self._lead.strip(" \t>") else None
        self._lead = "" if cleaned.endswith("\n") else self._lead
        return cleaned

    def _see_fence(self, line: str) -> None:
        """Enter or leave a code block (CommonMark 4.5): the closing mark is of the same kind and at least as long."""
        fence = _FENCE.match(line)
        if fence is None:
            return
        if not self._fence:
            self._fence = fence[1] if "`" not in line[fence.end() :] else ""
        elif fence[1].startswith(self._fence) and not line[fence.end() :].strip():
            self._fence = ""

    def _clean_unit(self, unit: str, *, code: bool) -> str:
        if _WORD.fullmatch(unit):
            self._in_key = False
            return unit
        self._in_key = _KEY_BLOCK.search(unit) is not None
        for _ in range(_ROUNDS):
            before = unit
            unit = unit if code else undisguised(unit)
            unit = without_links(mask_secrets(visible(unit)), self._allowed, code=code)
            if unit == before:
                return unit
        return re.sub(r"[\[\]<>()]", "", unit)


class _OpenMarkup:
    """Whether markup that began in this unit is still open, counted character by character."""

    def __init__(self) -> None:
        self._square = self._angle = self._round = self._ticks = 0
        self._last = ""
        self._dashes = False

    def see(self, c: str) -> None:
        if c == "[":
            self._square += 1
        elif c == "]":
            self._square = max(0, self._square - 1)
        elif c == "<":
            self._angle += 1
        elif c == ">":
            self._angle = max(0, self._angle - 1)
        elif c == "`":
            self._ticks += 1
        elif c == "(" and (self._last == "]" or self._round):
            self._round += 1
        elif c == ")":
            self._round = max(0, self._round - 1)
        self._dashes = self._dashes or (c == "-" == self._last)
        self._last = c

    @property
    def closed(self) -> bool:
        return not (self._square or self._angle or self._round or self._ticks % 2 or self._dashes)
