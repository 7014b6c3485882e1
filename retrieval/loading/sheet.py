"""Excel workbooks: each row of each visible sheet, its values written as Excel shows them, dates in ISO 8601."""

import datetime as dt
import io
import re
from collections.abc import Iterator
from typing import Any

from retrieval.document import Document, Section
from retrieval.loading.office import check_office
from retrieval.loading.source import Source
from retrieval.loading.table import Row, sections_of
from retrieval.loading.text import clean_line

_LITERAL = re.compile(r'"([^"]*)"|\\(.)|\[\$([^\]-]*)[^\]]*\]|[*_].|\[[^\]]*\]')
_DIGITS = re.compile(r"[#0?][#0?,.]*")
_LONGEST = 255  # characters of a format, as many as Excel takes ([MS-XLS] 2.4.126)
_CURRENCIES = "$€£¥₹₽₩₺₴₫฿"


def load_xlsx(source: Source) -> Document:
    import openpyxl

    check_office(source)
    workbook = openpyxl.load_workbook(io.BytesIO(source.content), read_only=True, data_only=True, keep_links=False)
    sections: list[Section] = []
    for number, sheet in enumerate(workbook.worksheets, start=1):
        if sheet.sheet_state == "visible":
            # Some programs write a wrong extent; without it the rows that are there are read.
            sheet.reset_dimensions()
            sections.extend(sections_of(_rows(sheet), (clean_line(sheet.title),), number))
    return Document("", tuple(sections))


def _rows(sheet: Any) -> Iterator[Row]:
    for number, row in enumerate(sheet.iter_rows(), start=1):
        if row:
            yield number, [shown(cell.value, cell.number_format) if cell.value is not None else "" for cell in row]


def shown(value: object, number_format: str) -> str:
    """A cell as people see it: 0.125 under `0.0%` is 12.5%, 1234.5 under `#,##0.00 €` is 1,234.50 €."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return _number(value, number_format)
    if isinstance(value, dt.datetime):
        midnight = value.time() == dt.time()
        return (
            value.date().isoformat() if midnight else value.isoformat(" ", "minutes" if not value.second else "seconds")
        )
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dt.time):
        return value.isoformat("minutes" if not value.second else "seconds")
    return str(value).strip()


def _number(value: float, number_format: str) -> str:
    pattern = number_format[:_LONGEST].split(";", maxsplit=1)[0]
    bare = _LITERAL.sub("", pattern)
    digits = _DIGITS.search(bare)
    if pattern in ("General", "@", "") or digits is None or "/" in bare or "e" in bare.lower():
        return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:.10g}"
    whole, _, fraction = digits[0].partition(".")
    places = len(fraction.rstrip(","))
    percent = "%" in bare
    scaled = value * 100 if percent else value
    amount = f"{abs(scaled):{',' if ',' in whole else ''}.{places}f}"
    if not percent and places == 0 and whole.strip("0") == "" and len(whole) > 1:
        amount = amount.zfill(len(whole))  # a number such as an article's, 00042
    before, after = _symbol(pattern)
    sign = "-" if scaled < 0 and amount.strip("0.,") else ""
    return f"{sign}{before}{amount}{'%' if percent else ''}{after}"


def _symbol(pattern: str) -> tuple[str, str]:
    """Currency or unit before and after the digits."""
    digits = _DIGITS.search(_LITERAL.sub(lambda match: " " * len(match[0]), pattern))
    position = digits.start() if digits else 0

    def words(part: str) -> str:
        literal = "".join(a or b or c for a, b, c in _LITERAL.findall(part))
        return literal or "".join(letter for letter in part if letter in _CURRENCIES)

    before, after = words(pattern[:position]).strip(), words(pattern[position:]).strip()
    return before + (" " if before.isalpha() else ""), f" {after}" if after else ""
