"""Thinking together in a chat: which commands, messages, reactions and presses are a session's, and what they do there.

In a channel, a group or a thread `/ideate TOPIC` opens a session with a board. Somebody alone with Atelier wants a
partner and no ballot: there it stays the dialogue over a technique, unless they ask for a session.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from agent.buttons import Buttons, Meaning
from agent.events import Command, Deleted, Due, Edited, Opened, Outgoing, Post, Press, Reaction
from agent.generation.facilitate import topic_of
from agent.ideation.acts import Added, Ballot, Kind, Phase, Rules
from agent.ideation.board import Board
from agent.ideation.facilitator import Heard
from agent.ideation.ledger import digest
from agent.ideation.refusals import SessionRefused
from agent.ideation.sessions import Sessions
from agent.ideation.technique import Technique
from agent.ideation.techniques import with_own
from agent.ideation.vectors import IdeaVectors
from agent.message import Place, Sentiment
from agent.surface import looks_like_question
from connectors.compose import House
from connectors.connector import Connector, Refused
from connectors.delivery.queue import name_of
from connectors.delivery.stage import Stage
from connectors.desk.access import Access
from connectors.desk.ideation_due import Dues, owed_said
from connectors.desk.ideation_offers import Offers
from connectors.desk.ideation_stand import KIND, Pace, Stand, here, meant
from connectors.desk.ideation_wishes import Wishes, answer, refused_said
from connectors.desk.ideation_words import Wish, ideas_in, wish_of
from connectors.desk.texts import prefix, say

NAMES = frozenset({"ideate", "idea"})
TECHNIQUES = "techniques.toml"  # in the home folder: the team's own
LINK = f"{KIND}-"  # begins the parameter of the address by which ideas are given in private
MINUTES = ((Phase.COLLECT, 10.0), (Phase.DISCUSS, 10.0), (Phase.VOTE, 5.0))
BULB = "💡"
_REMEMBERED = 500  # messages that a reaction may still make an idea of, where the platform cannot be asked


@dataclass(frozen=True, slots=True)
class Ideation:
    """seen: the latest messages of places with a session, for platforms that cannot look one up; in memory only.

    insisted: what a technique put off for later, by who wrote it: sent again it is taken.
    """

    stand: Stand
    wishes: Wishes
    dues: Dues
    offers: Offers
    seen: "OrderedDict[str, Post]" = field(default_factory=OrderedDict)
    insisted: dict[str, str] = field(default_factory=dict)

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
        stand = Stand(house, connectors, access, buttons, sessions, vectors, pace or Pace())
        made.append(Offers(stand))
        return cls(stand, Wishes(stand, made[0]), Dues(stand, made[0]), made[0])

    # Commands and buttons

    async def command(self, command: Command, stage: Stage) -> Sequence[Outgoing] | None:
        """What is said of `/ideate …` or `/idea …`; None where it is for the dialogue of one person."""
        if command.name not in NAMES or not self.stand.access.is_allowed(command.account, command.place):
            return None
        board = await asyncio.to_thread(self.stand.at, command.place, near=True)
        if board is None and command.direct:
            board = await asyncio.to_thread(self.stand.bound, command.account)
        given = command.argument.strip()
        is_idea = command.name == "idea"
        wish = Wish("idea", text=given) if is_idea else wish_of(given, is_running=board is not None)
        if wish is not None and wish.verb == "help":
            if command.direct and not command.argument.strip():
                return None
            return [answer(command, self._say(command, "ideation_help"))]
        if wish is not None and wish.verb == "join":
            return await self._join(wish.text, command, stage)
        if wish is None or wish.verb == "new":
            if wish is None and command.direct:
                return None
            return await self._open(wish or Wish("new", text=command.argument.strip()), command, stage)
        if board is None:
            if command.direct and wish.verb == "next":  # the word for a talk between two
                return None
            return [answer(command, self._say(command, f"ideation_no_session{'_alone' if command.direct else ''}"))]
        there = here(board, command.place)
        if there is not None:  # no command of Slack's names a thread
            command = replace(command, place=there)
        return await self.wishes(board, wish, command, stage)

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
            return [answer_any(event, self._say(event, "ideation_open_here", topic=topic))]
        try:
            await stage.open(replace(event, account=""))
        except Refused:
            return None
        place = self.stand.connectors[event.place.platform].under(event.place, stage.handle)
        person = await asyncio.to_thread(self.stand.memory.person, event.account)
        rules = rules_of(wish.options, event.language)
        try:
            done = await asyncio.to_thread(
                self.stand.sessions.open, place, person, wish.text, key=stage.key, rules=rules, account=event.account
            )
            board = done.board
            versions = board.reframings or await self.offers.questions(board.session.topic)
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
        return [replace(await asyncio.to_thread(self.stand.shown, board, place), place=event.place)]

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
            board = await asyncio.to_thread(self.stand.sessions.board, session)
            return await self.wishes(board, Wish("write"), command, stage)
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
        return [replace(await asyncio.to_thread(self.stand.shown, board, place), place=command.place)]

    # Messages

    async def post(self, post: Post, stage: Stage) -> Sequence[Outgoing] | None:
        """What is said of a message in a session; None where it is for Atelier itself, or there is no session."""
        board = await asyncio.to_thread(self.stand.at, post.place)
        if board is None and post.direct:
            board = await asyncio.to_thread(self.stand.bound, post.account)
        if board is None or not self.stand.access.is_allowed(post.account, post.place):
            return None
        self._remember(post)
        is_asked = post.called and looks_like_question(post.text) and not post.direct
        found = () if is_asked else ideas_in(post.text, questions=self._wants_questions(board))
        if board.session.phase is not Phase.COLLECT or not found:
            await asyncio.to_thread(self._hear, board, post)
            return None if post.called or post.direct else ()
        return await self._add(board, post, found, stage)

    def _wants_questions(self, board: Board) -> bool:
        stage = self.stand.stage(board)
        return stage is not None and stage.takes is Kind.QUESTION

    async def _add(self, board: Board, post: Post, found: Sequence[str], stage: Stage) -> Sequence[Outgoing]:
        person = await asyncio.to_thread(self.stand.memory.person, post.account)
        made: list[str] = []
        refusals: list[str] = []
        for number, text in enumerate(found):
            insists = self.insisted.pop(post.account, "") == text
            key = idea_key(post.place, post.id, number)
            try:
                done = await asyncio.to_thread(
                    self.stand.sessions.add,
                    board.session.id,
                    person,
                    text,
                    key=key,
                    place=post.place,
                    account=post.account,
                    insists=insists,
                )
            except SessionRefused as refused:
                if len(self.insisted) >= _REMEMBERED:
                    self.insisted.clear()
                self.insisted[post.account] = text
                refusals.append(refused_said(post, refused))
                continue
            board = done.board
            if done.idea is not None:
                made.append(done.idea.id)
        await asyncio.to_thread(self._hear, board, post)
        await self.stand.changed(board, stage.delivery)
        said = list(dict.fromkeys(refusals))
        if post.direct:
            said = [*self._noted(board, post, made), *said]
            task = self.stand.sessions.task(board, person.id)
            if task is not None and task.left is not None:
                said.append(owed_said(post.language, task.left))
        if not said:
            return ()
        return [answer_any(post, "\n".join(said))]

    def _noted(self, board: Board, post: Post, made: Sequence[str]) -> list[str]:
        if not made:
            return []
        if len(made) > 1:
            return [self._say(post, "ideation_noted_many", ideas=", ".join(made))]
        idea = board.idea(made[0])
        hidden = "_private" if idea is not None and board.is_hidden(idea) else ""
        return [self._say(post, f"ideation_noted{hidden}", idea=made[0])]

    def _hear(self, board: Board, post: Post) -> None:
        """What the facilitator watches: who speaks, when, in what tone, about what."""
        if not post.text.strip():
            return
        heard = self.stand.house.colleague.understand(post.text)
        negative = heard.sentiment_confidence if heard.sentiment is Sentiment.NEGATIVE else 0.0
        person = self.stand.memory.person(post.account).id
        self.dues.hear(board, Heard(person, datetime.now(UTC), negative, heard.embedding))

    def _remember(self, post: Post) -> None:
        self.seen[name_of(post.place, post.id)] = post
        while len(self.seen) > _REMEMBERED:
            self.seen.popitem(last=False)

    async def reaction(self, reaction: Reaction, stage: Stage) -> bool:
        """A 💡 makes an idea of anybody's message in a channel with a session; whether this one was for that."""
        if reaction.emoji.rstrip("\ufe0f") != BULB or not reaction.is_added:
            return False
        if await asyncio.to_thread(stage.delivery.answered, reaction.place, reaction.message):
            return False  # on a message of Atelier's it is praise
        name = name_of(reaction.place, reaction.message)
        board = await asyncio.to_thread(self.stand.at, reaction.place, near=True)
        if board is None:
            return False
        post = self.seen.get(name)
        if post is None:
            post = await self.stand.connectors[reaction.place.platform].said(reaction.place, reaction.message)
        text = " ".join(post.text.split()) if post is not None else ""
        allowed = self.stand.access.is_allowed
        if (
            post is None
            or not text
            or not (allowed(post.account, post.place) and allowed(reaction.account, post.place))
        ):
            return False
        exact = await asyncio.to_thread(self.stand.at, post.place)
        session = (exact or board).session.id
        author = await asyncio.to_thread(self.stand.memory.person, post.account)
        key = idea_key(post.place, post.id, 0)
        try:
            done = await asyncio.to_thread(
                self.stand.sessions.add, session, author, text, key=key, place=post.place, account=post.account
            )
        except SessionRefused:
            return True  # it is on the board already, or nothing can be added now
        await self.stand.changed(done.board, stage.delivery)
        return True

    async def edited(self, event: Edited, stage: Stage) -> bool:
        """Whoever changes a message that became an idea changes the idea; whether it was one."""
        found = await asyncio.to_thread(self._idea_of, event.place, event.message, event.account)
        if found is None:
            return False
        board, idea = found
        person = await asyncio.to_thread(self.stand.memory.person, event.account)
        words = ideas_in(event.text, questions=True)
        try:
            act = self.stand.sessions.edit
            text = words[0] if words else event.text
            done = await asyncio.to_thread(act, board.session.id, person, idea, text, key=stage.key)
        except SessionRefused:
            return True
        await self.stand.changed(done.board, stage.delivery)
        return True

    async def deleted(self, event: Deleted, stage: Stage) -> None:
        """Whoever takes a message back takes the idea back, as long as it stands as it was written."""
        found = await asyncio.to_thread(self._idea_of, event.place, event.message, "")
        if found is None:
            return
        board, idea = found
        try:
            act = self.stand.sessions.withdraw
            done = await asyncio.to_thread(act, board.session.id, None, idea, key=stage.key)
        except SessionRefused:
            return
        await self.stand.changed(done.board, stage.delivery)

    def _idea_of(self, place: Place, message: str, account: str) -> tuple[Board, str] | None:
        board = self.stand.at(place) or (self.stand.bound(account) if account else None)
        if board is None:
            return None
        key = digest(idea_key(place, message, 0))
        acts = (each.act for each in self.stand.sessions.events(board.session.id) if each.key == key)
        made = next((act.idea for act in acts if isinstance(act, Added)), None)
        return (board, made) if made is not None else None

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
        board = await asyncio.to_thread(self.stand.sessions.board, session)
        return await self.wishes(board, Wish("write"), command, stage)

    async def due(self, due: Due, stage: Stage) -> Sequence[Outgoing]:
        return await self.dues(due, stage)

    def _say(self, event: Command | Press | Post, name: str, /, **values: object) -> str:
        return say(event.language, name, p=prefix(event.place.platform), **values)


def idea_key(place: Place, message: str, number: int) -> str:
    """The same for a message however it becomes an idea, so that it becomes one only once."""
    name = f"idea/{name_of(place, message)}"
    return f"{name}/{number}" if number else name


def answer_any(event: Command | Post, text: str) -> Outgoing:
    """For who wrote: in a channel of Slack for them alone."""
    said = Outgoing(event.place, text, to=event.account)
    return replace(said, audience="one") if event.place.platform == "slack" and not event.direct else said


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
