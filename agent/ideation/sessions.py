"""Ideation sessions: what people and timers do in them. Each act is checked against the board and then kept for good.

Every act takes a `key`, which is the chat event's: the same event coming again does nothing twice and is answered with
the same board. A session may be held in several places at once; it has one board, and each person one ballot.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeGuard

from sqlalchemy import Engine

from agent.ideation import acts, checks, turns
from agent.ideation.acts import Act, Kind, Phase, RemarkKind, Rules, Spoken
from agent.ideation.board import Board
from agent.ideation.course import Course
from agent.ideation.event import Event
from agent.ideation.ground import Done, Draw, Ground, done_of, entering
from agent.ideation.ledger import Acting, Decide, Ledger, New, digest
from agent.ideation.outcome import Outcome
from agent.ideation.refusals import refuse
from agent.ideation.technique import Technique
from agent.ideation.techniques import spoken
from agent.ideation.techniques import techniques as shipped
from agent.memory_tables import storable
from agent.message import Person, Place


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Sessions:
    """All sessions of a store. Thread-safe, and safe beside other processes.

    course: phases, techniques and timers. outcome: votes, the decision, actions.

    Every method raises StoreError; those that change something raise SessionRefused with a sentence for the person.
    person: who does it, None for the machine or a timer, to whom the facilitator's rights belong too.
    """

    def __init__(
        self,
        engine: Engine,
        techniques: Sequence[Technique] | None = None,
        *,
        draw: Draw | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """draw: gives the stimulus of a stage that deals one."""
        self.ledger = Ledger(engine)
        self.techniques = tuple(techniques or shipped())
        self._ground = Ground(self.ledger, self.techniques, draw, now)
        self.course = Course(self._ground)
        self.outcome = Outcome(self._ground)

    def at(self, place: Place) -> Board | None:
        """The board of the session that runs in a place."""
        session = self.ledger.at(place)
        return None if session is None else self.ledger.board(session)

    def board(self, session: str) -> Board:
        found = self.ledger.board(session)
        if found is None:
            refuse("no_session")
        return found

    def events(self, session: str) -> tuple[Event, ...]:
        return self.ledger.events(session)

    def running(self, tenant: str) -> tuple[str, ...]:
        """The open sessions of a tenant, by id."""
        return self.ledger.all(tenant, open_only=True)

    def past(self, tenant: str, most: int = 60) -> tuple[Board, ...]:
        """The boards of a tenant's closed sessions among the latest `most`, the oldest first."""
        boards = (self.ledger.board(each) for each in self.ledger.all(tenant)[-most:])
        return tuple(each for each in boards if each is not None and each.session.is_closed)

    def technique(self, board: Board) -> Technique | None:
        """The technique that runs in a session, in its language."""
        found = self._ground.technique(board.session.technique)
        return None if found is None else spoken(found, board.session.rules.language)

    def task(self, board: Board, person: str = "") -> turns.Task | None:
        """What a person is asked now (or everyone), where a technique runs."""
        technique = self.technique(board)
        return None if technique is None else turns.task(board, technique, person)

    def open(
        self,
        place: Place,
        person: Person | None,
        topic: str,
        *,
        key: str,
        rules: Rules | None = None,
        account: str = "",
    ) -> Done:
        """Begin a session in a place; who opens it facilitates it."""
        words = checks.topic_of(topic)
        held = rules or Rules()
        checks.check_rules(held)
        now = self._ground.now()
        first: list[Act] = [acts.Opened(words, place, held)]
        if person is not None:
            first.append(acts.Entered(account))
        if (minutes := held.minutes_of(held.phases[0])) is not None:
            first.append(acts.Moved(held.phases[0], now + timedelta(minutes=minutes)))
        session, is_new = self.ledger.open(key, person, place, first, now)
        return Done(self.board(session), is_new)

    def join_place(self, code: str, place: Place, person: Person | None, *, key: str) -> Done:
        """Hold a session, named by its code, in one more place too."""
        session = self.ledger.by_code(code, place.tenant)
        if session is None:
            refuse("no_session")
        return self._ground.do(session, person, key, lambda _board, _by: [New(acts.PlaceJoined(place))])

    def leave_place(self, session: str, place: Place, person: Person | None, *, key: str) -> Done:
        return self._ground.do(session, person, key, lambda _board, _by: [New(acts.PlaceLeft(place))])

    def enter(self, session: str, person: Person, *, key: str, account: str = "") -> Done:
        """Take part; whoever contributes or votes does so anyway. account: where direct messages reach them."""
        return self._ground.do(session, person, key, lambda _board, _by: [New(acts.Entered(account))])

    def add(
        self,
        session: str,
        person: Person | None,
        text: str,
        *,
        key: str,
        place: Place | None = None,
        account: str = "",
        share: float = 0.0,
        kind: Kind | None = None,
        parents: Sequence[str] = (),
        sources: Sequence[str] = (),
        tags: Sequence[str] = (),
        insists: bool = False,
    ) -> Done:
        """Put a contribution on the board: a person's, or with None the machine's (share 1).

        What it is follows from the technique's stage unless `kind` says it. insists: it is taken although it reads like
        something else than is wanted now.
        """
        words = checks.words_of(text)

        def decide(board: Board, by: Acting) -> list[New]:
            checks.may_add(board)
            technique = self.technique(board)
            task = turns.task(board, technique, by.who) if technique is not None and person is not None else None
            act = acts.Added(
                by.name(),
                words,
                share if person is not None else 1.0,
                kind or Kind.IDEA,
                tuple(checks.known(board, each).id for each in parents),
                tuple(sources),
                tuple(tags),
                place.key if place else "",
            )
            if technique is not None and person is not None:
                act = checks.fitted(board, technique, by.who, act, kind, insists=insists)
            elif act.kind is Kind.DIMENSION:
                checks.check_dimension(words)
            dealt = [New(acts.Celled(act.idea, task.cell))] if task is not None and task.cell else []
            return [New(act), *dealt, *entering(board, by, account)]

        return self.course.completed(self._made(session, person, key, decide))

    def hear(self, session: str, person: Person, said: Spoken, *, key: str) -> Done:
        """Keep what somebody said while the session runs."""

        def decide(board: Board, _: Acting) -> list[New]:
            return [] if board.session.is_closed else [New(replace(said, text=storable(said.text)[: checks.LONGEST]))]

        return self._ground.do(session, person, key, decide)

    def edit(self, session: str, person: Person | None, idea: str, text: str, *, key: str) -> Done:
        """Reword an idea: its author or the facilitator may, until it is voted on."""
        words = checks.words_of(text)

        def decide(board: Board, by: Acting) -> list[New]:
            checks.may_change(board, by, idea)
            return [New(acts.Reworded(idea, words))]

        return done_of(self._ground.do(session, person, key, decide), idea)

    def withdraw(self, session: str, person: Person | None, idea: str, *, key: str) -> Done:
        def decide(board: Board, by: Acting) -> list[New]:
            checks.may_change(board, by, idea)
            return [New(acts.Withdrawn(idea))]

        return done_of(self._ground.do(session, person, key, decide), idea)

    def merge(self, session: str, person: Person | None, ideas: Sequence[str], *, key: str, text: str = "") -> Done:
        """Make one idea of several, in these words or the first one's."""

        def decide(board: Board, by: Acting) -> list[New]:
            checks.may_arrange(board)
            found = [checks.shown(board, each) for each in dict.fromkeys(ideas)]
            if len(found) < 2:
                refuse("too_few")
            words = checks.words_of(text) if text.strip() else found[0].text
            return [New(acts.Merged(by.name(), words, tuple(each.id for each in found)))]

        return self._made(session, person, key, decide)

    def split(self, session: str, person: Person | None, idea: str, texts: Sequence[str], *, key: str) -> Done:
        """Make several ideas of one."""
        parts = [checks.words_of(each) for each in texts if each.strip()]

        def decide(board: Board, by: Acting) -> list[New]:
            checks.may_change(board, by, idea)
            if len(parts) < 2:
                refuse("no_parts")
            return [New(acts.Divided(idea, tuple(by.name(i) for i in range(len(parts))), tuple(parts)))]

        return done_of(self._ground.do(session, person, key, decide), idea)

    def tag(self, session: str, person: Person | None, idea: str, tag: str, *, key: str, on: bool = True) -> Done:
        word = " ".join(storable(tag).split()).strip("#").casefold()[:40]

        def decide(board: Board, by: Acting) -> list[New]:
            checks.shown(board, idea, by.who)
            if not word:
                refuse("empty")
            return [New(acts.Tagged(idea, word, on))]

        return done_of(self._ground.do(session, person, key, decide), idea)

    def put_in_cell(self, session: str, person: Person | None, idea: str, values: Sequence[str], *, key: str) -> Done:
        """Say where in the design space an idea stands: a value of each dimension."""

        def decide(board: Board, by: Acting) -> list[New]:
            if checks.shown(board, idea, by.who).kind is not Kind.IDEA:
                refuse("no_idea", idea=idea)
            return [New(acts.Celled(idea, checks.cell(board, values)))]

        return done_of(self._ground.do(session, person, key, decide), idea)

    def remark(self, session: str, person: Person | None, idea: str, kind: RemarkKind, text: str, *, key: str) -> Done:
        """Say what is good about an idea, where its problem is, or what would make it better."""
        words = checks.words_of(text)

        def decide(board: Board, by: Acting) -> list[New]:
            checks.in_phases(board, (Phase.REVEAL, Phase.MERGE, Phase.DISCUSS, Phase.ENRICH))
            checks.shown(board, idea, by.who)
            return [New(acts.Remarked(idea, kind, words)), *entering(board, by)]

        return done_of(self._ground.do(session, person, key, decide), idea)

    def press(self, session: str, person: Person, idea: str, *, key: str) -> Done:
        """Keep that somebody looked closer at an idea."""

        def decide(board: Board, by: Acting) -> list[New]:
            checks.shown(board, idea, by.who)
            return [New(acts.Pressed(idea))]

        return done_of(self._ground.do(session, person, key, decide), idea)

    def _made(self, session: str, person: Person | None, key: str, decide: Decide) -> Done:
        """Do what makes an idea; the one that was made then, also where the same event came before."""
        done = self._ground.do(session, person, key, decide)
        names = [each.act.idea for each in self.ledger.events(session) if each.key == digest(key) and made(each.act)]
        return done_of(done, names[0]) if names else done


def made(act: Act) -> TypeGuard[acts.Added | acts.Merged]:
    return isinstance(act, acts.Added | acts.Merged)
