"""What every act on a session stands on: the store, the techniques, the clock; and how an act is answered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.ideation import acts, turns
from agent.ideation.acts import Phase
from agent.ideation.board import Board, Idea
from agent.ideation.ledger import Acting, Decide, Ledger, New
from agent.ideation.technique import Stage, Technique
from agent.message import Person

AFTER = timedelta(minutes=3)  # that collecting goes on when a technique is over, where it has a timer
Draw = Callable[[Board, Technique], "tuple[str, str] | None"]  # a stimulus: its text and source


@dataclass(frozen=True, slots=True)
class Done:
    """What an act led to. is_new: false when the same event had come before. idea: the one it made or changed."""

    board: Board
    is_new: bool
    idea: Idea | None = None


@dataclass(frozen=True, slots=True)
class Ground:
    """draw: gives the stimulus of a stage that deals one."""

    ledger: Ledger
    techniques: Sequence[Technique]
    draw: Draw | None
    now: Callable[[], datetime]

    def do(self, session: str, person: Person | None, key: str, decide: Decide) -> Done:
        """Raises StoreError, and SessionRefused as `decide` does."""
        return Done(*self.ledger.append(session, key, person, self.now(), decide))

    def technique(self, name: str) -> Technique | None:
        return next((each for each in self.techniques if each.id == name), None)

    def moved(self, board: Board, phase: Phase) -> New:
        """The act that begins a phase, with its timer."""
        lasts = board.session.rules.minutes_of(phase)
        return New(acts.Moved(phase, None if lasts is None else self.now() + timedelta(minutes=lasts)))

    def stage_ends(self, stage: Stage) -> datetime | None:
        return self.now() + timedelta(minutes=stage.minutes) if stage.minutes else None

    def staged(self, board: Board) -> New:
        """The act that takes the technique to its next stage that has something to deal, or ends it."""
        technique = self.technique(board.session.technique)
        plan = technique.plan(len(board.session.roster)) if technique else ()
        following = board.session.stage + 1
        while following < len(plan) and turns.is_idle(board, plan[following]):
            following += 1
        if following >= len(plan):
            is_timed = board.session.rules.minutes_of(Phase.COLLECT) is not None
            return New(acts.TechniqueEnded(self.now() + AFTER if is_timed else None))
        return New(acts.StageReached(following, self.stage_ends(plan[following])))


def entering(board: Board, by: Acting, account: str = "") -> list[New]:
    """Who does something in a session takes part in it."""
    known = next((each for each in board.session.members if each.person == by.who), None)
    if not by.who or (known is not None and (known.account or not account)):
        return []
    return [New(acts.Entered(account))]


def done_of(done: Done, idea: str) -> Done:
    return Done(done.board, done.is_new, done.board.idea(idea))
