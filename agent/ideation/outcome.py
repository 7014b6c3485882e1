"""What comes of a session: votes, the decision, and what is to be done."""

from collections.abc import Sequence

from agent.ideation import acts, checks
from agent.ideation.acts import Ballot
from agent.ideation.board import Board
from agent.ideation.ground import Done, Ground, done_of, entering
from agent.ideation.ledger import Acting, New
from agent.ideation.refusals import refuse
from agent.memory_tables import storable
from agent.message import Person


class Outcome:
    """Every method raises StoreError, and SessionRefused with a sentence for the person."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def dot(self, session: str, person: Person, idea: str, dots: int, *, key: str) -> Done:
        """Have so many of one's dots on an idea, in place of those that were there."""

        def decide(board: Board, by: Acting) -> list[New]:
            who = by.who
            checks.may_vote(board, Ballot.DOTS, (idea,), self._ground.now())
            before = sum(each.value for each in board.votes if (each.person, each.idea) == (who, idea))
            left = board.dots_left(who)
            if dots < 0 or dots - before > left:
                refuse("no_dots", left=left, dots=board.session.rules.dots)
            return [New(acts.Dotted(idea, dots)), *entering(board, by)]

        return done_of(self._ground.do(session, person, key, decide), idea)

    def prefer(self, session: str, person: Person, winner: str, loser: str, *, key: str) -> Done:
        """Say which of two ideas is better, in place of what one said of them before."""

        def decide(board: Board, by: Acting) -> list[New]:
            checks.may_vote(board, Ballot.PAIRS, (winner, loser), self._ground.now())
            if winner == loser:
                refuse("same_idea")
            return [New(acts.Preferred(winner, loser)), *entering(board, by)]

        return done_of(self._ground.do(session, person, key, decide), winner)

    def score(self, session: str, person: Person, idea: str, criterion: str, score: int, *, key: str) -> Done:
        """Give an idea 1 to 5 on a criterion."""

        def decide(board: Board, by: Acting) -> list[New]:
            checks.may_vote(board, Ballot.CRITERIA, (idea,), self._ground.now())
            if not 1 <= score <= 5:
                refuse("bad_score")
            name = checks.criterion(board, criterion)
            return [New(acts.Scored(idea, name, score)), *entering(board, by)]

        return done_of(self._ground.do(session, person, key, decide), idea)

    def decide(self, session: str, person: Person | None, ideas: Sequence[str], reason: str = "", *, key: str) -> Done:
        """Write down which ideas are taken, and why."""

        def decided(board: Board, by: Acting) -> list[New]:
            checks.facilitates(board, by)
            found = tuple(checks.shown(board, each).id for each in dict.fromkeys(ideas))
            return [New(acts.Decided(found, storable(reason.strip())))]

        return self._ground.do(session, person, key, decided)

    def act_on(
        self,
        session: str,
        person: Person | None,
        text: str,
        *,
        key: str,
        owner: Person | str = "",
        due: str = "",
        idea: str = "",
    ) -> Done:
        """Write down something that is to be done, by whom and until when, as people say it."""
        words = checks.words_of(text)

        def decide(board: Board, by: Acting) -> list[New]:
            if idea:
                checks.known(board, idea)
            named = owner if isinstance(owner, str) else ""
            act = acts.ActionTaken(by.name(), words, storable(named), storable(due), idea)
            return [New(act, subject=owner.id if isinstance(owner, Person) else "")]

        return self._ground.do(session, person, key, decide)

    def done(self, session: str, person: Person | None, action: str, *, key: str) -> Done:
        """An action was carried out."""

        def decide(board: Board, _: Acting) -> list[New]:
            if all(each.id != action for each in board.actions):
                refuse("no_action", action=action)
            return [New(acts.ActionDone(action))]

        return self._ground.do(session, person, key, decide)
