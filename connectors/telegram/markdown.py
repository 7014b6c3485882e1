"""Markdown made safe to convert: nothing in it is dropped, hidden or blown up by the converter.

Left alone, telegramify-markdown drops HTML and link definitions, hides what stands between `||`, and takes prices for
formulas. Settling escapes those, outside code. It is idempotent in effect: settled text settles to what reads the same.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyromark

OPTIONS = pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_STRIKETHROUGH | pyromark.Options.ENABLE_TASKLISTS
INLINE = frozenset({"Emphasis", "Strong", "Strikethrough", "Link", "Image"})
_MOST_CELLS = 3000  # of a table, counted as rows times columns: a short text can stand for millions
_MOST_TABLE = 60_000  # characters, counted as rows times the longest

_CONTROLS = dict.fromkeys((*range(9), *range(11, 32), 127), " ")
_UNSHOWN = dict.fromkeys(range(8234, 8239))  # Telegram deletes these, and entities would shift
_SPECIAL = re.compile(
    r"""(?P<kept>\\[\s\S] | <https?://[^\s<>`\\]+>)
    | (?P<special>[<$] | (?<!~)~(?!~) | \|(?=\|) | \](?=:))""",
    re.VERBOSE,
)
# A line can open many lists in each other, and each is indented further when it is shown.
_DEEP = re.compile(r"^[ \t]*(?:(?:[-+*]|\d{1,9}[.)])[ \t]+|>[ \t]*){9,}", re.MULTILINE)
_BAR = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"^([ \t>]*)([|:-][|:\- \t]*)$", re.MULTILINE)  # what makes the line above it a table's head
_FENCE = re.compile(r"([ ]{0,3}(?:`{3,}(?!`)|~{3,}(?!~)))([^\n]*\S[^\n]*)")
LANGUAGE = re.compile(r"[\w+#.-]{1,32}")
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


@dataclass(frozen=True, slots=True)
class Span:
    """A construct in a text. kind: pyromark's name for it. start, end: characters. depth: 0 for a block at the top."""

    kind: str
    start: int
    end: int
    depth: int
    detail: Any = None


def clean(text: str) -> str:
    """Without the characters that Telegram deletes or refuses."""
    text = text.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")
    return text.translate(_CONTROLS | _UNSHOWN)


def spans(text: str) -> list[Span]:
    """All constructs of `text`, in the order in which they start."""
    found: list[tuple[str, int, int, int, Any]] = []
    depth = 0
    for event, place in pyromark.events_with_range(text, options=OPTIONS):
        if isinstance(event, str):
            if event == "Rule":
                found.append((event, place["start"], place["end"], depth, None))
        elif "Start" in event:
            tag = event["Start"]
            kind, detail = next(iter(tag.items())) if isinstance(tag, Mapping) else (tag, None)
            found.append((kind, place["start"], place["end"], depth, detail))
            depth += 1
        elif "End" in event:
            depth -= 1
        elif "Code" in event:
            found.append(("Code", place["start"], place["end"], depth, None))
    at = _characters(text, (position for span in found for position in span[1:3]))
    return [Span(kind, at[start], at[end], depth, detail) for kind, start, end, depth, detail in found]


def settle(text: str) -> str:
    """`text` in which all that the converter would drop, hide or blow up stands as plain characters."""
    text = clean(text)
    # Code is found in a copy of the same length where nothing is HTML or a link definition, as after settling.
    found = spans(text.replace("<", "x").replace("]:", "]x"))
    tables = [span for span in found if span.kind == "Table"]
    settled: list[str] = []
    position = 0
    for span in [*(span for span in found if span.kind in ("Code", "CodeBlock")), Span("", len(text), len(text), 0)]:
        if span.start < position:
            continue
        settled += _settle_prose(text, position, span.start, tables)
        code = text[span.start : span.end]
        # A line of a code span that begins like HTML would end it. Shown, its lines are one anyway.
        settled.append(re.sub(r"\n[ \t>]*", " ", code) if span.kind == "Code" else _settle_block(text, span))
        position = span.end
    return "".join(settled)


def escape(text: str) -> str:
    """Markdown that shows exactly `text`, but for spaces at the edges of lines and for runs of empty lines."""
    return "\n".join(_PUNCTUATION.sub(r"\\\1", line.strip()) for line in text.split("\n"))


def _settle_prose(text: str, start: int, end: int, tables: Sequence[Span]) -> Iterable[str]:
    """The prose of `text` from `start` to `end`, piece by piece: what is in a table, and what is not."""
    position = start
    first = bisect_right(tables, start, key=lambda table: table.end)
    for table in tables[first : bisect_left(tables, end, key=lambda table: table.start)]:
        yield _settle_piece(text[position : max(position, table.start)], in_table=False)
        inside = text[max(position, table.start) : min(end, table.end)]
        whole = text[table.start : table.end]
        if position <= table.start and not _is_sound(whole, len(table.detail or ())):
            inside = _RULE.sub(r"\1\\\2", inside)
        yield _settle_piece(inside, in_table=True)
        position = min(end, table.end)
    yield _settle_piece(text[position:end], in_table=False)


def _settle_piece(prose: str, *, in_table: bool) -> str:
    def settled(match: re.Match[str]) -> str:
        special = match["special"]
        if special is None:
            return match["kept"]
        if special == "|":
            # An escape here would take a cell from a line and so make it a table's head: a word joiner does not.
            return "| " if in_table else "|\u2060"
        return "]\\" if special == "]" else f"\\{special}"

    prose = _SPECIAL.sub(settled, prose)
    return _DEEP.sub(lambda run: re.sub(r"[-+*>.)]", r"\\\g<0>", run[0], count=1), prose)


def _settle_block(text: str, span: Span) -> str:
    """What stands after a fence is shown only if it names a language: anything else is made the first line of code."""
    code = text[span.start : span.end]
    fence = _FENCE.match(code)
    if fence is None or LANGUAGE.fullmatch(fence[2].strip()):
        return code
    # The line goes on in the quote or the list that the fence stands in.
    margin = re.sub(r"[^>\s]", " ", text[text.rfind("\n", 0, span.start) + 1 : span.start])
    return f"{fence[1]}\n{margin}{fence[2].strip()}{code[fence.end() :]}"


def _is_sound(table: str, columns: int) -> bool:
    """Whether it can be shown as a table: not huge, and no row with more cells than the head, which are dropped."""
    lines = table.rstrip().split("\n")
    if columns * len(lines) > _MOST_CELLS or max(map(len, lines)) * len(lines) > _MOST_TABLE:
        return False
    return all(len(_BAR.findall(line.strip("> \t").removeprefix("|").removesuffix("|"))) < columns for line in lines)


def _characters(text: str, offsets: Iterable[int]) -> dict[int, int]:
    """Where UTF-8 byte offsets are in characters."""
    if text.isascii():
        return {offset: offset for offset in offsets}
    data = text.encode()
    at: dict[int, int] = {}
    before = characters = 0
    for offset in sorted(set(offsets)):
        characters += len(data[before:offset].decode("utf-8", "ignore"))
        at[offset] = characters
        before = offset
    return at
