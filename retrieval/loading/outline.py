"""Text under headings: loaders say what comes next, this keeps the heading path."""

from collections.abc import Sequence
from dataclasses import replace

from retrieval.document import Section
from retrieval.loading.table import Row, as_text, table_sections


class Outline:
    """Collects sections in reading order.

    A heading with neither text nor headings below it becomes text of its parent: a fact may stand in a heading alone.
    """

    def __init__(self) -> None:
        self._path: list[tuple[int, str]] = []  # level (1 outermost) and title of the headings that are open
        self._blocks: list[str] = []
        self._place: tuple[int | None, int | None] = (None, None)  # page and line where the first block stands
        self._childless: tuple[int | None, int | None] | None = None  # place of the last heading, until it has content
        self._sections: list[Section] = []
        self.first_heading = ""  # the first of the outermost level

    def enter(self, level: int, title: str, *, page: int | None = None, line: int | None = None) -> None:
        """A heading: what follows stands under it. A heading without words is none."""
        title = " ".join(title.split())
        if not title:
            return
        self._flush()
        if self._childless is not None and self._path and level <= self._path[-1][0]:
            self._keep_childless()
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        self._path.append((level, title))
        self._childless = (page, line)
        if level <= 1 and not self.first_heading:
            self.first_heading = title

    def add(self, block: str, *, page: int | None = None, line: int | None = None, tight: bool = False) -> None:
        """A paragraph, list item, table or longer stretch under the open heading.

        Another page begins a section, and so does a block with a line, as the lines between would be missing.
        tight: no empty line before it, as between the items of a list.
        """
        if not block.strip():
            return
        if self._blocks and (page != self._place[0] or line is not None):
            self._flush()
        if not self._blocks:
            self._place = (page, line)
        else:
            self._blocks.append("\n" if tight else "\n\n")
        self._blocks.append(block)
        self._childless = None

    def add_pair(self, question: str, answer: str, *, line: int | None = None) -> None:
        """A question and its answer, kept whole under the open heading."""
        self._flush()
        self._childless = None
        path = tuple(title for _, title in self._path)
        self._sections.append(Section(answer, (*path, question), None, line, whole=True))

    def add_table(self, rows: Sequence[Row], *, page: int | None = None, marked: bool = False) -> None:
        """A table: each row whole, or as text where it only arranges some. marked: the first row is surely a header."""
        path = tuple(title for _, title in self._path)
        sections = list(table_sections(rows, path, page, marked=marked))
        if not sections:
            self.add(as_text(rows), page=page, line=rows[0][0] if rows else None)
            return
        self._flush()
        self._childless = None
        self._sections += sections

    def finish(self, title: str = "") -> tuple[Section, ...]:
        """All sections. `title` leads each path, but where the first heading says the same."""
        self._flush()
        if self._childless is not None and self._path:
            self._keep_childless()
        return tuple(_under(title, section) if title else section for section in self._sections)

    def _flush(self) -> None:
        if self._blocks:
            page, line = self._place
            path = tuple(title for _, title in self._path)
            self._sections.append(Section("".join(self._blocks), path, page, line))
            self._blocks = []

    def _keep_childless(self) -> None:
        page, line = self._childless or (None, None)
        *path, title = (title for _, title in self._path)
        self._sections.append(Section(title, tuple(path), page, line))
        self._childless = None


def _under(title: str, section: Section) -> Section:
    first = section.heading[0].casefold() if section.heading else ""
    if first and (first in title.casefold() or title.casefold() in first):  # "Refunds" under "Refunds | Acme Help"
        return section
    return replace(section, heading=(title, *section.heading))
