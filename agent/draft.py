"""A reply as it grows: cleaned, its citations numbered in the order in which they are first read."""

import re
from collections.abc import Collection, Iterator
from dataclasses import replace

from agent.generation.generator import Piece
from agent.guard import StreamCleaner, clean
from agent.message import Claim, Source
from agent.prompt import Citations
from retrieval.passage import Passage

UNLINKED = "Addresses are shown so that they cannot be clicked, until the setting `allowed_links` names their hosts."
_BROKEN = re.compile(r"(?<![\w-])[\w-]+(?:\[\.\][\w-]+)+")


class Draft:
    """The reply as it grows: cleaned, its citations numbered in the order in which they are first read."""

    def __init__(self, passages: tuple[Passage, ...], allowed_links: Collection[str]) -> None:
        self._passages = passages
        self._allowed_links = allowed_links
        self.notice = ""
        self.by = ""  # the generator that stood in, if one did
        self._start_over()

    def _start_over(self) -> None:
        self._cleaner = StreamCleaner(allowed_links=self._allowed_links)
        self._citations = Citations(self._passages)
        self.text = ""
        self.claims: list[Claim] = []

    def take(self, piece: Piece) -> Iterator[Piece]:
        """What may be shown now that `piece` has come."""
        if piece.replaces:
            self._start_over()
        self.by = piece.by or self.by
        links = self._allowed_links
        self.claims += [
            replace(each, text=clean(each.text, allowed_links=links), lacks=clean(each.lacks)) for each in piece.claims
        ]
        self.notice = clean(piece.notice) or self.notice
        shown = self._citations.renumber(self._cleaner.feed(piece.text))
        self.text += shown
        if shown or piece.replaces:
            yield Piece(shown, piece.replaces, piece.notice)

    def finish(self) -> Piece | None:
        """What was held back until the end, if anything."""
        shown = self._citations.renumber(self._cleaner.finish())
        self.text += shown
        return Piece(shown) if shown else None

    @property
    def named(self) -> frozenset[str]:
        """The documents that the reply cites."""
        cited = {source.passage for source in self._citations.sources}
        return frozenset(passage.source for passage in self._passages if passage.id in cited)

    @property
    def unlinked(self) -> str:
        """Said where an address of a document stands in the reply so that it cannot be clicked."""
        broken = {found[0].replace("[.]", ".") for found in _BROKEN.finditer(self.text)} if "[.]" in self.text else ()
        return UNLINKED if any(host in passage.text for host in broken for passage in self._passages) else ""

    def add(self, sentence: str) -> Piece:
        """Words of our own after a reply; none where there are none."""
        shown = f"\n\n{sentence}" if sentence else ""
        self.text += shown
        return Piece(shown)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Labels hold headings and file names, which are as little to be trusted as the text."""
        return tuple(
            replace(source, label=clean(source.label, allowed_links=self._allowed_links))
            for source in self._citations.sources
        )
