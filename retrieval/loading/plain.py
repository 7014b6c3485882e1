"""Plain text, reStructuredText and logs: paragraphs, underlined headings, question-answer pairs, line numbers."""

import re
from collections.abc import Collection

from retrieval.document import Document
from retrieval.loading.faq import LONGEST_QUESTION, stretches
from retrieval.loading.outline import Outline
from retrieval.loading.source import Source
from retrieval.loading.text import clean_line, decode

_UNDERLINE = re.compile(r"(?P<mark>[=\-~^\"'`#*+.:_])(?P=mark){2,}[ \t]*")
_LONGEST_TITLE = 120


def load_plain(source: Source) -> Document:
    lines = decode(source).split("\n")
    outline = Outline()
    levels: dict[str, int] = {}  # underline character to level, in the order of their first use (docutils' rule)
    start = 0
    if source.suffix != ".log":
        for below in range(1, len(lines)):
            if _is_title(lines, below):
                mark = lines[below][0]
                add_lines(outline, lines, start, below - 1 - _has_overline(lines, below))
                outline.enter(levels.setdefault(mark, len(levels) + 1), clean_line(lines[below - 1]), line=below)
                start = below + 1
    add_lines(outline, lines, start, len(lines))
    return Document(outline.first_heading, outline.finish())


def add_lines(outline: Outline, lines: list[str], start: int, end: int, code: Collection[int] = ()) -> None:
    """Lines [start, end) (from 0) as they stand, pairs of question and answer apart but for those in `code` lines."""
    for stretch in stretches(lines, start, end, code):
        if stretch.question is None or not stretch.text.strip():
            outline.add(stretch.text, line=stretch.start + 1)
        elif len(stretch.question) > LONGEST_QUESTION:
            outline.add(f"{stretch.question}\n{stretch.text}", line=stretch.start + 1)
        else:
            outline.add_pair(clean_line(stretch.question), stretch.text, line=stretch.start + 1)


def _is_title(lines: list[str], below: int) -> bool:
    underline, title = lines[below], lines[below - 1]
    return (
        bool(_UNDERLINE.fullmatch(underline))
        and 0 < len(title.rstrip()) <= min(len(underline.rstrip()) + 2, _LONGEST_TITLE)
        and not title[0].isspace()
        and any(letter.isalnum() for letter in title)
        and (below < 2 or not lines[below - 2].strip() or _has_overline(lines, below))
    )


def _has_overline(lines: list[str], below: int) -> bool:
    return below >= 2 and bool(_UNDERLINE.fullmatch(lines[below - 2])) and lines[below - 2][0] == lines[below][0]
