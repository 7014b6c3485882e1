"""What the cells of a table's column measure, where all of it is of one kind: "€1,240", "3 days", "12,5 %". Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = r"[-−+]?(?:\d{1,3}(?:[.,'’\u00a0\u202f ]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d+)?)"
_CELL = re.compile(
    rf"(?:(?:ca|approx|about|etwa|rund|from|ab)\.?\s*)?(?P<before>[€$£¥]|EUR|USD|GBP|CHF|)\s?(?P<number>{_NUMBER})(?P<zeros>,-|\.-|,–)?"
    r"\s?(?P<after>[^\W\d][\w./²³]{0,14}|[%°€$£¥]{1,2}C?)?(?P<each>\s?(?:per|a|an|pro|je|im|/)\s?\w+)?\.?",
    re.IGNORECASE,
)
_FREE = frozenset("free gratis kostenlos kostenfrei umsonst included inklusive".split())
_CURRENCIES = {"€": "eur", "euro": "eur", "euros": "eur", "$": "usd", "dollar": "usd", "dollars": "usd", "£": "gbp"}
_CURRENCIES |= {"pounds": "gbp", "¥": "jpy", "eur": "eur", "usd": "usd", "gbp": "gbp", "chf": "chf", "fr": "chf"}
_MINUTES: dict[str, float] = {
    "s": 1 / 60,
    "sec": 1 / 60,
    "min": 1,
    "minute": 1,
    "minuten": 1,
    "h": 60,
    "hour": 60,
    "hr": 60,
    "std": 60,
}
_MINUTES |= {"stunde": 60, "stunden": 60, "day": 1440, "tag": 1440, "tage": 1440, "week": 10080, "woche": 10080}
_MINUTES |= {"wochen": 10080}
_MONTHS: dict[str, float] = {
    "month": 1,
    "monat": 1,
    "monate": 1,
    "year": 12,
    "jahr": 12,
    "jahre": 12,
}  # no number of days
_GRAMS: dict[str, float] = {"mg": 0.001, "g": 1, "gram": 1, "gramm": 1, "kg": 1000, "kilo": 1000, "t": 1e6}
_METRES: dict[str, float] = {"mm": 0.001, "cm": 0.01, "m": 1, "metre": 1, "meter": 1, "km": 1000}
_BYTES: dict[str, float] = {"kb": 1e-3, "mb": 1, "gb": 1e3, "tb": 1e6}
_SCALES: dict[str, dict[str, float]] = {
    "time": _MINUTES,
    "months": _MONTHS,
    "weight": _GRAMS,
    "length": _METRES,
    "bytes": _BYTES,
}


@dataclass(frozen=True, slots=True)
class Column:
    """values: a number for each cell in one unit, None where a cell has none. kind: `money`, `time`, …, or the unit."""

    values: tuple[float | None, ...]
    kind: str


def column(cells: Sequence[str]) -> Column | None:
    """What the cells measure; None where they are not plainly numbers of one kind: units or currencies that differ.

    Half of them must be. A point or comma before three digits is one of thousands only where that is sure.
    """
    read = [_CELL.fullmatch(cell.strip()) for cell in cells]
    found = [each for each in read if each is not None]
    if len(found) < 2 or 2 * len(found) < len(cells):
        return None
    units = {_unit(each) for each in found} - {("", 1.0)}
    kinds = {kind for kind, _ in units}
    if len(kinds) > 1 or (kinds and any(_unit(each) == ("", 1.0) for each in found)):
        return None
    kind = next(iter(kinds), "")
    is_money = kind.startswith("money")
    numbers = [_value(each["number"], [other["number"] for other in found], is_money=is_money) for each in found]
    if any(number is None for number in numbers):
        return None
    sizes = iter([number * _unit(each)[1] for number, each in zip(numbers, found, strict=True) if number is not None])
    return Column(
        tuple(
            next(sizes) if each is not None else 0.0 if is_money and cell.strip().casefold() in _FREE else None
            for each, cell in zip(read, cells, strict=True)
        ),
        "money" if is_money else kind,
    )


def _unit(cell: re.Match[str]) -> tuple[str, float]:
    """What kind of thing a cell counts, and how many of the smallest one is."""
    names = [name for part in ("before", "after") if (name := (cell[part] or "").strip(" .+-−").casefold())]
    if not names:
        return "", 1.0
    name = names[0]
    if name in _CURRENCIES:
        return f"money {_CURRENCIES[name]}{(cell['each'] or '').casefold()}", 1.0
    for kind, sizes in _SCALES.items():
        for form in (name, name.removesuffix("n"), name.removesuffix("s")):
            if form in sizes:
                return kind, sizes[form]
    return f"{name.removesuffix('s')}{(cell['each'] or '').casefold()}", 1.0


def _value(number: str, others: Sequence[str], *, is_money: bool) -> float | None:
    """The number that is written so; None where "1.240" may be either."""
    plain = re.sub(r"[ '’\u00a0\u202f]", "", number).replace("−", "-")
    marks = [mark for mark in plain if mark in ".,"]
    if len(set(marks)) == 2:  # the last one is the decimal point
        thousands = marks[0]
        return float(plain.replace(thousands, "").replace(",", "."))
    if not marks:
        return float(plain)
    mark = marks[0]
    is_grouped = re.fullmatch(rf"[-+]?\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+", plain) is not None
    if len(marks) > 1 or (is_grouped and (is_money or _groups(others, mark))):
        return float(plain.replace(mark, ""))
    return None if is_grouped and mark == "." and not _points(others, mark) else float(plain.replace(",", "."))


def _groups(numbers: Sequence[str], mark: str) -> bool:
    """Whether a mark groups thousands in a column: a comma that is never followed by anything but three digits."""
    return mark == "," and all(len(part) == 3 for each in numbers for part in each.split(mark)[1:])


def _points(numbers: Sequence[str], mark: str) -> bool:
    """Whether a mark is the decimal point elsewhere in a column."""
    return any(len(part) != 3 for each in numbers for part in each.split(mark)[1:])
