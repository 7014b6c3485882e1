"""A session as it stands in its places: where its boards are, what they show, and what follows when it changes.

Everything that is shown goes through the queue as an event of our own, once for each id: so a crash, a restart or a
second process neither loses nor repeats a step, a round or a timer.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.buttons import Buttons, Meaning, id_for
from agent.events import Button, Due, Outgoing
from agent.ideation import acts, groups, turns
from agent.ideation.acts import Ballot, Phase
from agent.ideation.board import Board, Member
from agent.ideation.sessions import Sessions
from agent.ideation.tally import next_pair, tally
from agent.ideation.technique import Deal, Stage
from agent.ideation.vectors import IdeaVectors
from agent.memory import Memory
from agent.message import Person, Place
from agent.support.cases import Cases
from connectors.compose import House
from connectors.connector import Connector
from connectors.desk import ideation_board as boards
from connectors.desk.access import Access
from connectors.desk.ideation_board import Sight
from connectors.desk.names import Names

if TYPE_CHECKING:
    from connectors.delivery.worker import Delivery

KIND = "ideation"  # of the buttons and events that are ours
KEPT = 90 * 24 * 60  # minutes that a session's buttons work, and that is known where its boards are
STEPS = (acts.Moved, acts.TechniqueBegun, acts.StageReached, acts.TechniqueEnded)  # acts that begin something new


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. gap: between two renewals of a board. look: between two looks at timers and at how a group is doing."""

    gap: float = 5.0  # a group of Telegram takes 20 messages a minute, edits among them
    look: float = 60.0


