"""A board as it is looked at: groups, duplicates, figures, result, the map as a picture, and the record to export."""

from dataclasses import dataclass

import numpy as np

from agent.ideation.board import Board, Idea
from agent.ideation.export import Naming, Record, someone
from agent.ideation.groups import FEWEST, Duplicate, Group, duplicates, grouped
from agent.ideation.labels import counted, decimal, label
from agent.ideation.layout import layout
from agent.ideation.measures import Figures, figures
from agent.ideation.picture import Mark, draw_map
from agent.ideation.tally import Standing, tally
from agent.ideation.turns import cells
from agent.ideation.vectors import IdeaVectors
from retrieval.passage import Vectors


@dataclass(frozen=True, slots=True)
class View:
    """What can be seen of a board by all: hidden ideas are not in it. vectors: of `ideas`, (n, dim)."""

    board: Board
    ideas: tuple[Idea, ...]
    vectors: Vectors
    groups: tuple[Group, ...]
    duplicates: tuple[Duplicate, ...]
    figures: Figures
    standings: tuple[Standing, ...]

    @property
    def note(self) -> str:
        """A line of figures."""
        language = self.board.session.rules.language
        count = counted(language, "ideas", len(self.ideas))
        if len(self.ideas) < 2:
            return count
        said = f"{count}, {label(language, 'varied', vendi=decimal(language, self.figures.vendi))}"
        if self.figures.machine < 0.005:
            return said
        return f"{said}; {label(language, 'machine_part', share=f'{self.figures.machine:.0%}')}"

    def picture(self) -> bytes:
        """The map as a PNG."""
        best = max((each.score for each in self.standings), default=0.0)
        votes = {each.idea: each.score / best for each in self.standings} if best > 0 else {}
        label = {idea: i for i, group in enumerate(self.groups) for idea in group.ideas}
        labels = np.array([label.get(each.id, 0) for each in self.ideas], dtype=np.int64)
        decided = self.board.decided
        marks = [Mark(each.id, votes.get(each.id, 0), each.by == "machine", each.id in decided) for each in self.ideas]
        now = self.board.session
        at = layout(self.vectors, labels)
        return draw_map(now.topic, marks, at, self.groups, self.note, now.rules.language)

    def record(self, name: Naming = someone, *, with_picture: bool = False) -> Record:
        """What is exported. name: the name of a person, by id, as it may be shown."""
        picture = self.picture() if with_picture else b""
        return Record(self.board, self.standings, self.groups, self.figures, picture, name)


def view(board: Board, vectors: IdeaVectors, known: Vectors | None = None) -> View:
    """Look at a board. known: vectors of past ideas and documents, for novelty, (m, dim)."""
    ideas = tuple(each for each in board.open if not board.is_hidden(each))
    rows = vectors(ideas)
    ids = [each.id for each in ideas]
    texts = [each.text for each in ideas]
    groups = grouped(ids, texts, rows) if len(ideas) >= FEWEST else ()
    return View(
        board,
        ideas,
        rows,
        groups,
        tuple(duplicates(ids, texts, rows)),
        figures(board, ideas, rows, cells(board), known),
        tally(board),
    )
