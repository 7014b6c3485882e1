"""What loaders read and the splitter cuts: documents, their sections, and chunks.

Without numpy, so that the process which reads strangers' files starts in half the time.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of a document under one heading, as a loader read it.

    heading: path from the title down, outermost first. page: 1-based page, slide or sheet row where there is one, else
    None. line: 1-based line of the first character in a text file, else None. whole: never split or joined with others
    (a FAQ pair, a table row, a JSONL record).
    """

    text: str
    heading: tuple[str, ...] = ()
    page: int | None = None
    line: int | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """What a loader made of one file: its sections in reading order, and its title if it states one."""

    title: str
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the splitter cuts: text of at most the token budget, with its heading path and place."""

    text: str
    heading: tuple[str, ...]
    page: int | None
    line: int | None

    @property
    def encoded_text(self) -> str:
        """What is encoded and indexed: the heading path leads (an FAQ answer alone loses a fifth of its recall)."""
        return f"{' > '.join(self.heading)}\n{self.text}" if self.heading else self.text
