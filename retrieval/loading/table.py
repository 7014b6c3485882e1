"""Rows of a sheet, a CSV file or a table in a document: each is a section that repeats the header's words."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from retrieval.document import Document, Section
from retrieval.loading.faq import LONGEST_QUESTION, pair_fields
from retrieval.loading.source import Source
from retrieval.loading.text import clean_line, decode

_DELIMITERS = ",;\t|"
_SNIFFED_LINES = 50
_LONGEST_CELL = 10_000_000
_LONGEST_LABEL = 60
_HEADER_WITHIN = 10  # rows: titles and notes may stand above the header
_NUMBER = re.compile(r"[-+(]?[^\w\s]?\s?\d[\d.,:/\s%-]*[^\w\s]?\)?")
_YEAR = re.compile(r"(?:19|20)\d\d")
_DATE = re.compile(r"(?:19|20)\d\d-\d\d(?:-\d\d)?")

_AS_LABEL = re.compile(r"; (?=[^:;\n]{1,60}: )")  # within a cell it would begin another one

# Line in the file or row in the sheet, from 1 (None where neither is known), and the cells as shown.
Row = tuple[int | None, list[str]]


def load_csv(source: Source) -> Document:
    text = decode(source)
    # Excel writes the line `sep=;` first, for itself.
    declared = re.match(r"sep=(.)\n", text)
    delimiter = declared[1] if declared else "\t" if source.suffix == ".tsv" else _delimiter_of(text)
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text[declared.end() :] if declared else text, newline=""), delimiter=delimiter)
    return Document("", tuple(sections_of(_numbered(reader, 1 if declared else 0))))


def _numbered(reader: Iterable[list[str]], skipped: int) -> Iterator[Row]:
    line = skipped + 1
    for cells in reader:
        yield line, [cell.strip() for cell in cells]
        line = skipped + 1 + getattr(reader, "line_num", 0)


def _delimiter_of(text: str) -> str:
    """The delimiter that cuts the first lines most evenly into most columns (csv.Sniffer can take minutes)."""
    lines = text[:100_000].split("\n")[:_SNIFFED_LINES]

    def evenness(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        width, times = Counter(widths).most_common(1)[0] if widths else (1, 0)
        return (times / len(widths), width) if width > 1 else (0.0, 1)

    return max(_DELIMITERS, key=evenness)


def sections_of(rows: Iterable[Row], heading: tuple[str, ...] = (), page: int | None = None) -> Iterator[Section]:
    """One whole section a row, `Header: value; ...`; a row with question and answer is a pair under its question."""
    above: list[Row] = []
    header: list[str] | None = None
    pair: tuple[int, int] | None = None
    for number, cells in rows:
        if not any(cells):
            continue
        if header is None:
            if _is_header(cells):
                header = cells
                pair = _pair_columns(cells)
                yield from (_row(number, cells, [], heading, page) for number, cells in above)
                continue
            above.append((number, cells))
            if len(above) < _HEADER_WITHIN and sum(map(bool, cells)) <= 1:
                continue  # a title above the table
            header = []
            yield from (_row(number, cells, [], heading, page) for number, cells in above)
            continue
        question, answer = (_cell(cells, pair[0]), _cell(cells, pair[1])) if pair else ("", "")
        if question and answer and len(question) <= LONGEST_QUESTION:
            yield Section(answer, (clean_line(question),), page, number, whole=True)
        else:
            yield _row(number, cells, header, heading, page)
    if header is None:
        yield from (_row(number, cells, [], heading, page) for number, cells in above)


def table_sections(
    rows: Sequence[Row], heading: tuple[str, ...], page: int | None, *, marked: bool
) -> Iterator[Section]:
    """One whole section a row of a document's table, under its heading path; none where it only arranges text.

    marked: whether the document says that the first row is the header. Where it does not, the left one of two columns
    is taken to label the right one ("Manager | Ada Lopez"), as often as not it does.
    """
    rows = [(line, cells) for line, cells in rows if any(cells)]
    if len(rows) < 2 or max(sum(map(bool, cells)) for _, cells in rows) < 2:
        return
    first = rows[0][1]
    pair = _pair_columns(first) if marked or _is_header(first) else None
    labelled = not marked and pair is None and all(len(cells) == 2 for _, cells in rows)
    header = first if not labelled and (marked or _is_header(first)) else []
    for line, cells in rows[bool(header) :]:
        question, answer = (_cell(cells, pair[0]), _cell(cells, pair[1])) if pair else ("", "")
        if question and answer and len(question) <= LONGEST_QUESTION:
            yield Section(answer, (*heading, clean_line(question)), page, line, whole=True)
        elif labelled and all(cells):
            yield Section(": ".join(cells), heading, page, line, whole=True)
        else:
            yield _row(line, cells, header, heading, page)


def as_text(rows: Sequence[Row]) -> str:
    """Rows as lines of text, their cells between bars."""
    return "\n".join(" | ".join(cell for cell in cells if cell) for _, cells in rows if any(cells))


def _row(
    number: int | None, cells: Sequence[str], header: Sequence[str], heading: tuple[str, ...], page: int | None
) -> Section:
    labels = [*header, *[""] * len(cells)]
    cells = [_AS_LABEL.sub(", ", cell) for cell in cells]
    shown = [f"{label}: {cell}" if label else cell for label, cell in zip(labels, cells, strict=False) if cell]
    return Section("; ".join(shown), heading, page, number, whole=True)


def _cell(cells: Sequence[str], column: int) -> str:
    return cells[column] if column < len(cells) else ""


def _pair_columns(header: Sequence[str]) -> tuple[int, int] | None:
    columns = {label: column for column, label in reversed(list(enumerate(header))) if label}
    fields = pair_fields(columns)
    return (columns[fields[0]], columns[fields[1]]) if fields else None


def _is_header(cells: Sequence[str]) -> bool:
    labels = [cell for cell in cells if cell]
    numbers = [label for label in labels if _NUMBER.fullmatch(label)]
    return (
        len(labels) >= 2
        and len(set(labels)) == len(labels)
        and all(len(label) <= _LONGEST_LABEL for label in labels)
        and (not numbers or _is_series(numbers))
        and not any(label.endswith((".", "?", "!", "。", "\uff1f")) for label in labels)
    )


def _is_series(labels: Sequence[str]) -> bool:
    """Whether numbers can stand in a header: years one after the other, or dates in order."""
    if len(labels) < 2:
        return False
    if all(map(_YEAR.fullmatch, labels)):
        steps = {int(after) - int(before) for before, after in pairwise(labels)}
        return steps in ({1}, {-1})
    in_order = sorted(labels)
    return all(map(_DATE.fullmatch, labels)) and list(labels) in (in_order, in_order[::-1])
