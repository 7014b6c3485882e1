"""A passage cut into what can be quoted whole: sentences, list items, table rows, blocks of code. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from retrieval.tokens import is_unspaced


class Kind(StrEnum):
    SENTENCE = "sentence"
    ITEM = "item"  # one entry of a list, with its mark
    FIELD = "field"  # one of several lines of a name and what belongs to it: "Phone: 42"
    ROW = "row"  # one row of a table
    CODE = "code"  # a whole block, fences kept


@dataclass(frozen=True, slots=True)
class Unit:
    """The least that is quoted.

    text: as it is quoted, line breaks of prose made spaces. block: number of its paragraph, list, table or block of
    code. head: of a table row, the header that belongs above it; else empty.
    """

    text: str
    kind: Kind
    block: int
    head: str = ""

    @property
    def asks(self) -> bool:
        """Whether it is a question, and so answers none; one that is only named at the end is not: 'It is "Why?"'."""
        if self.kind not in (Kind.SENTENCE, Kind.ITEM):
            return False
        said = self.text.strip(_MARKUP)
        asked = said.rstrip(_CLOSERS)
        return asked.endswith(("?", "？", "؟")) and (asked == said or said.startswith(_OPENERS))

    @property
    def announces(self) -> bool:
        """Whether it leads over to what follows: "Run one command in its folder:", "What do I bring?"."""
        return self.kind is Kind.SENTENCE and (self.text.endswith((":", "：")) or self.asks)


_MARKUP = "-*+•▪‣–_` "
_CLOSERS = "\"'”’“»«」』)]*_`"
_OPENERS = tuple("\"'“‘„«»「『([")
_STOPS = (".", "!", "…", "。")
WRAPPED = 40  # characters of a line from which it may be cut from a sentence
_FENCE = re.compile(r"\s{0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"\s*(?:[-*+•▪‣–]|\(?\d{1,3}[.)]|\(?[a-z][.)]|step \d+[.:])\s+\S", re.IGNORECASE)
_FIELD = re.compile(r"\s*[*_]*([^\W\d_][^:.!?;|]{0,38})(?::[*_]*|\s[-–—])\s+\S")
_RULE = re.compile(r"\s*\|?[\s:|-]*-{2,}[\s:|-]*$")
_ENDS = re.compile(  # a run of marks is tried once, from its beginning
    r"(?<![.!?…])[.!?…]++[\"'”’»)\]*_`]*+(?=\s)|[。！？｡]+[”’」』）]*|(?<![؟۔।])[؟۔।]++(?=\s)"
)
# What a full stop after these does not end. One capital before it is an initial.
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"'“])(?:[A-ZÄÖÜ]|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|cf|ca|approx|e\.g|i\.e|No|Nr|Fig|Vol|Inc|Ltd|Co|Gen|"
    r"Sen|Rep|Gov|Capt|Col|Lt|Mt|z\.B|d\.h|bzw|usw|u\.a|inkl|(?:[A-Z]\.)+[A-Z]|Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec|p|pp)\.$"
    r"|\b(?:[Aa]m|[Dd]e[rmn]|[Vv]om|[Zz]um|[Ii]m|[Ss]eit|[Bb]is|[Aa]b) \d{1,2}\.$"
)
_NUMBERED = re.compile(r"\b(?:nos?|nrs?|figs?|vols?|pp?|chaps?|secs?|arts?|paras?|abs|kap|tel|ext)\.$", re.IGNORECASE)
_FIGURE = re.compile(r"\s*\d")
_OPENS = re.compile(r"\s+[\"'“‘«(\[*_`]*[^\Wa-z_]|\s+[\"'“‘(\[]")
_CITATIONS = re.compile(r"(?:\s*\[\d{1,2}(?:\s*,\s*\d{1,2})*\])+")
_LIST_NUMBER = re.compile(r"\s*\(?\d{1,3}\.")


def cut(text: str) -> list[Unit]:
    """The units of a passage in reading order."""
    units: list[Unit] = []
    for number, (kind, lines) in enumerate(_blocks(text.split("\n"))):
        if kind is Kind.CODE:
            units.append(Unit("\n".join(lines), kind, number))
        elif kind is Kind.ITEM:
            units += [Unit(item, kind, number) for item in _items(lines)]
        elif kind is Kind.ROW:
            head = "\n".join(lines[:2]) if len(lines) > 1 and _RULE.match(lines[1]) else ""
            rows = lines[2:] if head else lines
            units += [Unit(row, kind, number, head) for row in rows]
        else:
            fields = _fields(lines)
            prose = lines[: len(lines) - len(fields)]
            units += [Unit(sentence, kind, number) for sentence in sentences(unwrapped(prose))]
            units += [Unit(field.strip(), Kind.FIELD, number) for field in fields]
    return _answered(units)


def _fields(lines: Sequence[str]) -> Sequence[str]:
    """The lines, perhaps but for one that announces them, if each holds a name and what belongs to it; else none."""
    fields = lines[1:] if lines[0].rstrip().endswith(":") else lines
    are_fields = len(fields) > 1 and all(_FIELD.match(line) and not line.rstrip().endswith("?") for line in fields)
    return fields if are_fields and not any(map(_runs_on, fields, fields[1:])) else ()


def _runs_on(line: str, behind: str) -> bool:
    """Whether a sentence is wrapped there: behind a long line without an end it begins small, or ends an aside."""
    is_cut, name = len(line) > WRAPPED and not line.rstrip().endswith(_STOPS), _FIELD.match(behind)
    is_aside = name is not None and behind[name.end(1)] != ":" and behind.rstrip().endswith(_STOPS)
    return is_cut and (is_aside or behind.lstrip(" *_")[:1].islower())


def name_of(field: Unit) -> str:
    """The name that a field begins with."""
    found = _FIELD.match(field.text)
    return found[1].strip(" *_") if found else ""


def _answered(units: Sequence[Unit]) -> list[Unit]:
    """Each question with the sentence behind it, where that is none: apart, neither would say anything.

    Over the end of a paragraph only where the question is all of it, as in lists of questions and answers.
    """
    found: list[Unit] = []
    for place, unit in enumerate(units):
        last = found[-1] if found else unit
        is_alone = place < 2 or units[place - 2].block != last.block
        if (
            last.asks
            and last.kind is unit.kind is Kind.SENTENCE
            and not unit.asks
            and (last.block == unit.block or is_alone)
        ):
            gap = "" if is_unspaced(last.text[-1]) or is_unspaced(unit.text[0]) else " "
            found[-1] = Unit(f"{last.text}{gap}{unit.text}", unit.kind, unit.block)
        else:
            found.append(unit)
    return found


def sentences(text: str) -> list[str]:
    """The sentences of one paragraph."""
    found, start = [], 0
    for end in _ENDS.finditer(text):
        is_told_by_next = end[0][0] in ".!?…" and end[0].strip("?")  # behind a bare "?" small letters may begin
        if is_told_by_next and not _OPENS.match(text, end.end()):
            continue
        if end[0] == "." and _shortens(text, max(start, end.end() - 14), end.end()):
            continue
        found.append(text[start : end.end()].strip())
        start = end.end()
    return [sentence for sentence in [*found, text[start:].strip()] if sentence]


def first_sentence(text: str) -> int:
    """Where the first sentence of a line ends that is surely over, with its citations and the space behind it; or 0.

    For a text that still grows: what is said last is never taken to be over.
    """
    for end in _ENDS.finditer(text):
        if end[0] == "." and _shortens(text, max(0, end.end() - 14), end.end()):
            continue
        if _LIST_NUMBER.fullmatch(text, 0, end.end()):
            continue
        cited = _CITATIONS.match(text, end.end())
        at = cited.end() if cited else end.end()
        rest = text[at:]
        if not rest.strip() or (rest.lstrip().startswith("[") and "]" not in rest):
            continue
        if end[0][0] in ".!?…" and not _OPENS.match(text, at):
            continue
        return at + len(rest) - len(rest.lstrip(" \t"))
    return 0


def _shortens(text: str, start: int, end: int) -> bool:
    """Whether the full stop before `end` belongs to an abbreviation: "Dr. Moss", "room no. 12"."""
    before = text[start:end]
    if _ABBREVIATION.search(before):
        return True
    return _NUMBERED.search(before) is not None and _FIGURE.match(text, end) is not None


def unwrapped(lines: Sequence[str]) -> str:
    """Lines of running text as one; scripts without spaces join without one."""
    text = ""
    for line in map(str.strip, lines):
        joined_bare = text and line and is_unspaced(text[-1]) and is_unspaced(line[0])
        text += line if joined_bare or not text else f" {line}"
    return text


def _blocks(lines: Sequence[str]) -> Iterator[tuple[Kind, list[str]]]:
    """Runs of lines of one kind. An empty line ends prose; a list goes on over empty lines and indented ones."""
    run: list[str] = []
    kind = Kind.SENTENCE
    fence = ""
    for line in lines:
        if fence:
            run.append(line)
            if line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                yield Kind.CODE, run
                run, fence = [], ""
            continue
        opening = _FENCE.match(line)
        now = _kind_of(line, kind if run else None)
        if run and (opening or now is None or now is not kind):
            if now is None and kind is Kind.ITEM:
                continue  # a loose list; what follows decides
            yield kind, run
            run = []
        if opening:
            run, kind, fence = [line], Kind.CODE, opening[1]
        elif now is not None:
            run.append(line)
            kind = now
    if fence:
        run.append(fence)  # cut off in the middle: what is said after a quote would be code too
    if run:
        yield (Kind.CODE if fence else kind), run


def _kind_of(line: str, inside: Kind | None) -> Kind | None:
    if not line.strip():
        return None
    if _ITEM.match(line) or (inside is Kind.ITEM and line.startswith(("  ", "\t"))):
        return Kind.ITEM
    if line.lstrip().startswith("|") and line.count("|") > 1:
        return Kind.ROW
    return Kind.SENTENCE


def _items(lines: Sequence[str]) -> list[str]:
    """Each entry with what is indented below it: sub-entries and continued lines."""
    items: list[str] = []
    base = min(len(line) - len(line.lstrip()) for line in lines if _ITEM.match(line))
    for line in lines:
        if _ITEM.match(line) and len(line) - len(line.lstrip()) <= base + 1:
            items.append(line.strip())
        elif _ITEM.match(line):
            items[-1] += "\n" + line[base:].rstrip()
        else:
            items[-1] += " " + line.strip()
    return items
