"""Thinking together in a chat: which commands, messages, reactions and presses are a session's, and what they do there.

In a channel, a group or a thread `/ideate TOPIC` opens a session with a board. Somebody alone with Atelier wants a
partner and no ballot: there it stays the dialogue over a technique, unless they ask for a session.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from agent.buttons import Buttons, Meaning
from agent.events import Command, Due, Opened, Outgoing, Post, Press
from agent.generation.steering import ENDS
from agent.generation.topics import topic_of
from agent.german import language_of
from agent.ideation.acts import Ballot, Phase, Rules
from agent.ideation.board import Board
from agent.ideation.refusals import SessionRefused
from agent.ideation.sessions import Sessions
from agent.ideation.technique import Technique
from agent.ideation.techniques import with_own
from agent.ideation.vectors import IdeaVectors
from agent.message import Place
from agent.support.cases import Cases
from connectors.compose import House
from connectors.connector import Connector, Refused
from connectors.delivery.stage import Stage
from connectors.desk.access import Access
from connectors.desk.ideation_answers import answer, refused_said
from connectors.desk.ideation_board import line
from connectors.desk.ideation_due import Dues
from connectors.desk.ideation_messages import Messages
from connectors.desk.ideation_offers import Offers
from connectors.desk.ideation_stand import KIND, Pace, Stand, here, meant
from connectors.desk.ideation_wishes import Wishes
from connectors.desk.ideation_words import Wish, wish_of
from connectors.desk.names import Names
from connectors.desk.texts import prefix, say

NAMES = frozenset({"ideate", "idea"})
TECHNIQUES = "techniques.toml"  # in the home folder: the team's own
LINK = f"{KIND}-"  # begins the parameter of the address by which ideas are given in private
LASTING = frozenset({"board", "export", "map", "groups", "figures", "results"})  # asked of a session that is over too
LATELY = timedelta(days=14)  # that a session that is over is shown whole where nobody names it
MINUTES = ((Phase.COLLECT, 10.0), (Phase.DISCUSS, 10.0), (Phase.VOTE, 5.0))


@dataclass(frozen=True, slots=True)
class Ideation:
    """post: what comes of messages, and `edited`, `deleted` and `reaction` of what happens to them."""

    stand: Stand
    wishes: Wishes
    dues: Dues
    offers: Offers
    post: Messages

    @classmethod
    def over(
        cls,
        house: House,
        connectors: Mapping[str, Connector],
        access: Access,
        buttons: Buttons,
        pace: Pace | None = None,
    ) -> "Ideation":
        """With the team's own techniques, where the home folder has a file of them. Raises SettingsError."""
        own = house.store.settings.home / TECHNIQUES
        made: list[Offers] = []

        def draw(board: Board, technique: Technique) -> tuple[str, str] | None:
            return made[0].stimuli()(board, technique)

        sessions = Sessions(house.store.engine, with_own(own) if own.exists() else None, draw=draw)
        vectors = IdeaVectors(house.encoder)
        names = Names(connectors)
        stand = Stand(
            house, connectors, access, buttons, sessions, vectors, names, Cases(house.store.engine), pace or Pace()
        )
        made.append(Offers(stand))
        wishes = Wishes(stand, made[0])
        return cls(stand, wishes, Dues(stand, made[0]), made[0], Messages(stand, wishes))

    # Commands and buttons

    async def command(self, command: Command, stage: Stage) -> Sequence[Outgoing] | None:
        """What is said of `/ideate …` or `/idea …`; None where it is for the dialogue of one person."""
        if command.name not in NAMES or not self.stand.access.is_allowed(command.account, command.place):
            return None
        board = await asyncio.to_thread(self.stand.at, command.place, near=True)
        is_private = board is None and command.direct
        if is_private:
            board = await asyncio.to_thread(self.stand.bound, command.account)
        given = command.argument.strip()
        is_idea = command.name == "idea"
        wish = Wish("idea", text=given) if is_idea else wish_of(given, is_running=board is not None)
        if is_private and board is not None and await self.stand.has_left(command.account, board):
            await asyncio.to_thread(self.stand.unbind, command.account, board)
            if wish is not None and wish.verb not in ("help", "join", "new"):
                return [answer(command, self._say(command, "ideation_has_left"))]
            board = None
        if wish is not None and wish.verb == "help":
            if command.direct and not command.argument.strip():
                return None
            return [answer(command, self._say(command, "ideation_help"))]
        if wish is not None and wish.verb == "near":
            return [answer(command, self._say(command, "ideation_meant", near=wish.text, given=given))]
        if wish is not None and wish.verb == "join":
            return await self._join(wish.text, command, stage)
        if wish is None or wish.verb == "new":
            if wish is None and command.direct:
                if is_private and board is not None:  # from now on they think about their own
                    await asyncio.to_thread(self.stand.unbind, command.account, board)
                elif board is not None:
                    topic = board.session.topic
                    return [answer(command, self._say(command, "ideation_open_here", topic=topic))]
                return None
            return await self._open(wish or Wish("new", text=command.argument.strip()), command, stage)
        if board is None and wish.verb in LASTING:
            over = await asyncio.to_thread(self.stand.ended, command.place)
            if over is not None:
                return await self._looked_at(over, wish, command, stage)
        if board is None:
            if command.direct and (wish.verb == "next" or ENDS.match(given)):  # the words for a talk between two
                return None
            return [answer(command, self._say(command, f"ideation_no_session{'_alone' if command.direct else ''}"))]
        there = here(board, command.place)
        if there is not None:  # no command of Slack's names a thread
            command = replace(command, place=there)
        return await self.wishes(board, wish, command, stage)

    async def _looked_at(self, board: Board, wish: Wish, command: Command, stage: Stage) -> Sequence[Outgoing]:
        """What is asked of a session that is over."""
        place = here(board, command.place) or command.place
        if wish.verb == "board":
            ended = await asyncio.to_thread(self.stand.ended_at, board)
            when, topic = f"{ended:%Y-%m-%d}", line(board.session.topic, 300)
            if ended < datetime.now(UTC) - LATELY:
                return [answer(command, self._say(command, "ideation_long_over", topic=topic, when=when))]
            shown = await self.stand.shown(board, place)
            return [replace(shown, to=command.account, notice=self._say(command, "ideation_was_over", when=when))]
        return await self.wishes(board, wish, replace(command, place=place), stage)

    async def order(self, command: Command, stage: Stage) -> Sequence[Outgoing]:
        """`/idea …` where nothing else was said of it."""
        said = await self.command(command, stage)
        return [answer(command, self._say(command, "ideation_no_session"))] if said is None else said

    async def press(self, press: Press, meaning: Meaning, stage: Stage) -> Sequence[Outgoing]:
        """Do what one of our buttons stands for, where it was shown."""
        session, verb, words = meant(meaning)
        is_here = (meaning.place.platform, meaning.place.tenant) == (press.place.platform, press.place.tenant)
        board = await asyncio.to_thread(self.stand.sessions.ledger.board, session)
        if not is_here or meaning.place.channel != press.place.channel or board is None:
            return [answer(press, self._say(press, "expired"))]
        press = replace(press, place=meaning.place)
        if press.place not in board.session.places and await self.stand.has_left(press.account, board):
            return [answer(press, self._say(press, "ideation_has_left"))]
        numbers = tuple(each for each in words if each.isdigit())
        text = press.text.strip() if verb == "add" else "" if numbers or not words else words[0]
        if board.session.is_closed and verb not in ("export", "map"):
            return [answer(press, self._say(press, "ideation_gone_on"))]
        return await self.wishes(board, Wish(verb, numbers, text), press, stage)

    async def _open(self, wish: Wish, event: Command | Post, stage: Stage) -> Sequence[Outgoing] | None:
        """Begin a session; None where Atelier may not write, so that who asked is answered otherwise."""
        if not wish.text:
            return [Outgoing(event.place, self._say(event, "no_topic"), to=event.account)]
        running = await asyncio.to_thread(self.stand.at, event.place)
        if running is not None and not stage.handle:
            topic = running.session.topic
            return [answer(event, self._say(event, "ideation_open_here", topic=topic))]
        try:
            await stage.open(replace(event, account=""))
        except Refused:
            return None
        place = self.stand.connectors[event.place.platform].under(event.place, stage.handle)
        person = await asyncio.to_thread(self.stand.memory.person, event.account)
        topic = await self.stand.names.written(wish.text, event.place)
        rules = rules_of(wish.options, language_of(topic) or event.language)
        try:
            done = await asyncio.to_thread(
                self.stand.sessions.open, place, person, topic, key=stage.key, rules=rules, account=event.account
            )
            board = done.board
            versions = board.reframings or await self.offers.questions(board)
            course = self.stand.sessions.course
            board = (
                await asyncio.to_thread(course.reframe, board.session.id, versions, key=f"{stage.key}/reframe")
            ).board
        except SessionRefused as refused:
            return [Outgoing(event.place, refused_said(event, refused), to=event.account)]
        await asyncio.to_thread(self._stands, board, place, stage.handle, is_root=place != event.place)
        for name, is_so in (("anyone", "anyone" in wish.options), ("shared", event.is_shared)):
            if is_so:
                await asyncio.to_thread(self.stand.note, board, name)
        await self.stand.wake(board, stage.delivery)
        return [replace(await self.stand.shown(board, place), place=event.place)]

    def _stands(self, board: Board, place: Place, handle: str, *, is_root: bool) -> None:
        """The first board of a place; of one that begins its thread more is seen than of later ones."""
        self.stand.keep(board, place, handle)
        if is_root:
            self.stand.keep_root(board, place, handle)

    async def wanted(self, post: Post, stage: Stage) -> Sequence[Outgoing] | None:
        """Somebody in a channel asks for ideas: a session, where a topic is named; else None."""
        topic = topic_of(post.text)
        if re.search(r"\bour\b", post.text):  # as Atelier would say it; it is the group's own question now
            topic = re.sub(r"\byour\b", "our", topic)
        return await self._open(Wish("new", text=topic), post, stage) if topic else None

    async def _join(self, code: str, command: Command, stage: Stage) -> Sequence[Outgoing]:
        """One session in one more place. The code is what lets it in: it stands where the session is held."""
        if command.account.split(":", 2)[1] != command.place.tenant:
            return [answer(command, self._say(command, "ideation_refused_no_session"))]
        person = await asyncio.to_thread(self.stand.memory.person, command.account)
        if command.direct:
            session = await asyncio.to_thread(self.stand.sessions.ledger.by_code, code, command.place.tenant)
            if session is None:
                return [answer(command, self._say(command, "ideation_refused_no_session"))]
            return await self._writes(session, command, stage)
        try:
            await stage.open(replace(command, account=""))
            place = self.stand.connectors[command.place.platform].under(command.place, stage.handle)
            done = await asyncio.to_thread(self.stand.sessions.join_place, code, place, person, key=stage.key)
        except SessionRefused as refused:
            return [Outgoing(command.place, refused_said(command, refused), to=command.account)]
        board = done.board
        await asyncio.to_thread(self._stands, board, place, stage.handle, is_root=place != command.place)
        if command.is_shared:
            await asyncio.to_thread(self.stand.note, board, "shared")
        await self.stand.changed(board, stage.delivery)
        return [replace(await self.stand.shown(board, place), place=command.place)]

    # The rest

    async def opened(self, event: Opened, stage: Stage) -> Sequence[Outgoing] | None:
        """Somebody came by a session's address to give ideas in private; None for any other."""
        if not event.parameter.startswith(LINK) or not self.stand.access.is_allowed(event.account, event.place):
            return None
        code = event.parameter.removeprefix(LINK)
        session = await asyncio.to_thread(self.stand.sessions.ledger.by_code, code, event.place.tenant)
        command = Command(event.id, event.place, event.account, "ideate", "write", True, event.language)  # noqa: FBT003 - they are alone here
        if session is None:
            return [answer(command, self._say(command, "ideation_refused_no_session"))]
        return await self._writes(session, command, stage)

    async def _writes(self, session: str, command: Command, stage: Stage) -> Sequence[Outgoing]:
        """Somebody will give ideas in private, who knows the session's code; not who was in its channel and left."""
        board = await asyncio.to_thread(self.stand.sessions.board, session)
        if await self.stand.has_left(command.account, board):
            return [answer(command, self._say(command, "ideation_has_left"))]
        return await self.wishes(board, Wish("write"), command, stage)

    async def due(self, due: Due, stage: Stage) -> Sequence[Outgoing]:
        return await self.dues(due, stage)

    def _say(self, event: Command | Press | Post, name: str, /, **values: object) -> str:
        return say(event.language, name, p=prefix(event.place.platform), **values)


def rules_of(options: dict[str, str], language: str) -> Rules:
    """How a session is held, from what stood in front of its topic."""
    is_blind = "blind" in options or "private" in options
    phases = tuple(each for each in Phase if is_blind or each is not Phase.REVEAL)
    minutes: tuple[tuple[Phase, float], ...] = MINUTES
    if "minutes" in options:
        minutes = tuple((phase, float(options["minutes"])) for phase, _ in MINUTES)
    return Rules(
        blind=is_blind,
        minutes=minutes,
        ballot=Ballot.PAIRS if "pairs" in options else Ballot.DOTS,
        dots=int(options.get("dots", "3")),
        machine="asked" if "quiet" in options else "stalled",
        nudges="quiet" not in options,
        language=language,
        phases=phases,
    )
