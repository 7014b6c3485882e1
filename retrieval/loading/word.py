"""Word documents: paragraphs, lists, tables and notes in document order under their heading styles."""

import io
from collections.abc import Iterator
from typing import Any

from retrieval.document import Document
from retrieval.loading.office import check_office
from retrieval.loading.outline import Outline
from retrieval.loading.source import Source
from retrieval.loading.table import Row
from retrieval.loading.text import clean_line

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_NOTES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
_WRAPPERS = {f"{_W}{tag}" for tag in ("sdt", "sdtContent", "ins", "moveTo", "smartTag", "customXml")}
_UNSEEN = {_FALLBACK, *(f"{_W}{tag}" for tag in ("del", "moveFrom", "pPr", "rPr", "sdtPr"))}
_AS_TEXT = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_MOST_COLUMNS = 1000  # that a cell may say it spans
_TITLE, _LIST = 0, -1  # what a style may stand for beside the heading levels from 1


def load_docx(source: Source) -> Document:
    import docx

    check_office(source)
    opened = docx.Document(io.BytesIO(source.content))
    styles = _styles(opened)
    notes = _notes(opened)
    outline = Outline()
    for block in _blocks(opened.element.body):
        if block.tag == f"{_W}tbl":
            outline.add_table(_rows(block), marked=_has_header(block))
            continue
        text = _text(block, notes)
        kind = _kind(block, styles)
        if kind is not None and kind >= _TITLE:
            outline.enter(kind, clean_line(text))
        elif kind == _LIST and text:
            outline.add(f"- {text}", tight=True)
        else:
            outline.add(text)
    title = outline.first_heading or clean_line(opened.core_properties.title or "")
    return Document(title, outline.finish())


def _blocks(parent: Any) -> Iterator[Any]:
    """Paragraphs and tables in order, also those in content controls and tracked insertions."""
    for child in parent:
        if child.tag in (f"{_W}p", f"{_W}tbl"):
            yield child
        elif child.tag in _WRAPPERS:
            yield from _blocks(child)


def _rows(table: Any) -> list[Row]:
    """The rows by column: a cell over several columns stands in the first of them, one over several rows in each."""
    rows: list[Row] = []
    for row in _children(table, "tr"):
        cells: list[str] = []
        for cell in _children(row, "tc"):
            properties = cell.find(f"{_W}tcPr")
            span = properties.find(f"{_W}gridSpan") if properties is not None else None
            merge = properties.find(f"{_W}vMerge") if properties is not None else None
            text = " ".join(_text(cell, {}).split())
            if merge is not None and _value(merge) != "restart" and rows:
                text = text or "".join(rows[-1][1][len(cells) : len(cells) + 1])
            wide = int(_value(span) or 1) if (_value(span) or "1").isdecimal() else 1
            cells += [text, *[""] * (min(wide, _MOST_COLUMNS) - 1)]
        rows.append((None, cells))
    return rows


def _has_header(table: Any) -> bool:
    """Whether the first row is marked to be repeated on each page, or is bold and the second is not."""
    first, second = [*_children(table, "tr"), None, None][:2]
    properties = first.find(f"{_W}trPr") if first is not None else None
    if properties is not None and _is_on(properties.find(f"{_W}tblHeader")):
        return True
    return first is not None and second is not None and _is_bold(first) and not _is_bold(second)


def _is_bold(row: Any) -> bool:
    runs = [run for run in row.iter(f"{_W}r") if run.find(f"{_W}t") is not None]
    marks = [run.find(f"{_W}rPr") for run in runs]
    return bool(runs) and all(mark is not None and _is_on(mark.find(f"{_W}b")) for mark in marks)


def _children(parent: Any, tag: str) -> Iterator[Any]:
    for child in parent:
        if child.tag == f"{_W}{tag}":
            yield child
        elif child.tag in _WRAPPERS:
            yield from _children(child, tag)


def _text(element: Any, notes: dict[str, str]) -> str:
    """What is seen of a paragraph or cell: no deletions, no hidden runs; text boxes once; its notes at the end."""
    from lxml import etree

    said: list[str] = []
    noted: list[str] = []
    walker = etree.iterwalk(element, events=("start", "end"))
    for event, inner in walker:
        tag = inner.tag
        if event == "end":
            if tag == f"{_W}p" and inner is not element:
                said.append("\n")
        elif tag in _UNSEEN or (tag == f"{_W}r" and _is_hidden(inner)):
            walker.skip_subtree()
        elif tag == f"{_W}t":
            said.append(inner.text or "")
        elif tag in _AS_TEXT:
            said.append(_AS_TEXT[tag])
        elif tag in (f"{_W}footnoteReference", f"{_W}endnoteReference"):
            noted.append(notes.get(f"{tag}{inner.get(f'{_W}id')}", ""))
    text = "".join(said).strip()
    return "\n".join([text, *(f"({note})" for note in noted if note)]) if noted else text


def _is_hidden(run: Any) -> bool:
    properties = run.find(f"{_W}rPr")
    return properties is not None and _is_on(properties.find(f"{_W}vanish"))


def _is_on(switch: Any) -> bool:
    return switch is not None and switch.get(f"{_W}val") not in ("0", "false", "off")


def _notes(opened: Any) -> dict[str, str]:
    """Text of footnotes and endnotes by the tag and id of their reference."""
    from docx.oxml.parser import parse_xml

    texts: dict[str, str] = {}
    for relation in opened.part.rels.values():
        for kind in ("footnote", "endnote"):
            if relation.reltype == f"{_NOTES}{kind}s" and not relation.is_external:
                for note in parse_xml(relation.target_part.blob).iterfind(f"{_W}{kind}"):
                    texts[f"{_W}{kind}Reference{note.get(f'{_W}id')}"] = clean_line(_text(note, {}))
    return texts


def _styles(opened: Any) -> dict[str, int]:
    """Style id to heading level, title or list. A style without its own answer has that of the style it is based on."""
    elements = {style.get(f"{_W}styleId"): style for style in opened.styles.element.iterfind(f"{_W}style")}

    def kind_of(style: Any) -> int | None:
        for _ in range(20):  # a chain of styles; hostile ones run in a circle
            if style is None:
                return None
            name = (_value(style.find(f"{_W}name")) or "").lower()
            if name == "title":
                return _TITLE
            if name.startswith("heading ") and name[8:].isdecimal():
                return min(max(int(name[8:]), 1), 9)
            if name.startswith("list ") and "continue" not in name:
                return _LIST
            properties = style.find(f"{_W}pPr")
            level = _outline_level(properties)
            if level is not None:
                return level
            style = elements.get(_value(style.find(f"{_W}basedOn")))
        return None

    kinds = {identifier: kind_of(style) for identifier, style in elements.items()}
    return {identifier: kind for identifier, kind in kinds.items() if kind is not None}


def _kind(paragraph: Any, styles: dict[str, int]) -> int | None:
    properties = paragraph.find(f"{_W}pPr")
    if properties is None:
        return None
    level = _outline_level(properties)
    if level is not None:
        return level
    kind = styles.get(_value(properties.find(f"{_W}pStyle")) or "")
    return _LIST if kind is None and properties.find(f"{_W}numPr") is not None else kind


def _outline_level(properties: Any) -> int | None:
    value = _value(properties.find(f"{_W}outlineLvl")) if properties is not None else None
    return int(value) + 1 if value is not None and value.isdecimal() and int(value) < 9 else None


def _value(element: Any) -> str | None:
    value: str | None = element.get(f"{_W}val") if element is not None else None
    return value
