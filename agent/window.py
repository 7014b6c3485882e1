"""What a prompt remembers of a conversation: its latest turns within a token budget, after a summary of those before.

The window moves in jumps: when it overflows, more than half of it is folded into the summary at once. So
between two jumps each prompt begins exactly as the one before, and a generator's prefix cache holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from agent.erasure import lock_memory
from agent.memory_tables import places, summaries, turns
from agent.message import History, Line, Place
from agent.summary import CountTokens, fold, shorten
from retrieval.database import reading, writing
from retrieval.prepared import Prepared

# Shares of the budget. The summary and the last turn's two lines together always fit.
LINE = 0.25  # of one line; the rest of a longer one is cut
SUMMARY = 0.2
KEPT = 0.4  # of the lines that stay when the window moves (more only if the last turn alone is more)
ROLE_TOKENS = 5  # what a chat template spends on a line beside its text


def read_history(engine: Engine, place: Place, budget_tokens: int, count_tokens: CountTokens) -> History:
    """The history of `place` in at most `budget_tokens`, folding its oldest turns where it must. Raises StoreError."""
    measure = _Measure(budget_tokens, count_tokens)
    with reading(engine) as connection:
        window = _read(connection, place, measure)
    if measure.cost(window) > budget_tokens:
        with writing(engine) as connection:
            window = _fold_oldest(connection, place, measure)
    return History(window.summary, tuple(line for turn in window.turns for line in turn.lines))


@dataclass(frozen=True, slots=True)
class _Lines:
    """A turn's lines: what was said and, unless Atelier kept silent, the reply.

    whole: as they were said, for the summary. lines: as a prompt gets them. cost: of those, in tokens.
    """

    turn: str
    whole: tuple[Line, ...]
    lines: tuple[Line, ...]
    cost: int


@dataclass(frozen=True, slots=True)
class _Window:
    """summary: of the turns up to and with `through`. turns: all later ones."""

    summary: str
    through: str
    turns: Sequence[_Lines]


@dataclass(frozen=True, slots=True)
class _Measure:
    budget: int
    count: CountTokens

    def share(self, part: float) -> int:
        return max(int(self.budget * part) - ROLE_TOKENS, 1)

    def lines(self, turn: str, text: str, reply: str) -> _Lines:
        whole = (Line("user", text), Line("assistant", reply)) if reply else (Line("user", text),)
        most = self.share(LINE)
        lines: list[Line] = []
        cost = 0
        for line in whole:
            tokens = self.count(line.text)
            lines.append(line if tokens <= most else Line(line.role, shorten(line.text, most, self.count)))
            cost += min(tokens, most) + ROLE_TOKENS
        return _Lines(turn, whole, tuple(lines), cost)

    def cost(self, window: _Window) -> int:
        summary = self.count(window.summary) + ROLE_TOKENS if window.summary else 0
        return summary + sum(turn.cost for turn in window.turns)


def _read(connection: Connection, place: Place, measure: _Measure) -> _Window:
    folded = _FOLDED.run(connection, {"here": place.key})
    summary, through = folded[0] if folded else ("", "")
    rows = _LATER.run(connection, {"here": place.key, "through": through})
    return _Window(summary, through, [measure.lines(*row) for row in rows])


# Asked with every message.
_FOLDED = Prepared(sa.select(summaries.c.text, summaries.c.through).where(summaries.c.place == sa.bindparam("here")))
_LATER = Prepared(
    sa.select(turns.c.id, turns.c.text, turns.c.reply)
    .where(turns.c.place == sa.bindparam("here"), turns.c.id > sa.bindparam("through"))
    .order_by(turns.c.id)
)


def _fold_oldest(connection: Connection, place: Place, measure: _Measure) -> _Window:
    """Fold the oldest turns into the summary until the rest takes its share of the budget.

    One transaction that locks memory, so that nothing is folded that is being forgotten, and the place, so that
    nothing is folded twice.
    """
    lock_memory(connection)
    connection.execute(sa.select(places.c.key).where(places.c.key == place.key).with_for_update())
    window = _read(connection, place, measure)
    first = max(len(window.turns) - 1, 0)
    room = measure.budget * KEPT - sum(turn.cost for turn in window.turns[first:])
    while first and window.turns[first - 1].cost <= room:
        first -= 1
        room -= window.turns[first].cost
    cut = window.turns[:first]
    lines = [line for turn in cut for line in turn.whole]
    summary = fold(window.summary, lines, measure.share(SUMMARY), measure.count)
    if cut:
        connection.execute(summaries.delete().where(summaries.c.place == place.key))
        row = {"place": place.key, "through": cut[-1].turn, "text": summary}
        connection.execute(summaries.insert().values(row))
    return _Window(summary, cut[-1].turn if cut else window.through, window.turns[first:])
