"""Markdown: the source's own lines under their heading path, so that line numbers and code stay exact."""

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from retrieval.document import Document
from retrieval.loading.outline import Outline
from retrieval.loading.plain import add_lines
from retrieval.loading.source import Source
from retrieval.loading.table import Row
from retrieval.loading.text import clean_line, decode
from retrieval.loading.webpage import HIDING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_UNSEEN_BLOCK = re.compile(r"[ ]{0,3}<(?:script|style|template)\b", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()]*\)|\[[^\[\]]*\])")
_ANCHOR = re.compile(r"[ \t]*\{#[^{}]*\}[ \t]*$")
_EMPHASIS = re.compile(r"(\*\*|__|\*|`|~~)(?=\S)(.+?)(?<=\S)\1")
_INLINE_DATA = re.compile(r"\(\s*+<?data:[^)]*+\)")  # pictures written into the text as base64
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_LONGEST_HEADING = 1000  # characters; the patterns above take quadratic time on a hostile line
_FIELD = re.compile(r"(?P<name>[A-Za-z_][\w-]*)[ \t]*[:=][ \t]*(?P<value>.*)")
_FIELDS_FOR_PEOPLE = {
    "subtitle", "description", "summary", "abstract", "author", "authors", "date", "tags", "keywords", "category",
    "categories",
}  # fmt: skip


@cache
def _parser() -> "MarkdownIt":
    """Only the block structure is needed: without the inline rule parsing takes a quarter of the time."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").disable("inline")


def load_markdown(source: Source) -> Document:
    lines = decode(source).split("\n")
    outline = Outline()
    start, stated_title = _front_matter(lines)
    for first in range(1, start - 1):
        field = _FIELD.fullmatch(lines[first])
        if field and field["name"].lower() in _FIELDS_FOR_PEOPLE and field["value"].strip():
            outline.add(lines[first], line=first + 1)
    lines[:start] = [""] * start
    tokens = _parser().parse("\n".join(lines))
    code: set[int] = set()
    headings: list[tuple[int, int, int, str]] = []
    tables: dict[int, tuple[int, list[Row]]] = {}  # first line to the line after the last, and the rows
    for position, token in enumerate(tokens):
        if token.map is None:
            continue
        first, end = token.map
        if token.type in ("html_block", "inline"):
            _remove_unseen(lines, first, end, block=token.type == "html_block")
        elif token.type in ("fence", "code_block"):
            code.update(range(first, end))
        elif token.type == "heading_open" and token.level == 0:
            headings.append((first, end, int(token.tag[1:]), tokens[position + 1].content))
        elif token.type == "table_open":
            tables[first] = end, _rows(tokens[position:])
    for first, end, level, title in [*headings, (len(lines), len(lines), 0, "")]:
        for begin in sorted(line for line in tables if start <= line < first):
            add_lines(outline, lines, start, begin, code)
            start, rows = tables[begin]
            outline.add_table(rows, marked=True)
        add_lines(outline, lines, start, first, code)
        if level:
            outline.enter(level, heading_text(title), line=first + 1)
        start = end
    title = stated_title or outline.first_heading
    return Document(title, outline.finish(title))


def _rows(tokens: Sequence["Token"]) -> list[Row]:
    """The rows of the table that `tokens` begin with, their marks left out but for links, whose target may be news."""
    rows: list[Row] = []
    for token in tokens:
        if token.type == "table_close":
            break
        if token.type == "tr_open" and token.map is not None:
            rows.append((token.map[0] + 1, []))
        elif token.type == "inline" and rows:
            rows[-1][1].append(_cell(token.content))
    return rows


def _cell(markup: str) -> str:
    text = _BREAK.sub(" ", _INLINE_DATA.sub("()", _COMMENT.sub("", markup)))
    return clean_line(text if len(text) > _LONGEST_HEADING else _EMPHASIS.sub(r"\2", text))


def heading_text(markup: str) -> str:
    """A heading's words without its marks: `**Bold** [link](url) {#anchor}` to `Bold link`."""
    text = _ANCHOR.sub("", _COMMENT.sub("", markup[:_LONGEST_HEADING]))
    return clean_line(_EMPHASIS.sub(r"\2", _LINK.sub(r"\1", text)))


def _front_matter(lines: list[str]) -> tuple[int, str]:
    """How many lines the YAML or TOML header takes, and the title in it."""
    fence = lines[0].strip().lstrip("\ufeff")
    if fence not in ("---", "+++"):
        return 0, ""
    end = next((i for i in range(1, min(len(lines), 200)) if lines[i].strip() in (fence, "...")), None)
    if end is None or not all(_FIELD.match(line) or line[:1] in ("", " ", "-", "#", "[") for line in lines[1:end]):
        return 0, ""
    fields = [_FIELD.fullmatch(line) for line in lines[1:end]]
    title = next((field["value"] for field in fields if field and field["name"].lower() == "title"), "")
    return end + 1, clean_line(title.strip().strip("\"'"))


def _remove_unseen(lines: list[str], first: int, end: int, *, block: bool) -> None:
    """Blank what a reader of the rendered page does not see; the number of lines stays."""
    text = "\n".join(lines[first:end])
    if block and (_UNSEEN_BLOCK.match(text) or HIDING.search(text)):
        text = "\n" * text.count("\n")
    if "<!--" in text:
        text = _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), text)
    if "data:" in text:
        text = _INLINE_DATA.sub(lambda data: "()" + "\n" * data[0].count("\n"), text)
    lines[first:end] = text.split("\n")
