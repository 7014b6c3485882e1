"""Documents to chunks: structure first, and never more tokens than the encoder reads."""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from retrieval.document import Chunk, Document, Section

_LONGEST_TOKEN = 10  # characters; WordPiece calls a word of over 100 one "unknown", which would hide a whole file
_SHORTER = (200, 100, 60, 30, 15)  # characters to which titles are cut, one after the other, until the path fits
_WRAPPED = 160  # characters; longer lines were not wrapped by their writer, so each is a paragraph
_LOOK_AHEAD = 2000  # characters that show what kind of lines these are
_LOOK_BACK = 80  # characters in which a word ends

_EMPTY_LINE = re.compile(r"\n[ \t]*\n\s*")
_ANY_LINE = re.compile(r"\n\s*")
_ITEM_LINE = re.compile(r"\n(?=[ \t]*(?:[-*+•▪\u2013][ \t]|\(?\w{1,3}[.)][ \t]|#{1,6}[ ]|>))")
_TABLE_OR_CODE = re.compile(r"```|~~~| {4}|\t|[^|]*\|[^|]*\||[^\t]*\t[^\t]*\t|.*[{};][ \t]*$")
_SENTENCE_END = re.compile(
    # What follows a full stop must not begin with a small letter. The bounds keep hostile input from quadratic time.
    r"[.!?…]{1,8}[\"'”\u2019»)\]]{0,3}\s+(?=[\"'“\u2018«(\[¿¡]{0,3}[^\W_a-z])"
    r"|[。｡\uff01\uff1f]{1,8}[”\u2019」』\uff09]{0,3}\s*"  # Chinese, Japanese
    r"|[؟\u06d4।]\s+"  # Arabic, Urdu, Hindi
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“])(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|No|Nr|vs|etc|approx|Fig|Abb|Eq|Sec|Ch|Vol|pp?|ca|cf|bzw|usw|vgl|inkl"
    r"|z\.\s?B|d\.\s?h|u\.\s?a|e\.g|i\.e|[ap]\.m|(?:[A-Z]\.)*[A-Z]|\d{1,2})\.$"
)


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    end: int
    tokens: int


def split(document: Document, count_tokens: Callable[[str], int], budget: int = 200) -> list[Chunk]:
    """Chunks of `document` in its order, each at most `budget` tokens with its heading path (`Chunk.encoded_text`).

    Paragraphs under one heading are packed together; a paragraph over the budget is cut at lines (tables, code, lists)
    or sentences, a sentence at words. All characters of all sections but white space are in exactly one chunk. Sections
    are never joined. A heading path over half the budget is shortened.

    count_tokens: tokens of a text; it is called about once a paragraph, and its sum over parts must not be much less
    than its count of the whole (so with every subword tokenizer).
    """
    splitter = _Splitter(count_tokens, budget)
    return [chunk for section in document.sections for chunk in splitter.chunks(section)]


