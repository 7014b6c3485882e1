"""Every event of every platform comes here and leaves as what is to be said, perhaps nothing."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from agent.buttons import Buttons, Meaning, id_for
from agent.channels import ChannelRules, Rule, is_addressed
from agent.colleague import STOPPED
from agent.events import (
    Arrived,
    Button,
    Command,
    Deleted,
    Due,
    Edited,
    Event,
    Joined,
    Left,
    Moved,
    Opened,
    Outgoing,
    Post,
    Press,
    Reaction,
)
from agent.generation.generator import Piece
from agent.generation.steering import ENDS
from agent.guard import LONGEST_MESSAGE
from agent.memory import Memory
from agent.message import Line, Message, Move, Turn
from connectors.compose import House
from connectors.connector import Connector, Refused
from connectors.delivery.queue import name_of
from connectors.delivery.stage import Stage
from connectors.desk.access import Access, Limiter, short
from connectors.desk.changes import Changes
from connectors.desk.conversations import is_known
from connectors.desk.files import read_files
from connectors.desk.ideation import Ideation
from connectors.desk.opinion import OpinionDesk
from connectors.desk.orders import LINK, Orders
from connectors.desk.standing import standing
from connectors.desk.support import Handover
from connectors.desk.texts import prefix, say, translated
from retrieval.errors import MessageRefused

EARLIER = 20  # lines of a thread that are read when Atelier is first called into it
RATABLE = 30 * 24 * 60  # minutes that the buttons under an answer work
SHOWN_EVERY = 0.2  # seconds between two looks whether the platform takes a preview: it takes one in half a second
RARELY = 5.0  # seconds between two previews while more people wait than are answered
STOPPABLE = 60  # minutes that the button to stop an answer works
MOST_ASKED = 10_000  # persons of whom this is remembered here
LINGER = 2.0  # seconds that a stopped answer has for the piece it is at
ASKING = {"ideate": Move.IDEATE, "ask": None}  # commands that are messages with a wish
Heard = TypeVar("Heard", Post, Command, Press, Opened, Edited, Joined)
GOOD, BAD = frozenset("👍❤💡🎉✅"), frozenset("👎")


@dataclass(frozen=True, slots=True)
class Desk:
    """Pure routing over the house. Safe for many events at once; those of one conversation come one by one."""

    house: House
    connectors: Mapping[str, Connector]
    access: Access
    people: Limiter
    channels: Limiter
    rules: ChannelRules
    buttons: Buttons
    orders: Orders
    changes: Changes
    due: Callable[[Due, Stage], Awaitable[Sequence[Outgoing]]]
    handover: Handover
    ideation: Ideation
    opinion: OpinionDesk
    asked: set[str] = field(default_factory=set)  # persons who have been asked for consent, which is for good

    @property
    def memory(self) -> Memory:
        return self.house.store.memory

    async def __call__(self, event: Event, stage: Stage) -> Sequence[Outgoing]:
        """What is to be said. An event may come again after a crash: then the same is said. Raises AtelierError."""
        match event:
            case Post():
                return await self._post(event, stage)
            case Command():
                return await self._command(await self._heard(event), stage)
            case Press():
                event = await self._heard(event)
                said = await self.orders.press(event, stage)
                return await self._wished(said, stage) if isinstance(said, Post) else said
            case Reaction():
                if await self.ideation.post.reaction(event, stage):
                    return ()
                return await asyncio.to_thread(self._react, event, stage)
            case Opened():
                event = await self._heard(event)
                came = await self.ideation.opened(event, stage)
                return await asyncio.to_thread(self._open, event) if came is None else came
            case Joined():
                text = "joined" if event.sees_all else "joined_blind"
                language = (await self._heard(event)).language
                return [Outgoing(event.place, say(language, text, rule=f"{prefix(event.place.platform)}rule"))]
            case Edited():
                await self.opinion.hear(event, stage)
                if (taken := await self.handover.hear(event, stage)) is not None:
                    return taken
                if await self.ideation.post.edited(event, stage):
                    return ()
                changed = await self.changes.edited(await self._heard(event), stage)
                if isinstance(changed, Post):
                    stage.message = name_of(changed.place, changed.id)  # a further change finds the answer to it
                    return await self._post(changed, stage)
                return changed
            case Deleted():
                await self.ideation.post.deleted(event, stage)
                await self.handover.deleted(event)
                await self.changes.deleted(event, stage)
                await self.opinion.deleted(event)
            case Left():
                await self.handover.left(event.place, stage)
                await self.changes.left(event, stage)
            case Moved():
                return await self.changes.moved(event)
            case Due():
                return await self.due(event, stage)
            case Arrived():
                language = await self._language(event.account, event.place.platform)
                told = await self.changes.arrived(event, language)
                return [*told, *await self.opinion.arrived(event, language)]
            case _:
                pass
        return ()

    async def _language(self, account: str, platform: str) -> str:
        return await self.connectors[platform].language(account) if account else ""

    async def _heard(self, event: Heard) -> Heard:
        """The event with its person's language, where the platform tells it only when asked."""
        if event.language or event.place.platform not in self.connectors:
            return event
        language = await self._language(event.account, event.place.platform)
        return replace(event, language=language) if language else event

    async def _command(self, command: Command, stage: Stage) -> Sequence[Outgoing]:
        is_asking = command.name in ASKING and command.argument.strip()
        if is_asking and (taken := await self.handover.hear(_as_post(command), stage)) is not None:
            return taken
        if (thought := await self.ideation.command(command, stage)) is not None:
            return thought
        if is_asking:
            wanted = None if ENDS.match(command.argument) else ASKING[command.name]
            return await self._answer(_as_post(command), stage, wanted)
        is_leaving = command.name == "forget" and command.argument.strip().lower() == "yes"
        theirs = await self.handover.live_of(command.account) if is_leaving else ()
        if is_leaving and self.access.is_allowed(command.account, command.place):
            await self.opinion.leaving(command.account, stage)
        said = await self.orders(command, stage)
        for case in theirs:  # whoever has one should not go on writing to nobody
            await self.handover.call(case, "gone", stage)
        return said

    async def _wished(self, post: Post, stage: Stage) -> Sequence[Outgoing]:
        """What a button asks; where a person has the conversation, it goes to them."""
        taken = await self.handover.hear(post, stage)
        return await self._answer(post, stage, None) if taken is None else taken

    def apology(self, event: Event) -> Outgoing:
        """For an event whose answer failed for good."""
        return Outgoing(event.place, say(getattr(event, "language", ""), "apology"), to=getattr(event, "account", ""))

    async def _post(self, post: Post, stage: Stage) -> Sequence[Outgoing]:
        await self.opinion.hear(post, stage)
        if (taken := await self.handover.hear(post, stage)) is not None:
            if not taken and await self.handover.is_beside(post):
                await self.ideation.post(post, stage)  # others there think on: it is kept, and nothing said
            return taken
        if (taken := await self.ideation.post(post, stage)) is not None:
            return taken
        rule, followed = Rule.THREAD, False
        if not post.direct:  # else nobody but Atelier reads along, and no rule counts
            rule = await asyncio.to_thread(self.rules.rule, post.place)
            followed = bool(post.place.thread) and await asyncio.to_thread(self.rules.is_followed, post.place)
        addressed, _ = is_addressed(post, rule, followed=followed)
        if not addressed:
            return ()
        if stage.has_more and not stage.handle:  # nothing is shown of it yet
            if (now := await self.changes.latest(post, stage)) is None:
                return ()
            post = now
        post = await self._heard(post)
        if post.replies_to and (thanks := await asyncio.to_thread(self.orders.reason, post, stage)) is not None:
            return thanks
        if not (post.text.strip() or post.files):
            return [Outgoing(post.place, say(post.language, "called", p=prefix(post.place.platform)), to=post.account)]
        is_overheard = not (post.direct or post.called or rule is Rule.ALWAYS or stage.handle)
        if is_overheard and not await self.house.colleague.is_meant(post.text, post.place):
            return ()
        if (opened := await self._opened(post, stage)) is not None:
            return opened
        return await self._answer(post, stage, None)

    async def _opened(self, post: Post, stage: Stage) -> Sequence[Outgoing] | None:
        """A session, where somebody calls Atelier among others and asks for ideas; else None."""
        if post.direct or not post.called or not self.access.is_allowed(post.account, post.place):
            return None
        is_wanted = await self.house.colleague.wants_ideas(post.text, post.place)
        return await self.ideation.wanted(post, stage) if is_wanted else None

    async def _answer(self, post: Post, stage: Stage, wanted: Move | None) -> Sequence[Outgoing]:
        refusal = None if stage.handle else self._refusal(post, stage)  # what was begun before a crash is taken on
        if refusal is not None:
            return [Outgoing(post.place, refusal, to=post.account)] if refusal else ()
        with suppress(Refused):  # a command can be given where Atelier may not write: its answer finds another way
            await self._begin(post, stage)
        if post.place.thread:
            await asyncio.to_thread(self.rules.follow, post.place)
        person, readers = await standing(post, self.access, self.connectors[post.place.platform])
        author = await asyncio.to_thread(self.memory.person, post.account, person)
        notes = await read_files(post, self.connectors[post.place.platform], self.house.knowledge, author.id)
        if notes and not post.text.strip():
            return [Outgoing(post.place, "\n".join(notes), to=post.account)]
        message = Message(stage.message, post.place, author, post.text, post.sent, readers, post.language)
        try:
            made = await self._made(post, message, stage, wanted)
        except MessageRefused as refused:
            count = len(post.text)
            too_long = say(post.language, "too_long", count=count, limit=LONGEST_MESSAGE)
            said = too_long if count > LONGEST_MESSAGE else str(refused)
            return [Outgoing(post.place, said, notice=" ".join(notes), to=post.account)]
        if isinstance(made, Turn):
            await self._ask_consent(post, author.id, stage)
            shown = self._shown(post, made, notes, stage)
            return [await self.handover.after(post, made, shown, stage)]
        notice = " ".join([*notes, translated(post.language, STOPPED) if made else ""]).strip()
        return [Outgoing(post.place, made or say(post.language, "stopped"), notice=notice, to=post.account)]

    def _refusal(self, post: Post, stage: Stage) -> str | None:
        """Why this one is not answered, `""` when that needs no saying; None when it is."""
        if not self.access.is_allowed(post.account, post.place):
            is_asked = post.direct or post.called
            return say(post.language, "not_allowed", account=short(post.account)) if is_asked else ""
        busy = [(self.people, post.account, "too_many")]
        if not post.direct:
            busy.append((self.channels, f"{post.place.platform}:{post.place.channel}", "too_many_here"))
        for limiter, who, text in busy:
            seconds, told = limiter.wait(who)
            if seconds:
                return "" if told else say(post.language, text, limit=limiter.limit, seconds=int(seconds) + 1)
        return say(post.language, "busy") if stage.is_excess else None

    async def _begin(self, post: Post, stage: Stage) -> None:
        """Show that an answer is on its way, with a button to stop it, which is stored together with that."""
        button = id_for(f"stop/{stage.key}")
        keep = self.buttons.keeping({button: Meaning("stop", str(stage.event), post.place)}, STOPPABLE)
        await stage.open(post, Button(button, say(post.language, "stop")), along=[keep])

    async def _made(self, post: Post, message: Message, stage: Stage, wanted: Move | None) -> Turn | str:
        """The turn, perhaps from before a crash; where it was stopped and is not remembered, what was shown of it."""
        if not stage.is_first and (turn := await asyncio.to_thread(self.memory.turn_for, message.id)) is not None:
            return turn
        earlier: Sequence[Line] = ()
        if post.place.thread and not await asyncio.to_thread(self.memory.turns, post.place, 1):
            earlier = await self.connectors[post.place.platform].earlier(post.place, post.id, EARLIER)
        said = _Said()

        def keep(turn: Turn) -> None:
            stage.along.append(self.memory.keeping(turn))

        escalated = self.handover.escalated(post)
        answering = self.house.colleague.reply(
            message,
            wanted,
            earlier=earlier,
            is_resumed=True,
            escalated=escalated,
            keep=keep if escalated is None else None,  # a case is about turns that are in memory
        )
        async with aclosing(answering) as replies:
            making = asyncio.create_task(said.hear(replies, post, stage))
            stopping = asyncio.create_task(stage.stopped.wait())
            try:
                await asyncio.wait({making, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not making.done():  # a reply is remembered only when it is closed between two pieces
                    await asyncio.wait({making}, timeout=LINGER)
                if making.done() and (turn := making.result()) is not None:
                    return turn
            finally:
                making.cancel()
                stopping.cancel()
                await asyncio.gather(making, stopping, return_exceptions=True)  # only then can the reply be closed
        return await asyncio.to_thread(self.memory.turn_for, message.id) or said.text

    def _shown(self, post: Post, turn: Turn, notes: Sequence[str], stage: Stage) -> Outgoing:
        """The answer with its buttons."""
        reply = turn.reply
        buttons = self._thumbs(post, turn, stage)
        notice = " ".join([*notes, translated(post.language, reply.notice)]).strip()
        return Outgoing(post.place, reply.text or "…", reply.sources, notice, buttons=buttons, to=post.account)

    async def _ask_consent(self, post: Post, person: str, stage: Stage) -> None:
        """After the first answer in private, once.

        The question has a key of its own in the queue, however often it is put there, and counts as asked only when it
        is safe there.
        """
        if not post.direct or person in self.asked:
            return
        if not await asyncio.to_thread(self.memory.people.is_consent_asked, person):
            question, keep = self.orders.consent_question(post, person)
            await stage.delivery.post(f"consent/{person}", question, along=[keep])
            await asyncio.to_thread(self.memory.people.mark_consent_asked, person)
        if len(self.asked) >= MOST_ASKED:
            self.asked.clear()
        self.asked.add(person)

    def _thumbs(self, post: Post, turn: Turn, stage: Stage) -> tuple[Button, ...]:
        good, bad, why = (id_for(f"rate/{turn.id}/{number}") for number in range(3))
        value = f"{turn.id} {post.language}"
        kinds = {good: "good", bad: "bad", why: "why"}
        meanings = {made: Meaning(kind, value, post.place) for made, kind in kinds.items()}
        stage.along.append(self.buttons.keeping(meanings, RATABLE))
        asking = Button(why, say(post.language, "why_label"))
        return Button(good, "👍"), Button(bad, "👎", say(post.language, "ask_reason")), asking

    def _react(self, event: Reaction, stage: Stage) -> Sequence[Outgoing]:
        """A reaction on an answer rates it, until it is taken back."""
        bare = event.emoji.rstrip("\ufe0f")
        is_allowed = self.access.is_allowed(event.account, event.place)
        if is_allowed and (bare in GOOD or bare in BAD):
            self.orders.rate_message(event, 1 if bare in GOOD else -1, stage)
        return ()

    def _open(self, event: Opened) -> Sequence[Outgoing]:
        """Telegram tells when somebody presses Start. Slack tells of every look: they are greeted at the first."""
        is_glance = event.place.platform == "slack"
        if is_glance and event.parameter == "home":
            return ()
        if not self.access.is_allowed(event.account, event.place):
            refusal = say(event.language, "not_allowed", account=short(event.account))
            return () if is_glance else [Outgoing(event.place, refusal, to=event.account)]
        if event.parameter.startswith(LINK):  # from the address that `/link` gives
            told = self.orders.linked(event, event.parameter.removeprefix(LINK))
            return [Outgoing(event.place, told, to=event.account)]
        is_greeted = is_glance and is_known(self.memory, event.account)
        self.memory.person(event.account)
        suggestions = tuple(say(event.language, each) for each in ("suggest_ask", "suggest_ideate", "suggest_document"))
        welcome = "" if is_greeted else say(event.language, "welcome", p=prefix(event.place.platform))
        if is_glance:
            return [Outgoing(event.place, welcome, suggestions=suggestions, to=event.account)]
        meanings = [Meaning("ask", each, event.place) for each in suggestions]
        made = self.buttons.make_many(meanings, RATABLE, key=f"ask/{event.place.key}{event.id}")
        buttons = tuple(map(Button, made, suggestions))
        return [Outgoing(event.place, welcome, buttons=buttons, to=event.account)]


@dataclass(slots=True)
class _Said:
    """What has been shown of a reply so far."""

    text: str = ""

    async def hear(self, replies: AsyncGenerator[Piece | Turn, None], post: Post, stage: Stage) -> Turn | None:
        """Show the pieces until the turn, which is returned; None once it is stopped."""
        shown, began = float("-inf"), time.monotonic()
        async for event in replies:
            if isinstance(event, Turn):
                return event
            if stage.stopped.is_set():
                break
            self.text = event.text if event.replaces else self.text + event.text
            now = time.monotonic()
            is_due = now >= shown + SHOWN_EVERY
            if event.replaces or (is_due and (now >= max(shown, began) + RARELY or not stage.delivery.is_behind)):
                shown = now
                await stage.show(post, self.text)
        return None


def _as_post(command: Command) -> Post:
    return Post(
        command.id,
        command.place,
        command.account,
        command.argument.strip(),
        datetime.now(UTC),
        direct=command.direct,
        called=True,
        language=command.language,
        is_shared=command.is_shared,
    )
