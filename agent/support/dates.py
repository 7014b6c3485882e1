"""The day that a document gives itself: in its name, in a heading, or in a line that says so. Pure.

A year in running text dates what is told there, not the document; so only words like "last updated" or "Stand" before a
day count there.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

_NAMED = re.compile(
    r"(?<!\d)(?P<year>20\d\d|19\d\d)(?:[-_.](?P<month>0[1-9]|1[0-2])(?:[-_.](?P<day>0[1-9]|[12]\d|3[01]))?)?(?!\d)"
)
_MONTHS = (
    ("jan",), ("feb",), ("mar", "mär"), ("apr",), ("may", "mai"), ("jun",), ("jul",), ("aug",), ("sep",),
    ("oct", "okt"), ("nov",), ("dec", "dez"),
)  # fmt: skip
_MONTH_OF = {name: number for number, names in enumerate(_MONTHS, 1) for name in names}
_MONTH = rf"(?P<month>{'|'.join(_MONTH_OF)})\w*\.?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?"
_SAYS = (
    r"(?:last[ -])?(?:updated?|changed|reviewed|revised|modified|edited)|revision|version|valid|effective"
    r"|in (?:effect|force)|applies|as of|dated?|published|issued|created"
    r"|stand|geändert|aktualisiert|überarbeitet|gültig|gilt|in kraft|datum|fassung|veröffentlicht|zuletzt \w+"
)
_STATED = tuple(
    re.compile(rf"(?i)(?:^|[\n(*_|]|[.;]\s)\W{{0,6}}(?:{_SAYS})\b(?:\W|\b(?:on|from|since|of|as|at|the|by|in|ab|seit|am|vom|zum)\b){{0,12}}{shape}")
    for shape in (
        r"(?P<year>(?:19|20)\d\d)[-./](?P<month>\d{1,2})(?:[-./](?P<day>\d{1,2}))?(?!\d)",
        rf"(?P<day>\d{{1,2}})\.\s?(?P<month>\d{{1,2}})\.\s?{_YEAR}",
        rf"(?:{_DAY} )?{_MONTH},? {_YEAR}",
        rf"{_MONTH} {_DAY},? {_YEAR}",
        _YEAR + r"(?![-./\d])",
    )
)  # fmt: skip


def stated(source: str, heading: str, texts: Sequence[str] = ()) -> datetime | None:
    """The day in a document's name or heading, else the first that one of its texts gives it; None where none does.

    A month or a year alone stands for its first day, but where a text says which day of the year in the name it is.
    """
    named = next((found[-1] for text in (source, heading) if (found := list(_NAMED.finditer(text)))), None)
    day = _said(texts) if named is None or named["month"] is None else None
    return day if named is None or (day is not None and day.year == int(named["year"])) else _moment(named)


def _said(texts: Sequence[str]) -> datetime | None:
    for text in texts:
        for shape in _STATED:
            if (said := shape.search(text)) is not None and (day := _moment(said)) is not None:
                return day
    return None


def _moment(found: re.Match[str]) -> datetime | None:
    parts = found.groupdict()
    month = (parts.get("month") or "1").lower()
    number = int(month) if month.isdigit() else _MONTH_OF[month]
    try:
        return datetime(int(parts["year"]), number, int(parts.get("day") or 1), tzinfo=UTC)
    except ValueError:  # 2024-02-31
        return None