class _Splitter:
    def __init__(self, count_tokens: Callable[[str], int], budget: int) -> None:
        self._count = count_tokens
        self._budget = budget
        self._headings: dict[tuple[str, ...], tuple[tuple[str, ...], int]] = {}

    def chunks(self, section: Section) -> Iterator[Chunk]:
        text = section.text
        heading, taken = self._heading(section.heading)
        room = max(self._budget - taken, 1)
        line, counted = section.line, 0
        for start, end in _packed(self._pieces(text, 0, len(text), room), room):
            first = next((i for i in range(start, end) if not text[i].isspace()), None)
            if first is None:
                continue
            if line is not None and not section.whole:  # the lines of a record's text are not the file's
                line += text.count("\n", counted, first)
                counted = first
            yield Chunk(text[_with_indent(text, start, first) : end].rstrip(), heading, section.page, line)

    def _heading(self, path: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
        """The path, shortened to at most half the budget, and its tokens."""
        if path not in self._headings:
            self._headings[path] = next(
                (candidate, tokens)
                for candidate in _ever_shorter(path)
                if (tokens := self._tokens(" > ".join(candidate) + "\n") if candidate else 0) <= self._budget // 2
            )
        return self._headings[path]

    def _tokens(self, text: str) -> int:
        return max(self._count(text), len(text) // _LONGEST_TOKEN)

    def _pieces(self, text: str, start: int, end: int, room: int, level: int = 0) -> Iterator[_Piece]:
        """Consecutive pieces of text[start:end] that each fit into `room`, cut no finer than needed."""
        tokens = (end - start) // _LONGEST_TOKEN
        if tokens <= room:  # else it is certainly too long, and counting would be waste
            tokens = self._tokens(text[start:end])
        if tokens <= room or end - start == 1:
            yield _Piece(start, end, tokens)
            return
        while level < len(_LEVELS):
            cuts = [cut for cut in _LEVELS[level](text, start, end) if start < cut < end]
            level += 1
            if cuts:
                break
        else:
            cuts = _at_words(text, start, end, room / tokens)
        for first, last in pairwise([start, *cuts, end]):
            yield from self._pieces(text, first, last, room, level)


def _packed(pieces: Iterable[_Piece], room: int) -> Iterator[tuple[int, int]]:
    """Start and end of runs of pieces that fit into `room`; the last run is not left with crumbs."""
    runs: list[list[_Piece]] = []
    filled = 0
    for piece in pieces:
        if not runs or filled + piece.tokens > room:
            runs.append([])
            filled = 0
        runs[-1].append(piece)
        filled += piece.tokens
    if len(runs) > 1 and filled < room // 4:
        before = sum(piece.tokens for piece in runs[-2])
        while len(runs[-2]) > 1 and filled + (moved := runs[-2][-1].tokens) <= before - moved:
            runs[-1].insert(0, runs[-2].pop())
            filled, before = filled + moved, before - moved
    for run in runs:
        yield run[0].start, run[-1].end


def _with_indent(text: str, start: int, first: int) -> int:
    """Where the line of `first` begins, if only white space of it is before: indentation of code is meaning."""
    begin = text.rfind("\n", max(start - 1, 0), first) + 1
    return begin if begin >= start else first


def _ever_shorter(path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    if len(path) > 2:
        path = (path[0], "…", path[-1])
        yield path
    for longest in _SHORTER:
        yield tuple(title if len(title) <= longest else title[:longest].rstrip() + "…" for title in path)
    yield ()


def _at_empty_lines(text: str, start: int, end: int) -> Iterator[int]:
    return (match.end() for match in _EMPTY_LINE.finditer(text, start, end))


def _at_items(text: str, start: int, end: int) -> Iterator[int]:
    """Each line of a table, of code, or that is a paragraph by itself; of anything else the lines that begin items."""
    beginning = text[start : min(end, start + _LOOK_AHEAD)].split("\n")
    structured = sum(len(line) > _WRAPPED or bool(_TABLE_OR_CODE.match(line)) for line in beginning)
    pattern = _ANY_LINE if structured * 2 > len(beginning) else _ITEM_LINE
    return (match.start() + 1 for match in pattern.finditer(text, start, end))


def _at_sentences(text: str, start: int, end: int) -> Iterator[int]:
    for match in _SENTENCE_END.finditer(text, start, end):
        if not _ABBREVIATION.search(text, max(start, match.start() - 12), match.start() + 1):
            yield match.end()


def _at_lines(text: str, start: int, end: int) -> Iterator[int]:
    return (match.start() + 1 for match in _ANY_LINE.finditer(text, start, end))


_LEVELS = (_at_empty_lines, _at_items, _at_sentences, _at_lines)


def _at_words(text: str, start: int, end: int, share: float) -> list[int]:
    """Cuts into even parts, each about `share` of the text, after white space where there is some near."""
    length = end - start
    parts = min(math.ceil(1.1 / share), length)
    cuts: list[int] = []
    for part in range(1, parts):
        cut = start + length * part // parts
        earliest = max(cut - _LOOK_BACK, cuts[-1] if cuts else start)
        spaces = (i for i in range(cut, earliest, -1) if text[i - 1].isspace())
        cuts.append(next(spaces, cut))
    return cuts
