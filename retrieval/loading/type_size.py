"""The headings of a PDF without an outline, by how they are set: larger than the text, or bold from end to end."""

import ctypes
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_LARGER = 1.12  # times the size of the text
_LONGEST = 120  # characters
_MOST = 0.4  # of all characters; with more of them, this is a poster or a form, and size says nothing
_LEVELS = 6
_BOLD = re.compile(rb"bold|black|heavy|demi", re.IGNORECASE)
_BOLD_WEIGHT = 600
# What ends as a sentence does, an entry of a list, and the dots of a table of contents.
_NO_HEADING = re.compile(r".*[.,;。]|\W*[•▪◦‣·*–-]\s.*|.*(?:\.\s*){4}.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Setting:
    """How a line is set. size: in points as shown."""

    size: float
    bold: bool


def settings(text_page: Any) -> Iterator[tuple[str, Setting]]:
    """Each line of a pdfium text page with how it is set: as its plainer end, where they differ."""
    import pypdfium2.raw as pdfium

    text = text_page.get_text_range()
    for found in re.finditer(r"\S[^\r\n]*", text):
        line = found[0].rstrip()
        ends = [
            _setting(text_page, pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, found.start() + at))
            for at in (0, len(line) - 1)
        ]
        yield line, Setting(min(end.size for end in ends), all(end.bold for end in ends))


def _setting(text_page: Any, index: int) -> Setting:
    import pypdfium2.raw as pdfium

    matrix, name = pdfium.FS_MATRIX(), ctypes.create_string_buffer(128)
    scale = 1.0
    if pdfium.FPDFText_GetMatrix(text_page, index, matrix):
        scale = math.hypot(matrix.c, matrix.d)
    pdfium.FPDFText_GetFontInfo(text_page, index, name, len(name), None)
    bold = pdfium.FPDFText_GetFontWeight(text_page, index) >= _BOLD_WEIGHT or _BOLD.search(name.value) is not None
    return Setting(round(pdfium.FPDFText_GetFontSize(text_page, index) * scale, 1), bold)


def headings(pages: Sequence[list[str]], seen: Mapping[str, Setting]) -> dict[int, list[tuple[int, str]]]:
    """Page number (from 1) to level and title of the headings on it. A heading over two lines is joined in `pages`."""
    weight = Counter[Setting]()
    for lines in pages:
        for line in lines:
            if line in seen:
                weight[seen[line]] += len(line)
    if not weight:
        return {}
    text = weight.most_common(1)[0][0]
    chosen = {line: how for line, how in seen.items() if _is_heading(line, how, text)}
    if sum(weight[how] for how in set(chosen.values())) > _MOST * weight.total():
        return {}
    ranks = sorted({(how.size, how.bold) for how in chosen.values()}, reverse=True)
    found: dict[int, list[tuple[int, str]]] = {}
    for number, lines in enumerate(pages, start=1):
        at = 0
        while at < len(lines):
            how = chosen.get(lines[at])
            while how is not None and at + 1 < len(lines) and chosen.get(lines[at + 1]) == how:
                lines[at : at + 2] = [f"{lines[at]} {lines[at + 1]}"]
            if how is not None:
                level = min(ranks.index((how.size, how.bold)) + 1, _LEVELS)
                found.setdefault(number, []).append((level, lines[at]))
            at += 1
    return found


def _is_heading(line: str, how: Setting, text: Setting) -> bool:
    stands_out = how.size >= _LARGER * text.size or (how.bold and not text.bold and how.size >= text.size)
    return stands_out and len(line) <= _LONGEST and any(map(str.isalpha, line)) and _NO_HEADING.fullmatch(line) is None
