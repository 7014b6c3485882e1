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
from connectors.telegram.render import MOST_ENTITIES, MOST_UNITS, NOTHING, Rendered, render, units

_CAPTION = 400  # characters of a picture's words: Telegram shows 1,024 units
_NOWHERE = Place("telegram", "", "")
_TAIL = 3000  # units of one source's label, of a notice or a suggestion in one part
_REACH = 4 * MOST_UNITS  # characters of Markdown within which a cut is looked for
_NEAR = 1000  # characters
_UNCUT = INLINE | {"Code"}
_FORMATS = _UNCUT - {"Link", "Image"} | {"Heading"}  # what takes an entity each for sure
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
    if len(outgoing.text) <= _REACH and render(outgoing).fits:
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
    """Settled Markdown as pieces that fit. Each is looked for near the beginning, so time grows with the length."""
    source, longest = _loosened(source)
    while source.strip():
        piece, source = _first(source, longest)
        if NOTHING in piece or _shown(piece).text != NOTHING:
            yield piece


def _loosened(source: str) -> tuple[str, int]:
    """`source` without formats that are longer than a cut is looked for, and how many characters the longest has."""
    kept, position, longest = "", 0, 0
    for span in spans(source):
        size = span.end - span.start
        if span.start < position or span.kind not in {*_UNCUT, "Rule"}:
            continue
        if size <= _REACH:
            longest = max(longest, size)
        else:
            kept += source[position : span.start] + escape(_shown(source[span.start : span.end]).text)
            position = span.end
    return kept + source[position:], longest


def _first(source: str, longest: int) -> tuple[str, str]:
    """The first piece of `source`, and the Markdown that is left. longest: characters of a format, at most."""
    for reach in (MOST_UNITS, _REACH):
        window = _window(source, reach + longest)
        found = spans(window)
        formats = [span.start for span in found if span.kind in _FORMATS and span.start < reach]
        if len(formats) > 2 * MOST_ENTITIES:  # what fits ends long before
            break
    blocks = [span for span in found if span.depth == 0 and span.kind not in _UNCUT]
    if not blocks:
        return window, source[len(window) :]
    guess = min([MOST_UNITS, *formats[MOST_ENTITIES : MOST_ENTITIES + 1]])
    ends = [_line_start(window, block.start) for block in blocks[1:]]
    if len(window) == len(source):
        ends.append(len(source))
    if whole := _last_fitting(source, ends[: bisect_right(ends, reach)], guess):
        return source[:whole].rstrip(), source[whole:]
    end = ends[0] if ends else len(source)  # a block may go on beyond the window
    block, after = source[:end], source[end:]
    if blocks[0].kind == "CodeBlock":
        first, rest = _cut_code(block)
    elif blocks[0].kind == "Table":
        first, rest = _cut_table(block, reach, guess)
    else:
        first, rest = _cut_prose(block, found, reach, guess, is_quote=blocks[0].kind == "BlockQuote")
    if not first:
        first, rest = _flat(block, longest)
    return first, f"{rest.rstrip()}\n\n{after}" if rest.strip() else after


def _window(source: str, least: int) -> str:
    """The beginning of `source`, of `least` characters or a few more: to the end of a line, or else of a word."""
    for end in ("\n", " "):
        if (place := source.find(end, least, least + _NEAR)) >= 0:
            return source[: place + 1]
    return source[:least]


def _shown(markdown: str) -> Rendered:
    return render(Outgoing(_NOWHERE, markdown))


def _load(markdown: str) -> float:
    """How much of a message `markdown` takes; it fits with at most 1."""
    shown = _shown(markdown)
    return max(units(shown.text) / MOST_UNITS, shown.formats / MOST_ENTITIES)


def _most(upper: int, load: Callable[[int], float], guess: int) -> int:
    """The largest count from 1 to `upper` whose load is at most 1, as far as larger ones have more; 0 if none has."""
    low, high, is_guess = 0, upper, True
    while low < high:
        count = min(max(guess, low + 1), high)
        if (found := load(count)) <= 1:
            low = count
        else:
            high = count - 1
        is_guess = not is_guess  # in turn by what was found and by halves: loads may grow in leaps
        guess = (low + high + 1) // 2 if is_guess else int(count / max(found, 0.1))
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


def _cut_table(block: str, reach: int, guess: int) -> tuple[str, str]:
    lines = block.strip("\n").split("\n")
    head, rows = lines[:2], lines[2:]
    within = min(len(rows), block.count("\n", 0, reach))
    each = 1 + len(block) // len(lines)  # characters of a row
    count = _most(within, lambda count: _load("\n".join([*head, *rows[:count]])), guess // each)
    if not count:
        return "", ""
    rest = rows[count:]
    return "\n".join([*head, *rows[:count]]), "\n".join([*head, *rest]) if rest else ""


def _cut_prose(block: str, found: Sequence[Span], reach: int, guess: int, *, is_quote: bool) -> tuple[str, str]:
    """Cut at the best place that leaves the first piece at least half as long as it could be."""
    shut = _shut(found, len(block))
    longest = 0
    for ending in _ENDS:
        ends = (match.end() for match in ending.finditer(block, 0, reach))
        places = [end for end in ends if _LEAST < end < len(block.rstrip()) and not _is_shut(shut, end)]
        longest = max(longest, _last_fitting(block, places, guess))
        if units(block[:longest]) >= MOST_UNITS // 2:
            break
    return (block[:longest].rstrip(), _dedented(block[longest:], is_quote=is_quote)) if longest else ("", "")


def _last_fitting(source: str, places: Sequence[int], guess: int) -> int:
    """The last of `places` up to which `source` fits; 0 when none is."""
    count = _most(len(places), lambda count: _load(source[: places[count - 1]]), bisect_right(places, guess))
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
    lines = rest.lstrip("\n").split("\n")
    least = len(lines[0])
    for number, line in enumerate(lines):
        least = min(least, len(line) - len(line.lstrip(" \t"))) if line.strip() else least
        if not least:
            break
        lines[number] = line[least:]
    rest = "\n".join(lines)
    return rest if not is_quote or rest.startswith(">") else f"> {rest}"


def _flat(block: str, longest: int) -> tuple[str, str]:
    """The block without its formatting, cut wherever it must be; of a long one its beginning, to a format's end."""
    shut = _shut(spans(block[: _REACH + longest]), len(block))
    size = next((end for start, end in shut if start < _REACH < end), _REACH)
    looked = block[:size]
    shown = _shown(looked).text
    text = shown if len(shown) <= 4 * len(looked) else looked  # lists in lists can be shown at many times their length
    if text == NOTHING not in looked:
        return "", block[size:]
    end = _plain_end(text, MOST_UNITS)
    space = looked[len(looked.rstrip()) :]
    return escape(text[:end]), f"{escape(text[end:])}{space}{block[size:]}"


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
