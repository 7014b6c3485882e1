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
# What stands where there is no figure. Any other word may be one ("unlimited", "20 to 30"), and then none is compared.
_LACKING = frozenset(
    {"", "-", "–", "—", "?", "none", "n/a", "na", "tbd", "tba", "unknown", "on request", "not available", "sold out"}
    | {"auf anfrage", "k.a.", "k. a.", "keine angabe", "unbekannt", "ausverkauft", "nicht verfügbar", "keine", "keiner"}
)
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


def is_figure(cell: str) -> bool:
    """Whether a cell is a number, with its unit or without."""
    return _CELL.fullmatch(cell.strip()) is not None


def column(cells: Sequence[str]) -> Column | None:
    """What the cells measure; None where they are not plainly numbers of one kind: units or currencies that differ.

    Half of them must be, and the others say that there is none. A point or comma before three digits is one of
    thousands only where that is sure.
    """
    read = [_CELL.fullmatch(cell.strip()) for cell in cells]
    found = [each for each in read if each is not None]
    if len(found) < 2 or 2 * len(found) < len(cells):
        return None
    units = [_unit(each) for each in found]
    kind = units[0][0]
    is_money = kind.startswith("money")
    has_thousandths = any((each["after"] or "").casefold() in _FINE for each in found)
    numbers = _numbers([each["number"] for each in found], is_money=is_money, has_thousandths=has_thousandths)
    others = {cell.strip().casefold() for cell, each in zip(cells, read, strict=True) if each is None}
    if numbers is None or any(each != kind for each, _ in units) or others - _LACKING - (_FREE if is_money else set()):
        return None
    sizes = iter([number * size for number, (_, size) in zip(numbers, units, strict=True)])
    return Column(
        tuple(
            next(sizes) if each is not None else 0.0 if cell.strip().casefold() in _FREE else None
            for each, cell in zip(read, cells, strict=True)
        ),
        "money" if is_money else kind,
    )


def _unit(cell: re.Match[str]) -> tuple[str, float]:
    """What kind of thing a cell counts, and how many of the smallest one is."""
    before, after = ((cell[part] or "").strip(" .+-−").casefold() for part in ("before", "after"))
    each = re.sub(r"^\s?(?:(?:per|an?|pro|je|im)\b|/)\s?", "/", (cell["each"] or "").casefold())
    if name := _CURRENCIES.get(before or after):  # behind the figure may stand what it is paid for: "€8 p.m.", "€1.2k"
        return f"money {name} {after if before else ''}{each}", 1.0
    for kind, sizes in _SCALES.items():
        for form in (after, after.removesuffix("n"), after.removesuffix("s")):
            if form in sizes:
                return f"{kind}{each}", sizes[form]
    return f"{after.removesuffix('s')}{each}", 1.0


_FINE = frozenset("kg km t l liter litre m³ kwh".split())  # "1,250 kg" is often 1250 g, and "1,280 g" never 1.28 g
_UNCLEAR = re.compile(r"[-+]?[1-9]\d{0,2}[.,]\d{3}")  # thousands, or three digits behind the point


def _numbers(written: Sequence[str], *, is_money: bool, has_thousandths: bool) -> list[float] | None:
    """The numbers that are written so in a column; None where "1.240" may be either, or the marks are mixed."""
    plain = [re.sub(r"[ '’\u00a0\u202f]", "", each).replace("−", "-") for each in written]
    points, groups, unclear = set[str](), set[str](), set[str]()
    for each in plain:
        marks = [mark for mark in each if mark in ".,"]
        if len(set(marks)) == 2:
            groups.add(marks[0])
            points.add(marks[-1])
        elif marks:
            (groups if len(marks) > 1 else unclear if _UNCLEAR.fullmatch(each) else points).add(marks[0])
    for mark in unclear - points - groups:
        if not (points or is_money or (mark == "," and not has_thousandths)):
            return None
        groups.add(mark)
    if len(points) > 1 or points & groups or len(groups) > 1:
        return None
    return [float(each.translate({ord(mark): None for mark in groups}).replace(",", ".")) for each in plain]
