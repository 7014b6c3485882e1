"""What a session does of its own accord: steps that begin, boards that are renewed, rounds, timers, nudges."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from agent.events import Due, Outgoing, Picture
from agent.ideation import facilitator
from agent.ideation.acts import Phase
from agent.ideation.board import Board
from agent.ideation.facilitator import Heard
from agent.ideation.refusals import SessionRefused
from agent.message import Place
from connectors.connector import Refused
from connectors.delivery.stage import Stage
from connectors.desk import ideation_board as boards
from connectors.desk.ideation_offers import Offers
from connectors.desk.ideation_outcome import figures_said, map_of
from connectors.desk.ideation_stand import STEPS, Stand
from connectors.desk.texts import say

log = logging.getLogger(__name__)

IDLE = timedelta(hours=6)  # after which a session that nothing happens in is not looked at any more
_HEARD = 40  # lines of a session that the facilitator looks back on
_SEEN = frozenset({Phase.REVEAL, Phase.MERGE, Phase.DISCUSS, Phase.DECIDE})  # steps that begin with a map


@dataclass(frozen=True, slots=True)
class Dues:
    """heard: what was written in each session's places lately. In memory: a restart only makes it speak up later."""

    stand: Stand
    offers: Offers
    heard: dict[str, list[Heard]] = field(default_factory=dict)

    def hear(self, board: Board, heard: Heard) -> None:
        lines = self.heard.setdefault(board.session.id, [])
        lines.append(heard)
        del lines[:-_HEARD]

    async def __call__(self, due: Due, stage: Stage) -> Sequence[Outgoing]:
        """Raises AtelierError."""
        session, does, *words = due.value.split(" ")
        board = await asyncio.to_thread(self.stand.sessions.ledger.board, session)
        if board is None:
            return ()
        match does:
            case "board":
                return await self._renewed(board, due)
            case "step":
                return await self._stepped(board, due, int(words[0]), stage)
            case "deal":
                return await self._dealt(board, due, int(words[0]))
            case "look":
                return await self._looked(board, due, stage)
            case _:
                return ()

    async def _renewed(self, board: Board, due: Due) -> Sequence[Outgoing]:
        handle = await asyncio.to_thread(self.stand.handle, board, due.place)
        if not handle or (due.place not in board.session.places and not board.session.is_closed):
            return ()
        return [await asyncio.to_thread(self.stand.shown, board, due.place, handle)]

    async def _stepped(self, board: Board, due: Due, step: int, stage: Stage) -> Sequence[Outgoing]:
        """A new step begins below what was written: a board of its own there, and the one before lets go."""
        if await asyncio.to_thread(self._is_past, board, step):
            return ()
        with suppress(Refused):
            await stage.open(due)
        if not stage.handle:
            return ()
        before = await asyncio.to_thread(self.stand.handle, board, due.place)
        await asyncio.to_thread(self.stand.keep, board, due.place, stage.handle)
        said = [await asyncio.to_thread(self.stand.shown, board, due.place)]
        said += await asyncio.to_thread(self.stand.let_go, board, due.place, before, stage.handle)
        if board.session.phase in _SEEN and not board.session.technique:
            said += await asyncio.to_thread(self._map, board, due.place)
        return said

    def _is_past(self, board: Board, step: int) -> bool:
        events = self.stand.sessions.events(board.session.id)
        return any(each.number > step and isinstance(each.act, STEPS) for each in events)

    def _map(self, board: Board, place: Place) -> list[Outgoing]:
        content = map_of(self.stand, board)
        if not content:
            return []
        told = say(board.session.rules.language, "ideation_map")
        return [Outgoing(place, figures_said(self.stand, board), pictures=(Picture(content, told),))]

    async def _dealt(self, board: Board, due: Due, step: int) -> Sequence[Outgoing]:
        """What one person is asked in this round, in private."""
        person = await asyncio.to_thread(self.stand.memory.person, due.account)
        task = self.stand.sessions.task(board, person.id)
        if task is None or not task.private or await asyncio.to_thread(self._is_past, board, step):
            return ()
        connector = self.stand.connectors[due.place.platform]
        try:
            aside = await connector.aside(due.account, due.place)
        except Refused:
            return ()
        await asyncio.to_thread(self.stand.bind, due.account, board)
        return [Outgoing(aside, round_said(self.stand, board, person.id), to=due.account)]

    async def _looked(self, board: Board, due: Due, stage: Stage) -> Sequence[Outgoing]:
        """Timers that ran out, and a word of the facilitator where one is due."""
        stand = self.stand
        if board.session.is_closed:
            self.heard.pop(board.session.id, None)
            return ()
        try:
            done = await asyncio.to_thread(stand.sessions.course.tick, board.session.id)
            board = done.board
            if done.is_new and board.session.phase is Phase.MERGE and not await asyncio.to_thread(stand.alike, board):
                course, target = stand.sessions.course, board.session.next_phase
                moved = await asyncio.to_thread(course.move, board.session.id, None, target, key=f"skip/{due.id}")
                board = moved.board
        except SessionRefused:
            return ()  # somebody closed it meanwhile
        nudge = await asyncio.to_thread(self._nudge, board)
        if nudge is not None:
            log.info("Session %s: %s nudge. %s", board.session.id, nudge.rule, nudge.reason)
            key = f"nudge/{due.id}"
            kept = await asyncio.to_thread(
                stand.sessions.course.nudged, board.session.id, nudge.rule, nudge.reason, nudge.text, key=key
            )
            board, language = kept.board, board.session.rules.language
            text = say_nudge(language, nudge)
            if nudge.rule is facilitator.Rule.STAGNATION and board.session.rules.machine == "stalled":
                text += "\n" + await self.offers.pushed(board, due.id)
            for place in board.session.places:
                told = Outgoing(place, say(language, "ideation_nudge", text=text))
                await stage.delivery.post(f"{due.id}/{place.key}", told)
        if done.is_new or nudge is not None or board.session.due is not None:
            await stand.changed(board, stage.delivery)
        elif await asyncio.to_thread(self._lately, board):  # whatever happens next wakes it again
            await stand.wake(board, stage.delivery)
        return ()

    def _lately(self, board: Board) -> bool:
        last = max(each.at for each in self.stand.sessions.events(board.session.id))
        return last > datetime.now(UTC) - IDLE

    def _nudge(self, board: Board) -> facilitator.Nudge | None:
        stand = self.stand
        (topic,) = stand.vectors.texts([board.session.topic])
        heard = self.heard.get(board.session.id, [])
        vectors = stand.vectors(board.open)
        return facilitator.watch(board, heard, datetime.now(UTC), topic=topic, vectors=vectors)


