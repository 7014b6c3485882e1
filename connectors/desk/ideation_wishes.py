"""What people do in a session, by a command or a button: the same acts, the same rights, the same words."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agent.events import Command, Outgoing
from agent.ideation.acts import Phase, RemarkKind
from agent.ideation.board import Board
from agent.ideation.ground import Done
from agent.ideation.refusals import SessionRefused
from agent.ideation.tally import tally
from agent.ideation.techniques import Technique, spoken
from agent.message import Person
from connectors.connector import Refused
from connectors.delivery.stage import Stage
from connectors.desk import ideation_board as boards
from connectors.desk.ideation_answers import Asking, answer, refused_said
from connectors.desk.ideation_ballots import Ballots
from connectors.desk.ideation_due import round_said
from connectors.desk.ideation_offers import Offers
from connectors.desk.ideation_outcome import all_figures, exported, figures_said, groups_said, keep_ideas
from connectors.desk.ideation_stand import KIND, Stand, following
from connectors.desk.ideation_words import Wish
from connectors.desk.texts import prefix, say

_REMARKS = {"good": RemarkKind.GOOD, "problem": RemarkKind.PROBLEM, "better": RemarkKind.STEP_UP}
_BY = re.compile(r"(?<!\s)\s++(?:by|until|bis)\s++(?P<due>\S.{0,60})$", re.IGNORECASE)
_OWNER = re.compile(r"(?:^|\s)(?P<owner>@[\w.-]{1,40})")
_WHY = re.compile(r"^(?:because|weil|since|as|da)[:,]?\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wishes:
    stand: Stand
    offers: Offers

    async def __call__(self, board: Board, wish: Wish, event: Asking, stage: Stage) -> Sequence[Outgoing]:
        """What is said of it; a refusal is a sentence for who asked. Raises AtelierError."""
        person = await asyncio.to_thread(self.stand.person, event.account, board)
        wish = replace(wish, text=await self.stand.names.written(wish.text, event.place))
        ballots = Ballots(self.stand)
        try:
            for acts in (self._read, self._led, self._given, self._joined, ballots, self._decided):
                if (said := await acts(board, wish, event, stage, person)) is not None:
                    return said
        except SessionRefused as refused:
            return [answer(event, refused_said(event, refused))]
        return [answer(event, self._say(event, "ideation_usage"))]

    def _say(self, event: Asking, name: str, /, **values: object) -> str:
        return say(event.language, name, p=prefix(event.place.platform), **values)

    async def _done(self, stage: Stage, act: Callable[[], Done]) -> Done:
        """Do it, and see to what follows."""
        done = await asyncio.to_thread(act)
        await self.stand.changed(done.board, stage.delivery)
        return done

    # Looking

    async def _read(
        self, board: Board, wish: Wish, event: Asking, stage: Stage, person: Person
    ) -> Sequence[Outgoing] | None:
        match wish.verb:
            case "board":
                return await self._board(board, event, stage)
            case "map":
                picture = await asyncio.to_thread(exported, self.stand, board, "png")
                if not picture.content:
                    return [answer(event, self._say(event, "ideation_map_small"))]
                told = await asyncio.to_thread(figures_said, self.stand, board)
                return [Outgoing(event.place, told, pictures=(picture,), to=event.account)]
            case "groups":
                return [self._aloud(event, await asyncio.to_thread(groups_said, self.stand, board, event.language))]
            case "figures":
                near = await asyncio.to_thread(self.offers.known, board)
                return [self._aloud(event, await asyncio.to_thread(all_figures, self.stand, board, near))]
            case "results":
                return [self._results(board, event)]
            case "export":
                kind = wish.text if wish.text != "export" else "md"
                known = await asyncio.to_thread(self.offers.known, board) if kind == "json" else None
                picture = await asyncio.to_thread(exported, self.stand, board, kind, known)
                if not picture.content:
                    return [answer(event, self._say(event, "ideation_map_small"))]
                told = self._say(event, "ideation_exported")
                return [Outgoing(event.place, told, pictures=(picture,), to=event.account)]
            case "techniques":
                names = "\n".join(f"- **{each.title}**: {each.when}" for each in self._known(board))
                return [answer(event, self._say(event, "ideation_techniques", names=names))]
            case "recommend":
                said = answer(event, await asyncio.to_thread(self.offers.recommended, board, person, event))
                if event.place.platform == "slack" or getattr(event, "direct", False) or not isinstance(event, Command):
                    return [said]
                link = self.stand.connectors[event.place.platform].address("hello")  # what they voted for stays secret
                public = Outgoing(event.place, self._say(event, "in_private", link=link), to=event.account)
                return [replace(said, audience="one", instead=public)]
            case _:
                return None

    def _known(self, board: Board) -> list[Technique]:
        return [spoken(each, board.session.rules.language) for each in self.stand.sessions.techniques]

    async def _board(self, board: Board, event: Asking, stage: Stage) -> Sequence[Outgoing]:
        """A board of its own below what was written; the one before lets go. In private only a look."""
        if event.place not in board.session.places:
            return [replace(await self.stand.shown(board, event.place), to=event.account)]
        await stage.open(event)
        before = await asyncio.to_thread(self.stand.handle, board, event.place)
        await asyncio.to_thread(self.stand.keep, board, event.place, stage.handle)
        said = [await self.stand.shown(board, event.place)]
        return said + await asyncio.to_thread(self.stand.let_go, board, event.place, before, stage.handle)

    def _results(self, board: Board, event: Asking) -> Outgoing:
        """Not while people vote: what leads would draw votes."""
        language, standing = event.language, tally(board)
        is_open = board.session.phase is Phase.VOTE
        voters = len({each.person for each in board.votes})
        lines = [self._say(event, "ideation_results", people=boards.counted(language, "people", voters))]
        if is_open:
            lines.append(self._say(event, "ideation_results_later"))
        else:
            known = ((each, board.idea(each.idea)) for each in standing[:10] if each.voters)
            lines += [boards.result_line(board, idea, each) for each, idea in known if idea is not None]
            lines += [self._say(event, "ideation_ranges")] if voters > 1 else []
        return self._aloud(event, "\n".join(lines))

    def _aloud(self, event: Asking, text: str) -> Outgoing:
        return Outgoing(event.place, text, to=event.account)

    # Leading

    async def _led(
        self, board: Board, wish: Wish, event: Asking, stage: Stage, person: Person
    ) -> Sequence[Outgoing] | None:
        course, session, now = self.stand.sessions.course, board.session.id, board.session
        key, phase = stage.key, now.phase
        match wish.verb:
            case "next" if wish.numbers and wish.numbers != (str(now.run), str(now.stage)):  # pressed twice
                return [answer(event, self._say(event, "ideation_gone_on"))]
            case "next" if now.technique:
                await self._done(stage, lambda: course.next_stage(session, person, key=key))
            case "next":
                target = following(board, await asyncio.to_thread(self.stand.alike, board))
                await self._moved(board, target, person, stage)
            case "phase":
                target = Phase(wish.text)
                if target is phase:
                    return [answer(event, self._say(event, "ideation_already"))]
                await self._moved(board, target, person, stage)
            case "close":
                await self._moved(board, Phase.CLOSED, person, stage)
            case "decide" if phase is Phase.REFRAME and wish.numbers:  # versions of the question stand there to take
                return await self._led(board, replace(wish, verb="choose"), event, stage, person)
            case "choose":
                if phase is not Phase.REFRAME or not 0 < int(wish.numbers[0]) <= len(board.reframings):
                    return [answer(event, self._say(event, "ideation_gone_on"))]
                words = board.reframings[int(wish.numbers[0]) - 1]
                await asyncio.to_thread(course.choose, session, person, words, key=f"{key}/choose")
                await self._moved(board, now.next_phase, person, stage)
            case "question":
                await self._done(stage, lambda: course.choose(session, person, wish.text, key=key))
            case "more":
                minutes = float(wish.numbers[0])
                await self._done(stage, lambda: course.prolong(session, person, minutes, key=key))
                return [answer(event, self._say(event, "ideation_more", minutes=wish.numbers[0]))]
            case "technique":
                known = await asyncio.to_thread(self.offers.technique, wish.text)
                begun = known.id if known is not None else wish.text
                await self._done(stage, lambda: course.begin(session, person, begun, key=key))
            case "lead":
                leader = await asyncio.to_thread(self.stand.memory.person, event.account)
                await asyncio.to_thread(self.stand.sessions.enter, session, leader, key=f"{key}/in")
                await self._done(stage, lambda: course.hand_over(session, person, leader, key=key))
                return [answer(event, self._say(event, "ideation_leads"))]
            case _:
                return None
        return ()

    async def _moved(self, board: Board, target: Phase, person: Person, stage: Stage) -> None:
        """On to a step. What has come of the session is kept when it ends, of those who agree."""
        course, session = self.stand.sessions.course, board.session.id
        done = await self._done(stage, lambda: course.move(session, person, target, key=stage.key))
        if done.board.session.is_closed:
            await asyncio.to_thread(keep_ideas, self.stand, done.board)

    # Giving

    async def _given(
        self, board: Board, wish: Wish, event: Asking, stage: Stage, person: Person
    ) -> Sequence[Outgoing] | None:
        sessions, session, key = self.stand.sessions, board.session.id, stage.key
        number = wish.numbers[0] if wish.numbers else ""
        match wish.verb:
            case "add" if not wish.text:
                return [answer(event, self._how(event))]
            case "idea" | "add":
                done = await self._done(
                    stage,
                    lambda: sessions.add(session, person, wish.text, key=key, place=event.place, account=event.account),
                )
                return [answer(event, self.noted(done, event))]
            case "edit":
                done = await self._done(stage, lambda: sessions.edit(session, person, number, wish.text, key=key))
                text = boards.line(done.idea.text) if done.idea else ""
                return [answer(event, self._say(event, "ideation_edited", idea=number, text=text))]
            case "withdraw":
                await self._done(stage, lambda: sessions.withdraw(session, person, number, key=key))
                return [answer(event, self._say(event, "ideation_withdrawn", idea=number))]
            case "tag":
                await self._done(stage, lambda: sessions.tag(session, person, number, wish.text, key=key))
                return [answer(event, self._say(event, "ideation_tagged", idea=number, tag=boards.line(wish.text, 40)))]
            case "cell":
                values = [each.strip() for each in re.split(r"[,;/]", wish.text)]
                await self._done(stage, lambda: sessions.put_in_cell(session, person, number, values, key=key))
                return [answer(event, self._say(event, "ideation_celled", idea=number))]
            case "split":
                parts = [each.strip() for each in re.split(r"[|;]", wish.text)]
                await self._done(stage, lambda: sessions.split(session, person, number, parts, key=key))
                return [answer(event, self._say(event, "ideation_split", idea=number, count=len(parts)))]
            case "merge" if wish.numbers:
                done = await self._done(
                    stage, lambda: sessions.merge(session, person, wish.numbers, key=key, text=wish.text)
                )
                made = done.idea
                idea, text = (made.id, boards.line(made.text)) if made else ("", "")
                return [answer(event, self._say(event, "ideation_merged", idea=idea, text=text))]
            case "merge":
                return await self._led(board, Wish("phase", text="merge"), event, stage, person)
            case "good" | "problem" | "better":
                kind = _REMARKS[wish.verb]
                await self._done(stage, lambda: sessions.remark(session, person, number, kind, wish.text, key=key))
                return [answer(event, self._say(event, "ideation_remarked", idea=number))]
            case "spark" | "wider" | "deeper":
                return await self.offers(board, wish, event, stage, person)
            case _:
                return None

    def _how(self, event: Asking) -> str:
        """Where a button cannot ask for a text."""
        telegram = self.stand.connectors.get("telegram")
        link = telegram.address("hello") if telegram is not None and event.place.platform == "telegram" else ""
        return self._say(event, "ideation_idea_how", link=link) if link else self._say(event, "ideation_idea_how_plain")

    def noted(self, done: Done, event: Asking) -> str:
        if done.idea is None:
            return self._say(event, "ideation_done")
        hidden = "_private" if done.board.is_hidden(done.idea) else ""
        return self._say(event, f"ideation_noted{hidden}", idea=done.idea.id)

    # Taking part

    async def _joined(
        self, board: Board, wish: Wish, event: Asking, stage: Stage, person: Person
    ) -> Sequence[Outgoing] | None:
        sessions, session, key = self.stand.sessions, board.session.id, stage.key
        match wish.verb:
            case "enter":
                await self._done(stage, lambda: sessions.enter(session, person, key=key, account=event.account))
                return [answer(event, self._say(event, "ideation_entered"))]
            case "write":
                await self._done(stage, lambda: sessions.enter(session, person, key=key, account=event.account))
                return await self.written_to(board, event)
            case "leave":
                place = event.place
                if place not in board.session.places and getattr(event, "direct", False):
                    await asyncio.to_thread(self.stand.unbind, event.account, board)
                    return [answer(event, self._say(event, "ideation_write_stop"))]
                if place not in board.session.places or len(board.session.places) < 2:
                    return [answer(event, self._say(event, "ideation_gone_on"))]
                if not (person.administrator or person.id == board.session.facilitator):
                    return [answer(event, self._say(event, "ideation_refused_not_facilitator"))]
                await self._done(stage, lambda: sessions.leave_place(session, place, person, key=key))
                return [self._aloud(event, self._say(event, "ideation_left_place"))]
            case _:
                return None

    async def written_to(self, board: Board, event: Asking) -> Sequence[Outgoing]:
        """A direct message that says what is to be written there; from now on it is for this session."""
        connector = self.stand.connectors[event.place.platform]
        link = connector.address(f"{KIND}-{board.session.code}")
        fallback = self._say(event, "ideation_write_open", link=link)
        try:
            aside = event.place if event.place.channel == "" else await connector.aside(event.account, event.place)
        except Refused:
            return [answer(event, fallback)]
        await asyncio.to_thread(self.stand.bind, event.account, board)
        person = await asyncio.to_thread(self.stand.memory.person, event.account)
        task = self.stand.sessions.task(board, person.id)
        is_hidden = "" if board.session.is_blind else "_shown"
        text = self._say(event, f"ideation_write{is_hidden}", topic=boards.line(board.session.topic, 300))
        if task is not None and task.private:
            text = round_said(self.stand, board, person.id)
        said = Outgoing(aside, text, to=event.account)
        if aside.channel == event.place.channel:
            return [said]
        if link:  # who has never opened Atelier cannot be written to
            said = replace(said, instead=Outgoing(event.place, fallback, to=event.account))
        return [answer(event, self._say(event, "ideation_write_asks")), said]

    # Deciding

    async def _decided(
        self, board: Board, wish: Wish, event: Asking, stage: Stage, person: Person
    ) -> Sequence[Outgoing] | None:
        outcome, session, key = self.stand.sessions.outcome, board.session.id, stage.key
        match wish.verb:
            case "decide" if wish.numbers:
                reason = _WHY.sub("", wish.text)
                await self._done(stage, lambda: outcome.decide(session, person, wish.numbers, reason, key=key))
                ideas = ", ".join(wish.numbers)
                return [self._aloud(event, self._say(event, "ideation_took", idea=ideas))]
            case "action":
                text, owner, due = action_of(wish.text)
                done = await self._done(
                    stage, lambda: outcome.act_on(session, person, text, key=key, owner=owner, due=due)
                )
                said = self._say(
                    event, "ideation_action", action=done.board.actions[-1].id, text=boards.line(wish.text, 300)
                )
                return [self._aloud(event, said)]
            case "done":
                action = wish.numbers[0]
                await self._done(stage, lambda: outcome.done(session, person, action, key=key))
                return [answer(event, self._say(event, "ideation_action_done", action=action))]
            case _:
                return None


def action_of(text: str) -> tuple[str, str, str]:
    """`call the printer @ann by Friday`: what, who, until when."""
    due, owner = _BY.search(text), None
    if due is not None:
        text = text[: due.start()]
    owner = _OWNER.search(text)
    if owner is not None:
        text = " ".join((text[: owner.start()] + " " + text[owner.end() :]).split())
    return text.strip(), owner["owner"] if owner else "", due["due"].strip() if due else ""
