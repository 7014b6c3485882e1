"""Long answers as several messages, each of which is whole Markdown and fits. Pure.

A part is measured by rendering it, with the very function that sends it, so a part that was made here always fits. Cuts
fall between blocks, else between lines, sentences or words, never inside emphasis, links or code spans. Code goes on
in a fence of its own, a table under its head. What can be cut nowhere loses its formatting, never its words.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from agent.events import Outgoing
from agent.message import Place
from connectors.telegram.markdown import INLINE, Span, clean, escape, settle, spans
from connectors.telegram.render import MOST_UNITS, render, units

_CAPTION = 400  # characters of a picture's words: Telegram shows 1,024 units
_NOWHERE = Place("telegram", "", "")
_TAIL = 3000  # units of one source's label, of a notice or a suggestion in one part
_REACH = 4 * MOST_UNITS  # characters of Markdown within which a cut is looked for
_LEAST = 16  # characters: a smaller cut is none, so that each leaves less to do
_FENCE = re.compile(r"[ ]{0,3}(`{3,}|~{3,})[^\n]*")
_ENDS = (
    re.compile(r"\n(?=[ \t]*\n|[ \t>]*(?:[-+*]|\d{1,9}[.)])[ \t])"),  # of a paragraph or an item
    re.compile(r"\n"),
    re.compile(r"[.!?…][\"'”’)\]]*[ \t]+|[。！？]"),
    re.compile(r"[ \t]+"),
)


def parts(outgoing: Outgoing) -> list[Outgoing]:
    """`outgoing` as messages that fit, in order: sources, notice, suggestions and buttons stand under the last.

    Pictures come behind it, each with its words below.
    """
    outgoing = _addressed(outgoing)
    if outgoing.press:
        return [outgoing]
    if outgoing.pictures:
        bare = replace(outgoing, sources=(), notice="", buttons=(), suggestions=(), pictures=())
        texts = parts(replace(outgoing, pictures=()))
        return texts + [replace(bare, text=one.text[:_CAPTION], pictures=(one,)) for one in outgoing.pictures]
    if render(outgoing).fits:
        return [outgoing]
    bare = replace(outgoing, text="", sources=(), notice="", buttons=(), suggestions=())
    done = [replace(bare, text=piece) for piece in _pieces(settle(outgoing.text))]
    last = done.pop() if done else bare
    for tail in _tails(outgoing, bare):
        if render(candidate := _joined(last, tail)).fits:
            last = candidate
        else:
            done.append(last)
            last = tail
    return [*done, replace(last, buttons=outgoing.buttons)]


def _tails(outgoing: Outgoing, bare: Outgoing) -> Iterator[Outgoing]:
    """What stands under the text, one by one, each as a message of its own."""
    for source in outgoing.sources:
        for label in _plain_pieces(source.label):
            yield replace(bare, sources=(replace(source, label=label),))
    for notice in _plain_pieces(outgoing.notice):
        yield replace(bare, notice=notice)
    for question in outgoing.suggestions:
        for asked in _plain_pieces(question):
            yield replace(bare, suggestions=(asked,))


def _joined(part: Outgoing, tail: Outgoing) -> Outgoing:
    return replace(
        part,
        sources=(*part.sources, *tail.sources),
        notice="\n".join(filter(None, (part.notice, tail.notice))),
        suggestions=(*part.suggestions, *tail.suggestions),
    )


def _plain_pieces(text: str) -> Iterator[str]:
    text = clean(text).strip()
    while text:
        end = _plain_end(text, _TAIL)
        yield text[:end].rstrip()
        text = text[end:].lstrip()


def _pieces(source: str) -> Iterator[str]:
    """Settled Markdown as pieces that fit."""
    while source.strip():
        piece, source = _first(source)
        if piece.strip():
            yield piece


def _first(source: str) -> tuple[str, str]:
    """The first piece of `source`, and the Markdown that is left."""
    found = spans(source)
    blocks = [span for span in found if span.depth == 0 and span.kind not in INLINE and span.kind != "Code"]
    if not blocks:
        return source, ""
    ends = [_line_start(source, block.start) for block in blocks[1:]] + [len(source)]
    whole = _most(bisect_right(ends, _REACH), lambda count: _fits(source[: ends[count - 1]]))
    if whole:
        return source[: ends[whole - 1]].rstrip(), source[ends[whole - 1] :]
    block, after = source[: ends[0]], source[ends[0] :]
    if blocks[0].kind == "CodeBlock":
        first, rest = _cut_code(block)
    elif blocks[0].kind == "Table":
        first, rest = _cut_table(block)
    else:
        first, rest = _cut_prose(block, found, is_quote=blocks[0].kind == "BlockQuote")
    if not first:
        first, rest = _flat(block)
    return first, f"{rest.rstrip()}\n\n{after}" if rest.strip() else after


def _fits(markdown: str) -> bool:
    return render(Outgoing(_NOWHERE, markdown)).fits


def _most(upper: int, fits: Callable[[int], bool]) -> int:
    """The largest count from 1 to `upper` that fits, as far as larger ones fit less; 0 when none does."""
    low, high = 0, upper
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low


def _cut_code(block: str) -> tuple[str, str]:
    lead = len(block) - len(block.lstrip("\n"))
    block = block[lead:]
    fence = _FENCE.match(block)
    if not fence:  # indented: what is left is indented too
        end = _code_end(block, MOST_UNITS)
        rest = block[end:]
        return block[:end], rest if not rest.strip() or block[end - 1] == "\n" else f"    {rest}"
    opening = fence[0] + "\n"
    body = block[len(opening) :]
    end = _code_end(body, MOST_UNITS)
    rest = body[end:]
    has_more = rest.strip().strip(fence[1][0])
    return f"{opening}{body[:end].rstrip()}\n{fence[1]}", f"{opening}{rest}" if has_more else ""


def _code_end(code: str, most: int) -> int:
    """Where to cut code: after a line, or inside one that is too long; at most `most` units stand before it."""
    window = _within(code, most)
    newline = code.rfind("\n", 0, window)
    return newline + 1 if newline > window // 2 else window


def _cut_table(block: str) -> tuple[str, str]:
    lines = block.strip("\n").split("\n")
    head, rows = lines[:2], lines[2:]
    count = _most(len(rows), lambda count: _fits("\n".join([*head, *rows[:count]])))
    if not count:
        return "", ""
    rest = rows[count:]
    return "\n".join([*head, *rows[:count]]), "\n".join([*head, *rest]) if rest else ""


def _cut_prose(block: str, found: Sequence[Span], *, is_quote: bool) -> tuple[str, str]:
    """Cut at the best place that leaves the first piece at least half as long as it could be."""
    shut = _shut(found, len(block))
    longest = 0
    for ending in _ENDS:
        ends = (match.end() for match in ending.finditer(block, 0, _REACH))
        places = [end for end in ends if _LEAST < end < len(block.rstrip()) and not _is_shut(shut, end)]
        longest = max(longest, _last_fitting(block, places))
        if units(block[:longest]) >= MOST_UNITS // 2:
            break
    return (block[:longest].rstrip(), _dedented(block[longest:], is_quote=is_quote)) if longest else ("", "")


def _last_fitting(block: str, places: Sequence[int]) -> int:
    count = _most(len(places), lambda count: _fits(block[: places[count - 1]]))
    return places[count - 1] if count else 0


def _shut(found: Sequence[Span], end: int) -> list[tuple[int, int]]:
    """Where `found` allows no cut before `end`, merged and in order."""
    merged: list[tuple[int, int]] = []
    for span in found:
        if span.start >= end:
            break
        if span.kind in INLINE or span.kind in ("Code", "CodeBlock", "Table"):
            if merged and span.start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], span.end))
            else:
                merged.append((span.start, span.end))
    return merged


def _is_shut(shut: Sequence[tuple[int, int]], place: int) -> bool:
    before = bisect_right(shut, (place, -1)) - 1
    return before >= 0 and shut[before][0] < place < shut[before][1]


def _dedented(rest: str, *, is_quote: bool) -> str:
    """What is left of a block, moved left so far that its first line is at the margin: else it would be code."""
    rest = rest.lstrip("\n")
    indent = len(rest) - len(rest.lstrip(" \t"))
    rest = re.sub(rf"^[ \t]{{1,{indent}}}", "", rest, flags=re.MULTILINE) if indent else rest
    return rest if not is_quote or rest.startswith(">") else f"> {rest}"


def _flat(block: str) -> tuple[str, str]:
    """The block without its formatting, cut wherever it must be."""
    shown = render(Outgoing(_NOWHERE, block)).text
    text = shown if len(shown) <= 4 * len(block) else block  # lists in lists can be shown at many times their length
    end = _plain_end(text, MOST_UNITS)
    return escape(text[:end]), escape(text[end:])


def _plain_end(text: str, most: int) -> int:
    """Where to cut plain text so that at most `most` units stand before it: at a space if one is near."""
    window = _within(text, most)
    if window == len(text):
        return window
    space = max(text.rfind(" ", 0, window), text.rfind("\n", 0, window))
    return space + 1 if space > window // 2 else window


def _within(text: str, most: int) -> int:
    """How many characters of `text` have at most `most` units."""
    data = text[:most].encode("utf-16-le", "surrogatepass")[: 2 * most]
    return len(data.decode("utf-16-le", "ignore"))


def _line_start(source: str, position: int) -> int:
    return source.rfind("\n", 0, position) + 1


def _addressed(outgoing: Outgoing) -> Outgoing:
    """What is for one of a group goes to their own chat with the bot: a group has no whispering."""
    user = outgoing.to.rpartition(":")[2]
    is_for_one = outgoing.audience == "one" and not outgoing.press and outgoing.place.channel.startswith("-")
    if not is_for_one or not user or user.startswith("-"):  # who writes as a group has no chat of their own
        return outgoing
    return replace(outgoing, place=replace(outgoing.place, channel=user, thread=""))
