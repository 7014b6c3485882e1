"""What a session does of its own accord: steps that begin, boards that are renewed, rounds, timers, nudges."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.events import Due, Outgoing, Picture
from agent.ideation import facilitator
from agent.ideation.acts import Nudged, Phase, Sparked, Spoken
from agent.ideation.board import Board
from agent.ideation.facilitator import Heard
from agent.ideation.refusals import SessionRefused
from agent.message import Place
from connectors.connector import Refused, Throttled
from connectors.delivery.stage import Stage
from connectors.desk import ideation_board as boards
from connectors.desk.ideation_offers import Offers
from connectors.desk.ideation_outcome import figures_said, keep_ideas, map_of
from connectors.desk.ideation_stand import STEPS, Stand
from connectors.desk.texts import say

log = logging.getLogger(__name__)

IDLE = timedelta(hours=6)  # after which a session that nothing happens in is not looked at any more
_HEARD = 12  # lines of a session that the facilitator looks back on
HELD = 20.0  # seconds until it is seen again whether a person still has the conversation
_SEEN = frozenset({Phase.REVEAL, Phase.MERGE, Phase.DISCUSS, Phase.DECIDE})  # steps that begin with a map


@dataclass(frozen=True, slots=True)
class Dues:
    """Where a person of support has the conversation, nothing of this is said until they are done."""

    stand: Stand
    offers: Offers

    async def __call__(self, due: Due, stage: Stage) -> Sequence[Outgoing]:
        """Raises AtelierError; Throttled, so that it is tried again, while a person has the conversation."""
        session, does, *words = due.value.split(" ")
        board = await asyncio.to_thread(self.stand.sessions.ledger.board, session)
        if board is None:
            return ()
        if does in ("board", "step") and await asyncio.to_thread(self.stand.is_held, due.place):
            raise Throttled("A person has this conversation.", HELD)
        match does:
            case "board":
                return await self._renewed(board, due)
            case "step":
                return await self._stepped(board, due, int(words[0]), stage)
            case "deal":
                return await self._dealt(board, due, int(words[0]), stage)
            case "look":
                return await self._looked(board, due, stage)
            case _:
                return ()

    async def _renewed(self, board: Board, due: Due) -> Sequence[Outgoing]:
        handle = await asyncio.to_thread(self.stand.handle, board, due.place)
        if not handle or (due.place not in board.session.places and not board.session.is_closed):
            return ()
        return [await self.stand.shown(board, due.place, handle)]

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
        said = [await self.stand.shown(board, due.place)]
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

    async def _dealt(self, board: Board, due: Due, step: int, stage: Stage) -> Sequence[Outgoing]:
        """What one person is asked in this round, in private, behind what they are being answered there."""
        person = await asyncio.to_thread(self.stand.memory.person, due.account)
        task = self.stand.sessions.task(board, person.id)
        if task is None or not task.private or await asyncio.to_thread(self._is_past, board, step):
            return ()
        if await self.stand.has_left(due.account, board):
            return ()
        connector = self.stand.connectors[due.place.platform]
        try:
            aside = await connector.aside(due.account, due.place)
        except Refused:
            return ()
        if await asyncio.to_thread(self.stand.is_held, aside):
            raise Throttled("A person has this conversation.", HELD)
        await asyncio.to_thread(self.stand.bind, due.account, board)
        sheet = Outgoing(aside, round_said(self.stand, board, person.id), to=due.account)
        await stage.delivery.post(f"{due.id}/sheet", sheet)
        return ()

    async def _looked(self, board: Board, due: Due, stage: Stage) -> Sequence[Outgoing]:
        """Timers that ran out, and a word of the facilitator where one is due."""
        stand = self.stand
        if board.session.is_closed:  # what a crash may have kept from following
            await asyncio.to_thread(keep_ideas, stand, board)
            await stand.step(board, stage.delivery)
            return ()
        held = [each for each in board.session.places if await asyncio.to_thread(stand.is_held, each)]
        if held and len(held) == len(board.session.places):
            raise Throttled("A person has this conversation.", HELD)
        try:
            done = await asyncio.to_thread(stand.sessions.course.tick, board.session.id)
            board = done.board
            if done.is_new and board.session.phase is Phase.MERGE and not await asyncio.to_thread(stand.alike, board):
                course, target = stand.sessions.course, board.session.next_phase
                moved = await asyncio.to_thread(course.move, board.session.id, None, target, key=f"skip/{due.id}")
                board = moved.board
        except SessionRefused:
            return ()  # somebody closed it meanwhile
        if text := await asyncio.to_thread(self._nudged, board, f"nudge/{due.id}"):
            board = await asyncio.to_thread(stand.sessions.board, board.session.id)
            for place in (each for each in board.session.places if each not in held):
                told = Outgoing(place, say(board.session.rules.language, "ideation_nudge", text=text))
                await stage.delivery.post(f"{due.id}/{place.key}", told)
        if done.is_new or text or board.session.due is not None:
            await stand.changed(board, stage.delivery)
        elif await asyncio.to_thread(self._lately, board):  # whatever happens next wakes it again
            await stand.step(board, stage.delivery)
            await stand.wake(board, stage.delivery)
        return ()

    def _lately(self, board: Board) -> bool:
        last = max(each.at for each in self.stand.sessions.events(board.session.id))
        return last > datetime.now(UTC) - IDLE

    def _nudged(self, board: Board, key: str) -> str:
        """What the facilitator says at this look, or said at it before a crash kept it from being shown; or nothing."""
        sessions, session = self.stand.sessions, board.session.id
        if sessions.ledger.act(session, key) is None:
            nudge = self._nudge(board)
            if nudge is None:
                return ""
            is_stalled = nudge.rule is facilitator.Rule.STAGNATION and board.session.rules.machine == "stalled"
            drawn = self.offers.pushed(board) if is_stalled else None
            spark = None if drawn is None else (drawn.text, drawn.source)
            if sessions.course.nudged(session, nudge.rule, nudge.reason, key=key, spark=spark).is_new:
                log.info("Session %s: %s nudge. %s", session, nudge.rule, nudge.reason)
        said, spark_said = sessions.ledger.act(session, key), sessions.ledger.act(session, f"{key}/spark")
        text = say(board.session.rules.language, f"ideation_nudge_{said.rule}") if isinstance(said, Nudged) else ""
        return f"{text}\n{self.offers.asked(board, spark_said.text)}" if isinstance(spark_said, Sparked) else text

    def _nudge(self, board: Board) -> facilitator.Nudge | None:
        stand = self.stand
        (topic,) = stand.vectors.texts([board.session.topic])
        said = [each for each in stand.sessions.events(board.session.id) if isinstance(each.act, Spoken)][-_HEARD:]
        lines = stand.vectors.texts([each.act.text for each in said if isinstance(each.act, Spoken)])
        heard = [
            Heard(each.person, each.at, each.act.negative, vector)
            for each, vector in zip(said, lines, strict=True)
            if isinstance(each.act, Spoken)
        ]
        vectors = stand.vectors(board.open)
        return facilitator.watch(board, heard, datetime.now(UTC), topic=topic, vectors=vectors)


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
