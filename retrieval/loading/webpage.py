"""HTML: what a browser would show, under its headings; tables as rows."""

import re
from dataclasses import dataclass
from typing import Any

from retrieval.document import Document
from retrieval.loading.outline import Outline
from retrieval.loading.source import Source
from retrieval.loading.table import Row
from retrieval.loading.text import clean_line, decode

HIDING = re.compile(
    # Possessive: a style of thousands of zeros or spaces is read once.
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*(?:0++(?:\.0++)?|\.0++)\s*+(?:[;\"'!]|$)"
    r"|font-size\s*:\s*(?:0++(?:\.0++)?|\.0++)\s*+[a-z%]*+\s*+(?:[;\"'!]|$)",
    re.IGNORECASE,
)
_SPACE = re.compile(r"\s+")
_DECLARED = re.compile(
    rb"<(?:meta\b[^>]{0,200}?charset|\?xml\b[^>]{0,100}?encoding)\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE
)
_UNSEEN = {
    "script", "style", "nav", "template", "noscript", "head", "svg", "math", "iframe", "object", "embed",
    "applet", "canvas", "audio", "video", "map", "button", "select", "textarea", "input", "dialog", "datalist",
    "meta", "link"
}  # fmt: skip
_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "html", "legend", "li",
    "main", "ol", "p", "pre", "section", "summary", "table", "tbody", "tfoot", "thead", "title", "tr", "ul"
}  # fmt: skip
_MOST_SPANNED = 100  # columns or rows of one cell
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


def load_html(source: Source) -> Document:
    from lxml import html

    declared = _DECLARED.search(source.content[:2048])
    text = decode(source, declared[1].decode("ascii") if declared else None)
    # huge_tree raises libxml2's limit from 256 levels to 2048; below the limit it silently drops the rest of the page.
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True, huge_tree=True)
    root = html.document_fromstring(text.encode("utf-8", errors="replace"), parser=parser)
    if any("depth" in entry.message for entry in parser.error_log):
        raise source.unreadable("is nested too deeply to be read.")
    title = clean_line(root.findtext(".//title") or "")
    page = _Page()
    page.read(root)
    return Document(title or page.outline.first_heading, page.outline.finish(title))


@dataclass(frozen=True, slots=True)
class _Cell:
    """Of a table. columns, rows: how many it reaches over."""

    text: str
    columns: int
    rows: int
    is_label: bool


class _Page:
    """Gathers running text until a block ends. One walk over all events, as nesting may be deeper than any stack."""

    def __init__(self) -> None:
        self.outline = Outline()
        self._text: list[str] = []
        self._prefix = ""
        self._in_list = False  # whether the last block was a list item
        self._preformatted = 0
        self._rows: list[list[_Cell]] = []  # of the outermost open table
        self._cells: list[_Cell] = []
        self._tables = 0

    def read(self, root: Any) -> None:
        from lxml import etree

        hidden: Any = None
        for event, element in etree.iterwalk(root, events=("start", "end")):
            tag = element.tag if isinstance(element.tag, str) else ""
            if hidden is not None:
                if event == "end" and element is hidden:
                    hidden = None
                    self._say(element.tail)
                continue
            if event == "start":
                if tag in _UNSEEN or _is_hidden(element):
                    hidden = element
                    self._break_before(tag)
                    continue
                self._start(tag)
                self._say(element.text)
            else:
                self._end(element, tag)
                if element is not root:
                    self._say(element.tail)
        self._end_block()

    def _say(self, text: str | None) -> None:
        if text:
            self._text.append(text if self._preformatted else _SPACE.sub(" ", text))

    def _break_before(self, tag: str) -> None:
        if self._tables == 0 and (tag in _BLOCKS or tag in _HEADINGS):
            self._end_block()
        elif tag in _BLOCKS or tag == "br":
            self._text.append(" ")

    def _start(self, tag: str) -> None:
        self._break_before(tag)
        if tag == "table":
            if self._tables == 0:
                self._rows, self._cells = [], []
            self._tables += 1
        elif tag in ("td", "th", "caption") and self._tables == 1:
            self._text = []
        elif tag == "li" and self._tables == 0:
            self._prefix = "- "
        elif tag == "pre":
            self._preformatted += 1
        elif tag == "br" and self._tables == 0:
            self._text.append("\n")

    def _end(self, element: Any, tag: str) -> None:
        if self._tables:
            self._end_in_table(element, tag)
        elif tag in _HEADINGS:
            self.outline.enter(_HEADINGS[tag], clean_line("".join(self._text)))
            self._text = []
        elif tag in _BLOCKS:
            self._end_block()
        if tag == "pre":
            self._preformatted = max(0, self._preformatted - 1)

    def _end_in_table(self, element: Any, tag: str) -> None:
        if tag in ("td", "th", "caption") and self._tables == 1:
            self._end_cell(_span(element, "colspan"), _span(element, "rowspan"), is_label=tag == "th")
        if tag in ("tr", "caption") and self._tables == 1:
            self._end_row()
        elif tag == "table":
            self._tables -= 1
            if self._tables == 0:
                self._end_row()
                marked = bool(self._rows) and all(cell.is_label for cell in self._rows[0])
                self.outline.add_table(_laid_out(self._rows), marked=marked)

    def _end_cell(self, columns: int, rows: int, *, is_label: bool) -> None:
        self._cells.append(_Cell(clean_line("".join(self._text)), columns, rows, is_label))
        self._text = []

    def _end_row(self) -> None:
        if any(not part.isspace() for part in self._text):  # text outside of any cell
            self._end_cell(1, 1, is_label=False)
        if any(cell.text for cell in self._cells):
            self._rows.append(self._cells)
        self._cells, self._text = [], []

    def _end_block(self) -> None:
        text = "".join(self._text)
        self._text = []
        if not text or text.isspace():
            return
        if self._preformatted:
            text = text.strip("\n")
        else:  # HTML joins white space; the line breaks left are those of <br>
            text = "\n".join(" ".join(line.split()) for line in text.split("\n")).strip()
        self.outline.add(self._prefix + text, tight=self._in_list and bool(self._prefix))
        self._in_list, self._prefix = bool(self._prefix), ""


def _laid_out(table: list[list[_Cell]]) -> list[Row]:
    """The rows by column: a cell over several columns stands in the first of them, one over several rows in each."""
    rows: list[Row] = []
    reaching: dict[int, tuple[str, int]] = {}  # column to the text that reaches into it, and for how many rows
    for row in table:
        cells: list[tuple[str, int]] = []
        for cell in [*row, None]:
            while len(cells) in reaching:
                cells.append(reaching[len(cells)])
            if cell is not None:
                cells += [(cell.text, cell.rows), *[("", cell.rows)] * (cell.columns - 1)]
        rows.append((None, [text for text, _ in cells]))
        reaching = {column: (text, more - 1) for column, (text, more) in enumerate(cells) if more > 1}
    return rows


def _span(element: Any, name: str) -> int:
    value = element.get(name, "").strip()
    return max(1, min(int(value), _MOST_SPANNED)) if value.isascii() and value.isdecimal() and len(value) < 6 else 1


def _is_hidden(element: Any) -> bool:
    if not element.attrib:
        return False
    if "hidden" in element.attrib or element.get("aria-hidden", "").lower() == "true":
        return True
    if element.get("role", "").lower() == "navigation":
        return True
    return bool(HIDING.search(element.get("style", "")))
