"""The course of a session: its question, phases, techniques and timers, and who facilitates."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from agent.ideation import acts, checks, turns
from agent.ideation.acts import Ballot, Criterion, Phase
from agent.ideation.board import Board, is_before
from agent.ideation.ground import Done, Ground
from agent.ideation.ledger import Acting, New
from agent.ideation.refusals import refuse
from agent.ideation.technique import Deal
from agent.memory_tables import storable
from agent.message import Person


class Course:
    """Every method raises StoreError, and SessionRefused with a sentence for the person.

    person: who does it, None for the machine or a timer, to whom the facilitator's rights belong too.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def reframe(self, session: str, versions: Sequence[str], *, key: str) -> Done:
        """Offer sharper versions of the question."""
        kept = tuple(checks.topic_of(each) for each in versions if each.strip())
        return self._ground.do(session, None, key, lambda _board, _by: [New(acts.Reframed(kept))])

    def choose(self, session: str, person: Person | None, topic: str, *, key: str) -> Done:
        """Think about the question in these words from now on."""
        words = checks.topic_of(topic, "no_wording")

        def decide(board: Board, by: Acting) -> list[New]:
            checks.facilitates(board, by)
            checks.in_phases(board, (Phase.REFRAME, Phase.COLLECT))
            return [New(acts.Chosen(words))]

        return self._ground.do(session, person, key, decide)

    def move(self, session: str, person: Person | None, phase: Phase | None = None, *, key: str) -> Done:
        """Go on to a phase, the next one unless named; its timer is the rules'."""

        def decide(board: Board, by: Acting) -> list[New]:
            checks.facilitates(board, by)
            return [self._ground.moved(board, phase or board.session.next_phase)]

        return self._ground.do(session, person, key, decide)

    def close(self, session: str, person: Person | None, *, key: str) -> Done:
        return self.move(session, person, Phase.CLOSED, key=key)

    def prolong(self, session: str, person: Person | None, minutes: float, *, key: str) -> Done:
        """Give the phase, or the technique's stage, so many more minutes."""

        def decide(board: Board, by: Acting) -> list[New]:
            checks.facilitates(board, by)
            checks.check_minutes(minutes)
            now = board.session
            runs_out = (now.stage_ends if now.technique else now.ends) or self._ground.now()
            return [New(acts.Prolonged(max(runs_out, self._ground.now()) + timedelta(minutes=minutes)))]

        return self._ground.do(session, person, key, decide)

    def begin(self, session: str, person: Person | None, technique: str, *, key: str) -> Done:
        """Think by a technique, from its first stage; the session goes on to collecting for it."""
        chosen = self._ground.technique(technique)
        if chosen is None:
            refuse("no_technique", technique=technique, known=", ".join(each.id for each in self._ground.techniques))

        def decide(board: Board, by: Acting) -> list[New]:
            checks.facilitates(board, by)
            made = []
            if board.session.phase is not Phase.COLLECT:
                made.append(self._ground.moved(board, Phase.COLLECT))
            return [*made, New(acts.TechniqueBegun(chosen.id, self._ground.stage_ends(chosen.stages[0])))]

        return self.sparked(self._ground.do(session, person, key, decide))

    def next_stage(self, session: str, person: Person | None, *, key: str) -> Done:
        """Go on to the technique's next stage; past the last one it is over."""

        def decide(board: Board, by: Acting) -> list[New]:
            checks.facilitates(board, by)
            if self._ground.technique(board.session.technique) is None:
                refuse("no_stage")
            return [self._ground.staged(board)]

        return self.sparked(self._ground.do(session, person, key, decide))

    def tick(self, session: str) -> Done:
        """What timers that have run out lead to, once each, however often it is called."""
        before = self._ground.ledger.board(session)
        if before is None:
            refuse("no_session")
        due = before.session.due
        if due is None or before.session.is_closed or due > self._ground.now():
            return self.sparked(Done(before, is_new=False))

        def decide(board: Board, _: Acting) -> list[New]:
            if board.session.due != due:  # somebody was quicker, or gave more time
                return []
            if board.session.stage_ends == due and board.session.technique:
                return [self._ground.staged(board)]
            return [self._ground.moved(board, board.session.next_phase)]

        key = f"tick/{before.session.phase}/{before.session.run}/{before.session.stage}/{due.isoformat()}"
        return self.sparked(self._ground.do(session, None, key, decide))

    def completed(self, done: Done) -> Done:
        """Go on to the next stage where everybody has given what this one asks for."""
        now, technique = done.board.session, self._ground.technique(done.board.session.technique)
        if technique is None or not turns.is_complete(done.board, technique):
            return done

        def decide(board: Board, _: Acting) -> list[New]:
            is_same = (board.session.run, board.session.stage) == (now.run, now.stage) and board.session.technique
            return [self._ground.staged(board)] if is_same and turns.is_complete(board, technique) else []

        after = self._ground.do(now.id, None, f"full/{now.run}/{now.stage}", decide)
        return self.sparked(Done(after.board, done.is_new, done.idea))

    def sparked(self, done: Done) -> Done:
        """With the stimulus that the technique's stage deals, where it deals one and none was shown in it yet."""
        now, technique = done.board.session, self._ground.technique(done.board.session.technique)
        stage = turns.stage_of(done.board, technique) if technique else None
        if technique is None or stage is None or stage.deal is not Deal.SPARK or self._ground.draw is None:
            return done
        if done.board.sparks and now.stage_began is not None and done.board.sparks[-1].at >= now.stage_began:
            return done
        drawn = self._ground.draw(done.board, technique)
        if drawn is None:
            return done
        after = self.spark(now.id, *drawn, key=f"spark/{now.run}/{now.stage}")
        return Done(after.board, done.is_new, done.idea)

    def spark(self, session: str, text: str, source: str = "", *, key: str) -> Done:
        """Show everybody a stimulus; ideas that come after it name its source."""
        return self._ground.do(session, None, key, lambda _board, _by: [New(acts.Sparked(storable(text), source))])

    def nudged(self, session: str, rule: str, reason: str, *, key: str, spark: tuple[str, str] | None = None) -> Done:
        """Keep that the facilitator's rules spoke up, and why. spark: what it gave to think from, and its source."""
        given = [] if spark is None else [New(acts.Sparked(storable(spark[0]), spark[1]), key=f"{key}/spark")]
        return self._ground.do(session, None, key, lambda _board, _by: [New(acts.Nudged(rule, reason)), *given])

    def vote_by(
        self, session: str, person: Person | None, ballot: Ballot, criteria: Sequence[Criterion] = (), *, key: str
    ) -> Done:
        """Vote another way, or by other criteria; what was voted by the same ones still counts."""

        def decide(board: Board, by: Acting) -> list[New]:
            checks.facilitates(board, by)
            checks.in_phases(board, tuple(each for each in Phase if not is_before(Phase.VOTE, each)))
            checks.check_rules(replace(board.session.rules, ballot=ballot, criteria=tuple(criteria)))
            return [New(acts.Balloted(ballot, tuple(criteria)))]

        return self._ground.do(session, person, key, decide)

    def hand_over(self, session: str, person: Person | None, to: Person, *, key: str) -> Done:
        def decide(board: Board, by: Acting) -> list[New]:
            checks.facilitates(board, by)
            if all(each.person != to.id for each in board.session.members):
                refuse("no_member")
            return [New(acts.Handed(), subject=to.id)]

        return self._ground.do(session, person, key, decide)