@dataclass(frozen=True, slots=True)
class Stand:
    """What all that is done in sessions stands on."""

    house: House
    connectors: Mapping[str, Connector]
    access: Access
    buttons: Buttons
    sessions: Sessions
    vectors: IdeaVectors
    names: Names
    cases: Cases
    pace: Pace = field(default=Pace())

    @property
    def memory(self) -> Memory:
        return self.house.store.memory

    # Who

    def person(self, account: str, board: Board | None = None) -> Person:
        """Whoever has this account. Where everybody may lead, they hold the rights of who does."""
        leads = self.access.is_administrator(account) or (board is not None and self.is_noted(board, "anyone"))
        return self.memory.person(account, administrator=leads)

    # What is noted of a session beside its acts

    def note(self, board: Board, name: str, value: str = "yes", place: Place | None = None) -> None:
        key = f"{KIND}/{name}/{board.session.id}"
        self.buttons.make(f"{KIND}-note", value, place or board.session.places[0], KEPT, key=key)

    def noted(self, board: Board, name: str) -> str:
        meaning = self.buttons.look_up(id_for(f"{KIND}/{name}/{board.session.id}"))
        return meaning.value if meaning is not None and meaning.kind == f"{KIND}-note" else ""

    def is_noted(self, board: Board, name: str) -> bool:
        return bool(self.noted(board, name))

    def bind(self, account: str, board: Board) -> None:
        """From now on what somebody writes in private is for this session."""
        key = f"{KIND}/desk/{account}"
        self.buttons.make(f"{KIND}-note", board.session.id, board.session.places[0], KEPT, key=key)

    def unbind(self, account: str, board: Board) -> None:
        """What they write in private is theirs again."""
        key = f"{KIND}/desk/{account}"
        self.buttons.make(f"{KIND}-note", "", board.session.places[0], KEPT, key=key)

    async def has_left(self, account: str, board: Board) -> bool:
        """Whether somebody is in none of a session's channels any more; then it is not theirs to write for in private.

        Not where no platform can tell: who came by the session's code has no account on them.
        """
        person = await asyncio.to_thread(self.memory.person, account)
        seats = [
            (each, place)
            for each in (person.accounts or (account,))
            for place in board.session.places
            if each.startswith(f"{place.platform}:{place.tenant}:")
        ]
        for each, place in seats:
            if not await self.connectors[place.platform].has_left(each, place):
                return False
        return bool(seats)

    def is_held(self, place: Place) -> bool:
        """Whether a person of support has the conversation in a place, so that Atelier is silent there."""
        return self.cases.held(place) is not None

    def bound(self, account: str) -> Board | None:
        """The open session that somebody writes for in private."""
        meaning = self.buttons.look_up(id_for(f"{KIND}/desk/{account}"))
        if meaning is None or meaning.kind != f"{KIND}-note" or not meaning.value:
            return None
        board = self.sessions.ledger.board(meaning.value)
        return board if board is not None and not board.session.is_closed else None

    # Where

    def at(self, place: Place, *, near: bool = False) -> Board | None:
        """The session of a place. near: also one elsewhere in its channel, the latest: no command names a thread."""
        board = self.sessions.at(place)
        if board is not None or not near:
            return board
        return next(iter(self.near(place)), None)

    def near(self, place: Place) -> list[Board]:
        """The sessions that run in the channel of a place, the latest first."""
        found = [self.sessions.board(each) for each in self.sessions.running(place.tenant)]
        return [each for each in reversed(found) if here(each, place) is not None]

    def ended(self, place: Place) -> Board | None:
        """The session that ended last in the channel of a place; None where there was none lately."""
        past = reversed(self.sessions.past(place.tenant))
        return next((each for each in past if here(each, place) is not None), None)

    def ended_at(self, board: Board) -> datetime:
        """When a session that is over ended; what is done afterwards, as an action that is carried out, ends it not."""
        events = self.sessions.events(board.session.id)
        closed = [each for each in events if isinstance(each.act, acts.Moved) and each.act.phase is Phase.CLOSED]
        return max(each.at for each in closed or events)

    # What is seen

    def sight(self, board: Board, platform: str, names: Mapping[str, str] | None = None) -> Sight:
        """names: of those who are given something of their own where all can read it, by account."""
        now, called = board.session, names or {}
        stage = self.stage(board)
        technique, is_voted = self.sessions.technique(board), now.phase in (Phase.ENRICH, Phase.DECIDE, Phase.CLOSED)
        telegram = self.connectors.get("telegram")
        link = telegram.address(f"{KIND}-{now.code}") if telegram is not None and platform == "telegram" else ""
        is_merging = now.phase in (Phase.COLLECT, Phase.REVEAL, Phase.MERGE)
        alike = self.alike(board) if is_merging else ()
        is_paired = now.phase is Phase.VOTE and now.rules.ballot is Ballot.PAIRS
        return Sight(
            platform,
            datetime.now(UTC),
            task=self.sessions.task(board, alone(board)),
            technique=technique.title if technique else "",
            stages=len(technique.plan(len(now.roster))) if technique else 0,
            dealt=tuple((called[each.account], self._given(board, each.person)) for each in self._dealt_to(board))
            if called
            else (),
            is_numbered=stage is not None and stage.deal in (Deal.TURN, Deal.ANSWER),
            empty=tuple(turns.named_cell(board, each) for each in turns.empty_cells(board))
            if stage is not None and stage.deal is Deal.CELLS
            else (),
            alike=alike,
            standing=tally(board) if is_voted else (),
            pair=(is_paired and next_pair(board, "")) or ("", ""),
            link=link,
            following=following(board, alike),
        )

    def _dealt_to(self, board: Board) -> tuple[Member, ...]:
        """Those who are each given something of their own where all can read it; nobody where one is alone."""
        stage = self.stage(board)
        return board.session.members if stage is not None and turns.deals(stage) and not alone(board) else ()

    def _given(self, board: Board, person: str) -> str:
        task = self.sessions.task(board, person)
        if task is None:
            return ""
        named = turns.named_cell(board, task.cell) if task.cell else " ".join(f"{i.id}: {i.text}" for i in task.on)
        return task.role or named or "…"

    def alike(self, board: Board) -> tuple[tuple[str, str], ...]:
        """Pairs of ideas that may say the same, the likest first."""
        ideas = board.open
        found = groups.duplicates([each.id for each in ideas], [each.text for each in ideas], self.vectors(ideas))
        return tuple((each.first, each.second) for each in found)

    async def shown(self, board: Board, place: Place, renews: str = "") -> Outgoing:
        """The board as a message in one of its places."""
        names = await self.names.of(each.account for each in self._dealt_to(board))
        return await asyncio.to_thread(self._shown, board, place, renews, names)

    def _shown(self, board: Board, place: Place, renews: str, names: Mapping[str, str]) -> Outgoing:
        sight = self.sight(board, place.platform, names)
        given = boards.controls(board, sight)
        return Outgoing(place, boards.text(board, sight), buttons=self.pressable(board, place, given), renews=renews)

    def pressable(self, board: Board, place: Place, controls: Sequence[boards.Control]) -> tuple[Button, ...]:
        """The same buttons each time they are made for the same place."""
        session = board.session.id
        meanings = {
            f"{KIND}/{session}/{place.key}/{each.does}": Meaning(KIND, f"{session} {each.does}", place)
            for each in controls
        }
        made = self.buttons.make_keyed(meanings, KEPT)
        return tuple(Button(button, each.label, each.form) for button, each in zip(made, controls, strict=True))

    def handle(self, board: Board, place: Place) -> str:
        """The board's message in a place."""
        meaning = self.buttons.look_up(id_for(f"{KIND}/shown/{board.session.id}/{place.key}"))
        return meaning.value if meaning is not None and meaning.kind == f"{KIND}-note" else ""

    def root(self, board: Board, place: Place) -> str:
        """The message that a session's thread begins with, where it began one."""
        meaning = self.buttons.look_up(id_for(f"{KIND}/opening/{board.session.id}/{place.key}"))
        return meaning.value if meaning is not None and meaning.kind == f"{KIND}-note" else ""

    def keep_root(self, board: Board, place: Place, handle: str) -> None:
        self.buttons.make(f"{KIND}-note", handle, place, KEPT, key=f"{KIND}/opening/{board.session.id}/{place.key}")

    def let_go(self, board: Board, place: Place, before: str, handle: str) -> list[Outgoing]:
        """What becomes of the boards above the one in the message `handle`: they can be pressed no more."""
        root, gone = self.root(board, place), []
        if before and before != handle:
            gone.append(Outgoing(place, boards.moved_on(board, is_root=before == root), renews=before))
        if root and root != before and board.session.is_closed:
            gone.append(Outgoing(place, boards.moved_on(board, is_root=True), renews=root))
        return gone

    def keep(self, board: Board, place: Place, handle: str) -> None:
        self.buttons.make(f"{KIND}-note", handle, place, KEPT, key=f"{KIND}/shown/{board.session.id}/{place.key}")

    # What follows

    async def changed(self, board: Board, delivery: "Delivery") -> None:
        """After every act, also one that came again: what is due now and later is in the queue, each once."""
        now = board.session
        await self.step(board, delivery)
        for place in now.places:
            lane = f"{KIND}/{now.id}/{place.key}"
            moment = (int(time.time() / self.pace.gap) + 1) * self.pace.gap
            name = f"{KIND}/{now.id}/board/{moment}/{place.key}"
            await delivery.follow(self._due(board, place, name, "board"), wait=moment - time.time(), lane=lane)
        await self.wake(board, delivery)

    async def step(self, board: Board, delivery: "Delivery") -> None:
        """What the latest step leads to: a board of its own in every place, and what each is asked in private."""
        now = board.session
        events = await asyncio.to_thread(self.sessions.events, now.id)
        step = max((each.number for each in events if isinstance(each.act, STEPS)), default=0)
        for place in now.places if step else ():
            lane, name = f"{KIND}/{now.id}/{place.key}", f"{KIND}/{now.id}/step/{step}/{place.key}"
            await delivery.follow(self._due(board, place, name, f"step {step}"), lane=lane)
        await self._deal(board, step, delivery)

    async def wake(self, board: Board, delivery: "Delivery") -> None:
        """The next look at a session: when its timer runs out, or else after a while."""
        now = board.session
        if now.is_closed or not now.places:
            return
        at = (int(time.time() / self.pace.look) + 1) * self.pace.look
        moments = {f"look/{at}": at}
        if now.due is not None:
            moments[f"ends/{now.due.isoformat()}"] = now.due.timestamp()
        for name, moment in moments.items():
            due = self._due(board, now.places[0], f"{KIND}/{now.id}/{name}", "look")
            await delivery.follow(due, wait=moment - time.time())

    async def _deal(self, board: Board, step: int, delivery: "Delivery") -> None:
        """Where the technique asks in private, each who takes part is written to, once a round."""
        now, task = board.session, self.sessions.task(board)
        if task is None or not task.private:
            return
        for member in now.members:
            place = next((each for each in now.places if member.account.startswith(f"{each.platform}:")), None)
            if place is None:
                continue
            name = f"{KIND}/{now.id}/deal/{step}/{member.person}"
            due = replace(self._due(board, place, name, f"deal {step}"), account=member.account)
            await delivery.follow(due)

    def _due(self, board: Board, place: Place, name: str, does: str) -> Due:
        return Due(name, place, "", KIND, f"{board.session.id} {does}", board.session.rules.language)

    def stages(self, board: Board) -> int:
        technique = self.sessions.technique(board)
        return len(technique.plan(len(board.session.roster))) if technique else 0

    def stage(self, board: Board) -> Stage | None:
        technique = self.sessions.technique(board)
        return turns.stage_of(board, technique) if technique else None


def here(board: Board, place: Place) -> Place | None:
    """The place of a session in the channel of `place`; the very one where it is held in several there."""
    mine = (place.platform, place.tenant, place.channel)
    found = [each for each in board.session.places if (each.platform, each.tenant, each.channel) == mine]
    return place if place in found else found[-1] if found else None


def alone(board: Board) -> str:
    """Who thinks in a session where nobody else does, or empty."""
    members = board.session.members
    return members[0].person if len(members) == 1 else ""


def following(board: Board, alike: Sequence[tuple[str, str]]) -> Phase:
    """The step to go on to: nobody has to look at duplicates where there are none."""
    now = board.session
    if now.next_phase is not Phase.MERGE or alike:
        return now.next_phase
    later = now.rules.phases[now.rules.phases.index(Phase.MERGE) + 1 :]
    return later[0] if later else Phase.CLOSED


def meant(meaning: Meaning) -> tuple[str, str, tuple[str, ...]]:
    """The session, the verb and what follows it, of a button or an event of ours."""
    session, verb, *words = meaning.value.split(" ")
    return session, verb, tuple(words)