def say_nudge(language: str, nudge: facilitator.Nudge) -> str:
    """In the session's language, where there are words for it."""
    name = f"ideation_nudge_{nudge.rule}"
    return say(language, name) if language.lower().startswith("de") else nudge.text


def round_said(stand: Stand, board: Board, person: str) -> str:
    """What somebody is asked in private: the sheet before them, the question, and how much is still owed."""
    now, language = board.session, board.session.rules.language
    task, technique = stand.sessions.task(board, person), stand.sessions.technique(board)
    if task is None or technique is None:
        return ""
    head = say(
        language,
        "ideation_round",
        technique=technique.title,
        stage=now.stage + 1,
        stages=stand.stages(board),
        topic=boards.line(now.topic, 300),
    )
    parts = [head, task.text]
    if task.sheet is not None and task.on:
        parts.append("\n".join([say(language, "ideation_sheet"), *(f"• {boards.line(each.text)}" for each in task.on)]))
    elif task.sheet is not None:
        parts.append(say(language, "ideation_sheet_empty"))
    if task.left is not None:
        parts.append(owed_said(language, task.left))
    timer = boards.timer_said(board, datetime.now(UTC))
    return "\n\n".join([*parts, timer] if timer else parts)


def owed_said(language: str, left: int) -> str:
    return say(language, "ideation_owed", count=left) if left else say(language, "ideation_owed_none")
